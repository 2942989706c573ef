// The directories of an installation, and an attacker who owns some of them.

#include "cli/supervisor/layout.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/installation/files.h"
#include "services/common/private_files.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::supervisor::layout_test {
namespace {

namespace fs = std::filesystem;
using installation::ReadFile;
using installation::StateDir;
using installation::WriteFile;

struct stat Look(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}
unsigned Mode(const fs::path& path) { return Look(path).st_mode & 07777; }

class LayoutTest : public testing::Test {
 protected:
  LayoutTest() : dir_(), state_(*StateDir::Resolve((dir_.path() / "s").string())) {}

  Status Make() {
    const auto users = ServiceUsers::Make(kServiceUidsFirst);
    return users ? MakeLayout(state_, *users) : std::unexpected(users.error());
  }

  TempDir dir_;
  StateDir state_;
};

TEST_F(LayoutTest, NothingIsOpenToOthersAndAllOfItCanBeMadeAgain) {
  for (int round = 0; round < 2; ++round) {
    const Status made = Make();
    ASSERT_TRUE(made) << made.error().message;
    for (const auto& entry : fs::recursive_directory_iterator(state_.root())) {
      if (entry.is_symlink()) continue;
      EXPECT_EQ(Mode(entry.path()) & (S_IROTH | S_IWOTH), 0U) << entry.path();
    }
  }
}

TEST_F(LayoutTest, TheOperatorsAddressLeadsToTheGatewaysSocket) {
  ASSERT_TRUE(Make());
  EXPECT_EQ(fs::read_symlink(state_.run() / "grpc.sock"), "gateway/grpc.sock");
}

class LayoutAsRoot : public LayoutTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  }
  uid_t Postgres() const { return users_.Of("postgres")->uid; }
  // What an older `allod up` had made: one directory of PostgreSQL's user, and all else root's.
  void MakeOldState() {
    for (const char* name : {"s", "s/postgres", "s/postgres/data", "s/postgres/run", "s/journal", "s/artifacts",
                             "s/artifacts/incoming", "s/redis", "s/secrets"}) {
      ASSERT_EQ(mkdir((dir_ / name).c_str(), 0700), 0) << name;
    }
    for (const char* name : {"s/postgres", "s/postgres/data", "s/postgres/run", "s/redis"}) {
      ASSERT_EQ(chown((dir_ / name).c_str(), Postgres(), Postgres()), 0) << name;
    }
  }
  // A file of root's that nobody else may read, outside of the installation.
  fs::path Precious() const { return dir_.Write("precious", "root:x"); }
  static void ExpectUntouched(const fs::path& file) {
    EXPECT_EQ(Look(file).st_uid, 0U);
    EXPECT_EQ(Mode(file), 0600U);
    std::ifstream in(file);
    std::string content;
    std::getline(in, content);
    EXPECT_EQ(content, "root:x");
  }

  const ServiceUsers users_ = *ServiceUsers::Make(kServiceUidsFirst);
};

TEST_F(LayoutAsRoot, EachDirectoryIsWhoseItIs) {
  ASSERT_TRUE(Make());
  struct Row {
    const char* path;
    unsigned mode;
    uid_t uid;
    gid_t gid;
  };
  const Row rows[] = {
      {"", 0711, 0, 0},
      {"config", 0711, 0, 0},
      {"secrets", 0711, 0, 0},
      {"run", 0711, 0, 0},
      {"run/billing", 02710, users_.Of("billing")->uid, users_.ClientsOf("billing")},
      {"run/gateway", 02710, users_.Of("gateway")->uid, users_.ClientsOf("gateway")},
      {"run/workers", 02710, 0, users_.ClientsOf("workers")},
      {"postgres", 0711, 0, 0},
      {"postgres/data", 0700, Postgres(), users_.Of("postgres")->gid},
      {"postgres/run", 02710, Postgres(), users_.ClientsOf("postgres")},
      {"redis", 02710, users_.Of("redis")->uid, users_.ClientsOf("redis")},
      {"journal", 0700, users_.Of("gateway")->uid, users_.Of("gateway")->gid},
      {"artifacts", 03770, 0, users_.artifacts()},
      {"artifacts/incoming", 03770, 0, users_.artifacts()},
      {"usage", 0700, 0, 0},
      {"keys", 0700, 0, 0},
      {"logs", 0700, 0, 0},
  };
  for (const Row& row : rows) {
    const struct stat info = Look(state_.root() / row.path);
    EXPECT_EQ(info.st_mode & 07777, row.mode) << row.path;
    EXPECT_EQ(info.st_uid, row.uid) << row.path;
    EXPECT_EQ(info.st_gid, row.gid) << row.path;
  }
}

TEST_F(LayoutAsRoot, AnOlderInstallationIsTakenOver) {
  MakeOldState();
  dir_.Write("s/postgres/initialised", "1\n");
  dir_.Write("s/journal/requests.journal", "slots");
  dir_.Write("s/artifacts/" + std::string(64, 'a'), "weights");
  const Status made = Make();
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(fs::exists(state_.root() / "postgres.initialised")) << "or its database would be made anew";
  EXPECT_FALSE(fs::exists(state_.root() / "postgres/initialised"));
  EXPECT_EQ(Look(state_.root() / "postgres").st_uid, 0U);
  EXPECT_EQ(Look(state_.root() / "postgres/data").st_uid, Postgres());
  EXPECT_EQ(Look(state_.root() / "journal/requests.journal").st_uid, users_.Of("gateway")->uid);
  EXPECT_EQ(Mode(state_.root() / "journal/requests.journal"), 0600U);
  EXPECT_EQ(Look(state_.root() / "artifacts" / std::string(64, 'a')).st_gid, users_.artifacts());
  EXPECT_EQ(Mode(state_.root() / "artifacts" / std::string(64, 'a')), 0640U);
}

TEST_F(LayoutAsRoot, LinksOfTheDatabasesUserLeadNowhere) {
  for (const char* name : {"run", "data", "tmp", "initialised"}) {
    MakeOldState();
    const fs::path precious = Precious();
    const fs::path target = std::string(name) == "initialised" ? precious : dir_ / "elsewhere";
    fs::create_directory(dir_ / "elsewhere");
    fs::remove(dir_ / "s/postgres" / name);
    fs::create_symlink(target, dir_ / "s/postgres" / name);
    ASSERT_EQ(lchown((dir_ / "s/postgres" / name).c_str(), Postgres(), Postgres()), 0);
    (void)Make();
    ExpectUntouched(precious);
    EXPECT_EQ(Look(dir_ / "elsewhere").st_uid, 0U) << name;
    EXPECT_TRUE(fs::is_empty(dir_ / "elsewhere")) << name;
    EXPECT_FALSE(fs::exists(state_.root() / "postgres.initialised")) << name;
    for (const char* left : {"s", "elsewhere", "precious"}) fs::remove_all(dir_ / left);
  }
}

TEST_F(LayoutAsRoot, ALinkInPlaceOfADirectoryIsRefusedByName) {
  MakeOldState();
  fs::remove(dir_ / "s/postgres/data");
  fs::create_directory_symlink("/etc", dir_ / "s/postgres/data");
  const Status made = Make();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason, "UNSAFE_PATH");
  EXPECT_NE(made.error().message.find("postgres/data"), std::string::npos) << made.error().message;
}

TEST_F(LayoutAsRoot, AMarkerThatTheDatabasesUserPlantedCountsForNothing) {
  MakeOldState();
  dir_.Write("s/postgres/initialised", "1\n");
  ASSERT_EQ(chown((dir_ / "s/postgres/initialised").c_str(), Postgres(), Postgres()), 0);
  ASSERT_TRUE(Make());
  EXPECT_FALSE(fs::exists(state_.root() / "postgres.initialised"));
}

TEST_F(LayoutAsRoot, ASecondNameOfAFileOfRootsIsNotGivenAway) {
  MakeOldState();
  const fs::path precious = Precious();
  fs::create_hard_link(precious, dir_ / "s/journal/requests.journal");
  fs::create_hard_link(precious, dir_ / "s/postgres/initialised");
  (void)Make();
  ExpectUntouched(precious);
  EXPECT_FALSE(fs::exists(state_.root() / "postgres.initialised"));
}

TEST_F(LayoutAsRoot, WhatAServiceMakesInItsDirectoryIsLeftAlone) {
  ASSERT_TRUE(Make());
  const fs::path precious = Precious();
  const uid_t gateway = users_.Of("gateway")->uid;
  fs::create_symlink(precious, state_.journal() / "requests.journal");
  ASSERT_EQ(lchown((state_.journal() / "requests.journal").c_str(), gateway, gateway), 0);
  fs::create_hard_link(precious, state_.journal() / "second");
  ASSERT_TRUE(Make());
  ExpectUntouched(precious);
}

TEST_F(LayoutAsRoot, AStateDirectoryOfAnotherUserIsRefused) {
  constexpr uid_t kStranger = 0x7fff0001;
  ASSERT_EQ(mkdir((dir_ / "s").c_str(), 0755), 0);
  ASSERT_EQ(chown((dir_ / "s").c_str(), kStranger, kStranger), 0);
  const Status made = Make();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason, "UNSAFE_PATH");
  EXPECT_NE(made.error().message.find("belongs to uid 2147418113"), std::string::npos) << made.error().message;
  EXPECT_EQ(StateDir::Resolve((dir_ / "s").string()).error().reason, "UNSAFE_PATH") << "and no command follows it";
  EXPECT_EQ(StateDir::Resolve((dir_ / "s/below").string()).error().reason, "UNSAFE_PATH");
}

TEST_F(LayoutAsRoot, AJournalOfAnotherUserIsRefused) {
  constexpr uid_t kStranger = 0x7fff0001;
  ASSERT_TRUE(Make());
  ASSERT_EQ(chown(state_.journal().c_str(), kStranger, kStranger), 0);
  const Status made = Make();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason, "UNSAFE_PATH");
  EXPECT_NE(made.error().message.find("journal"), std::string::npos) << made.error().message;
}

TEST_F(LayoutAsRoot, SecretsAreForThoseWhoNeedThem) {
  ASSERT_TRUE(Make());
  ASSERT_TRUE(EnsureSecret(state_, users_, "api_key_pepper", users_.pepper()));
  ASSERT_TRUE(WritePrivate(state_, "config", "billing.json", "{}", users_, "billing"));
  ASSERT_TRUE(WritePrivate(state_, "config", "node.json", "{}", users_, "node"));
  EXPECT_EQ(Mode(state_.secret("api_key_pepper")), 0640U);
  EXPECT_EQ(Look(state_.secret("api_key_pepper")).st_gid, users_.pepper());
  EXPECT_EQ(Mode(state_.config("billing")), 0640U);
  EXPECT_EQ(Look(state_.config("billing")).st_gid, users_.Of("billing")->gid);
  EXPECT_EQ(Mode(state_.config("node")), 0600U);
  // A secret of an older installation keeps its content and gets its reader.
  dir_.Write("s/secrets/old", "kept");
  ASSERT_TRUE(EnsureSecret(state_, users_, "old", users_.pepper()));
  EXPECT_EQ(*ReadFile(state_.secret("old")), "kept");
  EXPECT_EQ(Look(state_.secret("old")).st_gid, users_.pepper());
}

TEST(WriteFile, WritesThroughNoLink) {
  const TempDir dir;
  const fs::path victim = dir.Write("victim", "kept");
  fs::create_symlink(victim, dir / "x.key.new");
  fs::create_symlink(victim, dir / ".x.key.new");
  fs::create_symlink(victim, dir / "x.key");
  ASSERT_TRUE(WriteFile(dir / "x.key", "secret"));
  EXPECT_EQ(*ReadFile(victim), "kept");
  EXPECT_FALSE(fs::is_symlink(dir / "x.key"));
  EXPECT_EQ(Mode(dir / "x.key"), 0600U);
}

TEST(ResolveTrusted, SaysWhoCouldExchangeADirectory) {
  const TempDir dir;
  fs::create_directory(dir / "open");
  ASSERT_EQ(chmod((dir / "open").c_str(), 0777), 0);
  const auto open = ResolveTrusted(dir / "open/state");
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().message.find("may be written by other users (mode 0777)"), std::string::npos)
      << open.error().message;
  ASSERT_EQ(chmod((dir / "open").c_str(), 01777), 0);
  EXPECT_TRUE(ResolveTrusted(dir / "open/state")) << "as in /tmp, names of others stay theirs";
  fs::create_symlink("open", dir / "link");
  EXPECT_EQ(*ResolveTrusted(dir / "link/state"), dir / "open/state") << "links of one's own are followed";
}

}  // namespace
}  // namespace allod::cli::supervisor::layout_test
