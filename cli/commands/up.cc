// `allod up`: supervises everything of a one-machine installation.

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/installation/state_dir.h"
#include "cli/net/connections.h"
#include "cli/net/http_client.h"
#include "cli/supervisor/data_services.h"
#include "cli/supervisor/layout.h"
#include "cli/supervisor/process_configs.h"
#include "cli/supervisor/supervisor.h"
#include "services/common/country_code.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  UpOptions up;
  std::string region;
  bool detach = false;
};

// Holds DIR/allod.lock for the life of the process, and of what is forked from it; the kernel lets go of it however the
// process ends.
Result<int> TakeLock(const StateDir& state) {
  const int fd = ::open(state.lock().c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return FailedPrecondition("STATE_NOT_WRITABLE", "cannot open " + state.lock().string());
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> pid{};
    const ssize_t n = ::read(fd, pid.data(), pid.size() - 1);
    ::close(fd);
    return FailedPrecondition(
        "ALREADY_UP",
        fmt::format("{} is already up (process {}): see `allod status --state {}`, end it with `allod down`",
                    state.root().string(), n > 0 ? std::string(pid.data()) : "unknown", state.root().string()));
  }
  return fd;
}

// Says in the lock's file who holds it: the process that supervises.
Status SignLock(const StateDir& state, int lock) {
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock, 0) == 0 && ::pwrite(lock, pid.data(), pid.size(), 0) > 0) return {};
  return FailedPrecondition("STATE_NOT_WRITABLE", "cannot write " + state.lock().string());
}

ChildSpec PlatformSpec(const StateDir& state, const UpOptions& options, const ServiceUsers& users,
                       const std::string& process) {
  ChildSpec spec;
  spec.name = process;
  spec.argv = {(options.bin / ("allod-" + process)).string(), "--config", state.config(process).string()};
  spec.log = state.log(process);
  spec.user = users.Of(process);
  if (process == "node") {
    spec.capabilities = NodeCapabilities();
  } else {
    spec.reach = state.root();
    spec.tells_layers = true;
  }
  return spec;
}

// Prints what happens, one line a step.
void Say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

Status BringUp(Supervisor& supervisor, const StateDir& state, const UpOptions& asked) {
  ALLOD_TRY(const UpOptions options, WithFreeUsers(state, asked));
  if (options.service_uids_first != asked.service_uids_first) {
    Say(fmt::format("  another installation runs as the usual users: this one's services run as {} to {}",
                    options.service_uids_first, options.service_uids_first + kServiceUids - 1));
  }
  ALLOD_TRY(const ServiceUsers users, UsersOf(state, options));
  ALLOD_CHECK_OK(MakeLayout(state, users));
  ALLOD_CHECK_OK(RememberUsers(state, options, users));
  ALLOD_TRY(const PostgresCluster postgres, PostgresCluster::Prepare(state, users));
  ALLOD_TRY(ChildSpec redis, RedisSpec(state, users));
  ALLOD_CHECK_OK(postgres.Initialise());
  ALLOD_CHECK_OK(WriteConfigs(state, options, users));
  ALLOD_CHECK_OK(supervisor.Start(postgres.Spec()));
  ALLOD_CHECK_OK(supervisor.Start(std::move(redis)));
  ALLOD_CHECK_OK(supervisor.WaitUntil(
      "PostgreSQL", [&] { return postgres.Ping().has_value(); }, std::chrono::seconds(60)));
  Say("  PostgreSQL is up");
  ALLOD_CHECK_OK(postgres.Migrate(options.share / "migrations"));
  Say("  migrations are in place");
  for (const auto& process : PlatformProcesses())
    ALLOD_CHECK_OK(supervisor.Start(PlatformSpec(state, options, users, process)));
  ALLOD_TRY(const std::string base, state.HttpBase());
  ALLOD_CHECK_OK(supervisor.WaitUntil(
      "the platform", [&] { return ServicesReady(state) && HttpReady(base + "/readyz"); }, std::chrono::seconds(60)));
  Say(fmt::format("  services are up; the gateway answers at {}", base));
  return {};
}

// In the background process: tells the waiting one by a pipe, and lets go of its terminal. In the foreground does
// nothing.
void Announce(const StateDir& state, int pipe, char result) {
  if (pipe < 0) return;
  std::fflush(nullptr);
  const int log = ::open(state.log("allod").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (log >= 0) {
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
  }
  [[maybe_unused]] const auto n = ::write(pipe, &result, 1);
  ::close(pipe);
}

Status Supervise(const StateDir& state, const UpOptions& options, int lock, int announce) {
  ALLOD_CHECK_OK(SignLock(state, lock));
  // The supervisor itself reads the signals, so they must be blocked before anything starts a thread.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int stop_fd = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (stop_fd < 0) return Internal("signalfd failed");

  Status up;
  {
    Supervisor supervisor(state, stop_fd);
    up = BringUp(supervisor, state, options);
    if (up) {
      Announce(state, announce, 'y');
      // In the foreground, what this process says goes to its terminal.
      supervisor.Run([&] {
        if (announce >= 0) BoundOwnOutput(state.log("allod"));
      });
      Say("stopping");
    }
    supervisor.StopAll();
  }
  std::error_code ec;
  fs::remove(state.status(), ec);
  ::close(stop_fd);
  ::close(lock);
  // Being asked to stop while starting is no failure.
  if (!up && up.error().reason == "STOPPED") return {};
  return up;
}

// Runs Supervise in a background process and waits until it is up.
Status Detach(const StateDir& state, const UpOptions& options, int lock) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return Internal("pipe failed");
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return Internal("fork failed");
  if (pid == 0) {
    ::close(pipe[0]);
    ::setsid();
    const Status status = Supervise(state, options, lock, pipe[1]);
    if (!status) {
      std::fprintf(stderr, "allod: %s\nreason: %s\n", status.error().message.c_str(), status.error().reason.c_str());
      Announce(state, pipe[1], 'n');
    }
    std::fflush(nullptr);
    ::_exit(status ? 0 : 1);
  }
  ::close(pipe[1]);
  char result = 'n';
  const ssize_t n = ::read(pipe[0], &result, 1);
  ::close(pipe[0]);
  if (n == 1 && result == 'y') return {};
  return FailedPrecondition(
      "NOT_STARTED", fmt::format("the platform did not come up; logs lie in {}", (state.root() / "logs").string()));
}

// Where an installation stands that nobody told otherwise: that of the examples. Said aloud, because residency hangs on
// it.
constexpr char kFirstRegion[] = "ke-1=ke";

// The region of the last `allod up`, so that it need be said only once.
std::string LastRegion(const StateDir& state) {
  const auto text = ReadFile(state.config("scheduling"));
  const auto json = text ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  const auto name = nlohmann::json::json_pointer("/regions/0/name");
  const auto jurisdiction = nlohmann::json::json_pointer("/regions/0/jurisdiction");
  if (!json.is_object() || !json.contains(name) || !json.contains(jurisdiction)) return kFirstRegion;
  return json.at(name).get<std::string>() + "=" + json.at(jurisdiction).get<std::string>();
}

Status Up(const Globals& globals, Options options) {
  ALLOD_TRY(const StateDir state, StateDir::Resolve(globals.state));
  if (options.region.empty()) options.region = LastRegion(state);
  const auto equals = options.region.find('=');
  if (equals == std::string::npos) {
    return InvalidArgument("INVALID_REGION",
                           fmt::format("--region {}: write REGION=JURISDICTION, e.g. ke-1=ke", options.region));
  }
  options.up.region = options.region.substr(0, equals);
  options.up.jurisdiction = options.region.substr(equals + 1);
  ALLOD_CHECK_OK(CheckId("--region", options.up.region));
  ALLOD_CHECK_OK(CheckCountryCode("--region", options.up.jurisdiction));
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  options.up.bin = self.parent_path();
  // Installed as PREFIX/bin and PREFIX/share/allod; in a checkout the build directory lies in the source tree.
  const fs::path prefix = options.up.bin.parent_path();
  for (const fs::path& share : {prefix / "share/allod", prefix.parent_path(), prefix}) {
    if (fs::exists(share / "migrations/billing")) {
      options.up.share = share;
      break;
    }
  }
  if (options.up.share.empty()) {
    return FailedPrecondition(
        "INCOMPLETE_INSTALLATION",
        fmt::format("no migrations/ beside {} (looked in {}/share/allod and above)", self.string(), prefix.string()));
  }
  // Nothing of an installation is for other users, whatever the shell says.
  ::umask(077);
  // The lock and the log of the background process lie in it. What is below it is made once the lock is held.
  ALLOD_CHECK_OK(MakeRoot(state));
  // Judged before anything is announced; what the background process would say of it is too late.
  ALLOD_TRY(const int lock, TakeLock(state));
  Say(fmt::format("allod up: {}, in region {} of jurisdiction {}", state.root().string(), options.up.region,
                  options.up.jurisdiction));
  if (options.detach) return Detach(state, options.up, lock);
  ALLOD_CHECK_OK(Supervise(state, options.up, lock, -1));
  return {};
}

void AddNodeSetting(CLI::App& up, const NodeSetting& setting, const std::shared_ptr<Options>& options) {
  const std::string help = std::string(setting.help) + "; kept until changed";
  if (!setting.words.empty()) {
    up.add_option_function<std::string>(
          setting.flag, [&setting, options](const std::string& word) { options->up.node[setting.field] = word; }, help)
        ->check(CLI::IsMember(setting.words));
    return;
  }
  up.add_option_function<std::int64_t>(
        setting.flag,
        [&setting, options](std::int64_t value) { options->up.node[setting.field] = value * setting.unit; }, help)
      ->check(CLI::Range(setting.min, setting.max));
}

}  // namespace

void AddUpCommand(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* up =
      app.add_subcommand("up", "Start PostgreSQL, Redis and every service of this machine, and keep them running");
  up->add_option("--region", options->region,
                 "Where this machine stands, REGION=JURISDICTION (default: the last one, else ke-1=ke)");
  up->add_option("--http", options->up.http_listen,
                 "IPv4:PORT of the gateway (default: the last one, else the first free from 127.0.0.1:8080)");
  up->add_option(
      "--operators", options->up.operators_listen,
      "IPv4:PORT of /metrics, which tells of all tenants and asks for no key (default: the last one, else the "
      "first free from 127.0.0.1:9080)");
  up->add_option(
      "--cors-origin", options->up.cors_origins,
      "ORIGIN, several times: web pages that may call the API from a browser, e.g. https://portal.example.org; "
      "\"*\": every page; \"none\": no page (default: the last ones, else none)");
  up->add_option("--service-uids", options->up.service_uids_first,
                 fmt::format("As root: the first of {} user numbers that the services run as (default: the last one, "
                             "else {}, or the next block that no process runs as)",
                             kServiceUids, kServiceUidsFirst));
  for (const NodeSetting& setting : NodeSettings()) AddNodeSetting(*up, setting, options);
  up->add_option("--weight", options->up.weights,
                 "TENANT=N, several times: a tenant's share of contended compute (default 1; kept until changed)");
  up->add_flag("-d,--detach", options->detach, "Return as soon as everything is up");
  up->callback([&globals, options] { globals.action = [&globals, options] { return Up(globals, *options); }; });
}

}  // namespace allod::cli
