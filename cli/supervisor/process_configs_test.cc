#include "cli/supervisor/process_configs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "cli/supervisor/layout.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::supervisor::process_configs_test {
namespace {

using installation::StateDir;

class FreeUsersAsRoot : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "users are given away by root only";
  }
  // Processes run as these.
  FindProcess Find() {
    return [this](std::uint32_t first, std::uint32_t count) -> std::optional<pid_t> {
      const auto at = running_.lower_bound(first);
      return at != running_.end() && *at - first < count ? std::optional<pid_t>(4711) : std::nullopt;
    };
  }
  Result<UpOptions> Choose(const UpOptions& options = {}) { return WithFreeUsers(state_, options, Find()); }

  const TempDir dir_;
  const StateDir state_ = *StateDir::Resolve(dir_.path());
  std::set<std::uint32_t> running_;
};

TEST_F(FreeUsersAsRoot, AFirstStartTakesTheNextBlockThatNobodyRunsAs) {
  const auto alone = Choose();
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->service_uids_first, 0U) << "the usual one, which needs no choice";
  EXPECT_TRUE(alone->node.empty());
  running_ = {kServiceUidsFirst + 3, kServiceUidsFirst + kServiceUids};
  const auto third = Choose();
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_EQ(third->service_uids_first, kServiceUidsFirst + 2 * kServiceUids);
  EXPECT_EQ(third->node.at("/first_uid"), 0x70000000U + 2 * (1U << 20));
  UpOptions own_workers;
  own_workers.node["/first_uid"] = 1'900'000'000;
  EXPECT_EQ(Choose(own_workers)->node.at("/first_uid"), 1'900'000'000) << "as it was asked for";
}

TEST_F(FreeUsersAsRoot, WhatAnInstallationHasItKeeps) {
  running_ = {kServiceUidsFirst};
  const UpOptions chosen = *Choose();
  const ServiceUsers users = *UsersOf(state_, chosen);
  ASSERT_TRUE(MakeLayout(state_, users));
  ASSERT_TRUE(RememberUsers(state_, chosen, users));
  running_ = {kServiceUidsFirst, chosen.service_uids_first};
  const auto again = Choose();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->service_uids_first, 0U);
  EXPECT_EQ(UsersOf(state_, *again)->Of("tenancy")->uid, users.Of("tenancy")->uid);
  EXPECT_TRUE(Choose(chosen)) << "its own processes may be ending still";
}

TEST_F(FreeUsersAsRoot, RefusesByNameABlockThatIsAskedForAndTaken) {
  running_ = {2'000'000'070, 1'900'000'000};
  UpOptions options;
  options.service_uids_first = 2'000'000'032;
  const auto services = Choose(options);
  ASSERT_FALSE(services);
  EXPECT_EQ(services.error().reason, "UIDS_IN_USE");
  EXPECT_EQ(services.error().message,
            "--service-uids 2000000032: process 4711 runs as one of the 64 users from there; give others");
  options.service_uids_first = 2'000'000'100;
  EXPECT_TRUE(Choose(options));
  options.node["/first_uid"] = 1'900'000'000;
  const auto workers = Choose(options);
  ASSERT_FALSE(workers);
  EXPECT_NE(workers.error().message.find("--first-uid 1900000000"), std::string::npos) << workers.error().message;
}

TEST(LostWeights, AreSaidAsWhatKeepsThem) {
  const TempDir dir;
  const StateDir state = *StateDir::Resolve(dir.path());
  EXPECT_TRUE(LostWeights(state).empty());
  std::filesystem::create_directories(dir / "config");
  dir.Write("config/scheduling.json", R"({"weights": {"ke": 2, "ug": "much"}})");
  EXPECT_EQ(LostWeights(state), std::vector<std::string>{"allod tenants update ke --weight 2"});
  dir.Write("config/scheduling.json", R"({"weights": [1]})");
  EXPECT_TRUE(LostWeights(state).empty());
}

}  // namespace
}  // namespace allod::cli::supervisor::process_configs_test
