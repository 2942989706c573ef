#include "cli/installation/lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/installation/files.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::installation::lock_test {
namespace {

class LockTest : public testing::Test {
 protected:
  const TempDir dir_;
  const StateDir state_ = *StateDir::Resolve(dir_.path().string());
};

TEST_F(LockTest, TellsWhetherAnInstallationIsUpAndWhoRunsIt) {
  EXPECT_EQ(FindRunning({dir_.path().string(), ""}).error().reason, "NOT_UP") << "it never was";
  {
    const auto lock = Lock::Take(state_);
    ASSERT_TRUE(lock) << lock.error().message;
    ASSERT_TRUE(lock->Sign());
    const auto running = FindRunning({dir_.path().string(), ""});
    ASSERT_TRUE(running) << running.error().message;
    EXPECT_EQ(running->root(), state_.root());
    const auto holder = FindHolder(state_);
    ASSERT_TRUE(holder) << holder.error().message;
    EXPECT_EQ(holder->pid, ::getpid());
  }
  EXPECT_EQ(FindRunning({dir_.path().string(), ""}).error().reason, "NOT_UP")
      << "a file that nobody holds says nothing";
}

TEST(ReadFile, SaysWhatIsNoFile) {
  const TempDir dir;
  EXPECT_EQ(ReadFile("/dev/null").error().message, "/dev/null is not a regular file");
  EXPECT_EQ(ReadFile(dir.path()).error().reason, "NOT_A_FILE");
  EXPECT_EQ(ReadFile(dir.path() / "none").error().code, Code::kNotFound);
}

TEST_F(LockTest, IsHeldOnce) {
  const auto lock = Lock::Take(state_);
  ASSERT_TRUE(lock);
  ASSERT_TRUE(lock->Sign());
  const auto second = Lock::Take(state_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "ALREADY_UP");
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos);
}

TEST_F(LockTest, OfWhichTheContentIsDamagedNamesNobody) {
  ASSERT_TRUE(WriteFile(state_.lock(), "x"));
  EXPECT_EQ(FindHolder(state_).error().reason, "INTERNAL");
}

TEST(ReadSecret, IsWithoutWhatEditorsAppend) {
  const TempDir dir;
  EXPECT_EQ(*ReadSecret(dir.Write("key", "sk-1 2 \n\n")), "sk-1 2");
  EXPECT_EQ(ReadSecret(dir.path() / "none").error().code, Code::kNotFound);
}

TEST(ReadJson, TakesObjectsOnly) {
  const TempDir dir;
  EXPECT_EQ(*ReadJson(dir.Write("good", "{\"a\": 1}")), nlohmann::json({{"a", 1}}));
  for (const char* text : {"", "{", "[]", "null"}) {
    const auto path = dir.Write("bad", text);
    const auto json = ReadJson(path);
    ASSERT_FALSE(json) << text;
    EXPECT_EQ(json.error().message, path.string() + " is damaged");
  }
}

}  // namespace
}  // namespace allod::cli::installation::lock_test
