// Sockets for operators of one role.
#include "cli/supervisor/role_sockets.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "cli/installation/lock.h"
#include "cli/supervisor/layout.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::supervisor::role_sockets_test {
namespace {

namespace fs = std::filesystem;
using installation::StateDir;

class RoleSocketsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "directories are given to groups by root only";
    // Whichever group there is beside root's.
    setgrent();
    for (const group* entry = getgrent(); entry != nullptr && group_.gid == 0; entry = getgrent()) {
      group_ = {entry->gr_name, entry->gr_gid};
    }
    endgrent();
    ASSERT_NE(group_.gid, 0U);
    ASSERT_TRUE(MakeLayout(state_, users_));
  }
  // What the gateway is told; or the reason of the refusal.
  std::string Make(const UpOptions& options) {
    const auto groups = RoleGroupsOf(state_, options);
    if (!groups) return groups.error().reason;
    const Status made = MakeRoleSockets(state_, users_, *groups);
    if (!made) return made.error().reason;
    nlohmann::json gateway = nlohmann::json::object();
    const Status added = AddRoleSockets(state_, options, gateway);
    return added ? gateway.dump() : added.error().reason;
  }

  const TempDir dir_;
  const StateDir state_ = *StateDir::Resolve((dir_.path() / "s").string());
  const ServiceUsers users_ = *ServiceUsers::Make(kServiceUidsFirst);
  RoleGroup group_;
};

TEST_F(RoleSocketsTest, AreForTheirGroupAloneAndKeptUntilTakenAway) {
  EXPECT_EQ(Make({}), "{}") << "absent: not made";
  EXPECT_FALSE(fs::exists(fs::symlink_status(state_.role_socket("support"))));
  EXPECT_EQ(installation::FindRunning({state_.root().string(), "support"}).error().reason, "NO_ROLE_SOCKET");
  UpOptions options;
  options.support_group = group_.name;
  const std::string expected =
      R"({"support_grpc_listen":"unix:)" + (state_.run() / "support/grpc.sock").string() + R"("})";
  EXPECT_EQ(Make(options), expected);
  EXPECT_EQ(fs::read_symlink(state_.role_socket("support")), "support/grpc.sock");
  struct stat info {};
  ASSERT_EQ(stat((state_.run() / "support").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 02710U);
  EXPECT_EQ(info.st_gid, group_.gid);
  EXPECT_EQ(info.st_uid, users_.Of("gateway")->uid);
  EXPECT_FALSE(fs::exists(fs::symlink_status(state_.role_socket("auditor"))));
  EXPECT_EQ(state_.As("support").target("billing"), "unix:" + state_.role_socket("support").string());

  ASSERT_TRUE(MakeLayout(state_, users_));
  EXPECT_EQ(Make({}), expected) << "as the last time";
  options.support_group = "none";
  EXPECT_EQ(Make(options), "{}");
  EXPECT_FALSE(fs::exists(fs::symlink_status(state_.role_socket("support"))));
  EXPECT_FALSE(fs::exists(state_.run() / "support"));
  EXPECT_EQ(Make({}), "{}") << "and stays away";
}

TEST_F(RoleSocketsTest, NeedAGroupThatThereIs) {
  UpOptions options;
  options.auditor_group = "no-group-has-this-name";
  const auto groups = RoleGroupsOf(state_, options);
  ASSERT_FALSE(groups);
  EXPECT_EQ(groups.error().reason, "NO_SUCH_GROUP");
  EXPECT_EQ(groups.error().message,
            "--auditor-group no-group-has-this-name: this machine has no group of that name: make it (groupadd "
            "no-group-has-this-name), or say \"none\"");
}

}  // namespace
}  // namespace allod::cli::supervisor::role_sockets_test
