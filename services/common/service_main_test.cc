#include "services/common/service_main.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "tests/support/temp_dir.h"

namespace allod::service_main_test {
namespace {

struct Config {
  std::string listen;
};

Result<Config> Load(const ConfigFile& file) {
  Config out;
  ConfigReader reader(file);
  reader.Required("listen", out.listen);
  return reader.Finish(out);
}

int Main(std::vector<std::string> args, const std::function<Status(const Config&, StopSignal&)>& run) {
  args.insert(args.begin(), "allod-sample");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  return ServiceMain<Config>(static_cast<int>(argv.size()), argv.data(), "sample", "A sample", Load, run);
}

Status MustNotRun(const Config&, StopSignal&) {
  ADD_FAILURE() << "ran";
  return {};
}

TEST(StopSignal, EndsWaitOnSigterm) {
  StopSignal stop;
  kill(getpid(), SIGTERM);
  stop.Wait();
  stop.Wait();  // and stays so
}

TEST(StopSignal, EndsWaitOnRequestOfAnotherThread) {
  StopSignal stop;
  std::jthread other([&] { stop.RequestStop(); });
  stop.Wait();
}

TEST(StopSignal, TellsTheSupervisorThatTheProcessServes) {
  const TempDir dir;
  const std::string path = dir / "notify";
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  StopSignal stop;
  stop.Ready();
  unsetenv("NOTIFY_SOCKET");
  char buffer[32] = {};
  EXPECT_EQ(recv(fd, buffer, sizeof buffer, MSG_DONTWAIT), 7);
  EXPECT_STREQ(buffer, "READY=1");
  close(fd);
}

TEST(ServiceMain, RunsWithItsConfigurationUntilStopped) {
  const TempDir dir;
  std::string listen;
  const int status = Main({"--config", dir.Write("c.json", R"({"listen": "unix:/x"})")},
                          [&](const Config& config, StopSignal& stop) -> Status {
                            listen = config.listen;
                            kill(getpid(), SIGTERM);
                            stop.Wait();
                            return {};
                          });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(listen, "unix:/x");
}

TEST(ServiceMain, ExitsWith1WhenRunFails) {
  const TempDir dir;
  EXPECT_EQ(Main({"--config", dir.Write("c.json", R"({"listen": "x"})")},
                 [](const Config&, StopSignal&) -> Status { return Internal("broken"); }),
            1);
}

TEST(ServiceMain, ExitsWith2OnBadUsageAndConfiguration) {
  const TempDir dir;
  EXPECT_EQ(Main({}, MustNotRun), 2);
  EXPECT_EQ(Main({"--no-such-option"}, MustNotRun), 2);
  EXPECT_EQ(Main({"--config", dir / "absent.json"}, MustNotRun), 2);
  EXPECT_EQ(Main({"--config", dir.Write("c.json", R"({"lisen": "x"})")}, MustNotRun), 2);
}

TEST(ServiceMain, OnlyChecksWhenAskedTo) {
  const TempDir dir;
  EXPECT_EQ(Main({"--check-config", "--config", dir.Write("c.json", R"({"listen": "x"})")}, MustNotRun), 0);
  EXPECT_EQ(Main({"--version"}, MustNotRun), 0);
  EXPECT_EQ(Main({"--help"}, MustNotRun), 0);
}

}  // namespace
}  // namespace allod::service_main_test
