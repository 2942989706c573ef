// Runs of programs that answer, fail, hang, write without end and take all memory; each costs its own caller an error.
#include "services/common/process/launcher.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

namespace allod::launcher_test {
namespace {

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    char name[] = "/tmp/allod-launcher-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~LauncherTest() override { std::filesystem::remove_all(directory_); }

  Launcher Start(const std::string& script, const LaunchLimits& limits = {}) {
    const auto program = directory_ / "program";
    std::ofstream(program) << "#!/bin/bash\n" << script << "\n";
    chmod(program.c_str(), 0755);
    auto launcher = Launcher::Start(program, limits);
    EXPECT_TRUE(launcher.has_value());
    return *std::move(launcher);
  }

  std::filesystem::path directory_;
};

TEST_F(LauncherTest, HandsOverInputAndOutput) {
  const Launcher launcher = Start("/usr/bin/tr a-z A-Z; echo problem >&2; exit 7");
  const auto result = launcher.Run("document").value();
  EXPECT_EQ(result.output, "DOCUMENT");
  EXPECT_EQ(result.error, "problem\n");
  EXPECT_EQ(result.end, (ProcessEnd{.status = 7}));
  EXPECT_FALSE(result.timed_out);
  // Larger than any pipe.
  const std::string large(3 << 20, 'x');
  EXPECT_EQ(launcher.Run(large).value().output, std::string(3 << 20, 'X'));
}

TEST_F(LauncherTest, GivesNoEnvironmentAndNoDescriptor) {
  ASSERT_EQ(setenv("ALLOD_SECRET", "hidden", 1), 0);
  const Launcher launcher = Start("echo \"$ALLOD_SECRET\"; echo /proc/self/fd/*");
  const auto result = launcher.Run("").value();
  // 3 is bash's own, of the listing; 255 its script.
  EXPECT_EQ(result.output.find("hidden"), std::string::npos);
  for (const char* fd : {"/fd/4", "/fd/5", "/fd/6", "/fd/7"}) {
    EXPECT_EQ(result.output.find(fd), std::string::npos) << result.output;
  }
}

TEST_F(LauncherTest, KillsWhatHangs) {
  const Launcher launcher = Start("/bin/sleep 60", {.time = std::chrono::milliseconds(300)});
  const auto result = launcher.Run("").value();
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.end.signal, SIGKILL);
}

TEST_F(LauncherTest, StopsWhatWritesWithoutEnd) {
  const Launcher launcher = Start("exec /usr/bin/yes", {.output_bytes_max = 1 << 20});
  const auto result = launcher.Run("").value();
  EXPECT_EQ(result.end.signal, SIGXFSZ);
  EXPECT_EQ(result.output.size(), 1U << 20);
}

TEST_F(LauncherTest, ACrashIsOneRunsOwn) {
  const Launcher launcher = Start("read -r word; [ \"$word\" = crash ] && kill -SEGV $$; echo \"$word\"");
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&launcher, i] {
      const auto result = launcher.Run(i % 2 == 0 ? "crash\n" : "fine\n").value();
      EXPECT_EQ(result.end.signal, i % 2 == 0 ? SIGSEGV : 0);
      EXPECT_EQ(result.output, i % 2 == 0 ? "" : "fine\n");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(LauncherTest, RefusesMoreAtOnceThanItMay) {
  const Launcher launcher = Start("/bin/sleep 1");
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < Launcher::kChildrenMax + 2; ++i) {
    threads.emplace_back([&] {
      const auto result = launcher.Run("");
      if (!result && result.error().reason == "TOO_MANY_PROCESSES") ++refused;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 2);
}

TEST_F(LauncherTest, SaysWhatIsMissing) {
  EXPECT_EQ(Launcher::Start(directory_ / "absent", {}).error().reason, "CANNOT_START_PROCESS");
}

TEST_F(LauncherTest, SaysThatItHasEnded) {
  const Launcher launcher = Start("true");
  kill(launcher.pid(), SIGKILL);
  const auto result = launcher.Run("");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().reason, "CANNOT_START_PROCESS");
}

}  // namespace
}  // namespace allod::launcher_test
