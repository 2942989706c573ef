// `allod up`: supervises everything of a one-machine installation.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/installation/lock.h"
#include "cli/installation/state_dir.h"
#include "cli/kinds/registry.h"
#include "cli/net/connections.h"
#include "cli/net/http_client.h"
#include "cli/supervisor/data_services.h"
#include "cli/supervisor/layout.h"
#include "cli/supervisor/process_configs.h"
#include "cli/supervisor/processes.h"
#include "cli/supervisor/role_sockets.h"
#include "cli/supervisor/rotating_file.h"
#include "cli/supervisor/supervisor.h"
#include "cli/terminal/print.h"
#include "services/common/country_code.h"
#include "services/common/ids.h"
#include "services/common/owned_fd.h"
#include "services/common/private_url.h"

namespace allod::cli::commands {
namespace {

namespace fs = std::filesystem;
using installation::StateDir;
using supervisor::ChildSpec;
using supervisor::ServiceUsers;
using supervisor::Supervisor;
using supervisor::UpOptions;

struct UpCommand {
  UpOptions up;
  std::string region;
  bool detach = false;
};

ChildSpec PlatformSpec(const StateDir& state, const UpOptions& options, const ServiceUsers& users,
                       const std::string& process) {
  ChildSpec spec;
  spec.name = process;
  spec.argv = {(options.bin / ("allod-" + process)).string(), "--config", state.config(process).string()};
  spec.log = state.log(process);
  spec.user = users.Of(process);
  if (process == "node") {
    spec.capabilities = supervisor::NodeCapabilities();
  } else {
    spec.reach = state.root();
    spec.tells_layers = true;
  }
  return spec;
}

// What happens, one line a step.
void Say(const std::string& text) { terminal::Print(text + "\n"); }

Status BringUp(Supervisor& children, const StateDir& state, const UpOptions& asked) {
  ALLOD_TRY(const UpOptions options, supervisor::WithFreeUsers(state, asked));
  if (options.service_uids_first != asked.service_uids_first) {
    Say(fmt::format("  another installation runs as the usual users: this one's services run as {} to {}",
                    options.service_uids_first, options.service_uids_first + supervisor::kServiceUids - 1));
  }
  ALLOD_TRY(const ServiceUsers users, supervisor::UsersOf(state, options));
  ALLOD_TRY(const supervisor::RoleGroups groups, supervisor::RoleGroupsOf(state, options));
  ALLOD_CHECK_OK(supervisor::MakeLayout(state, users));
  ALLOD_CHECK_OK(supervisor::MakeRoleSockets(state, users, groups));
  ALLOD_CHECK_OK(supervisor::RememberUsers(state, options, users));
  ALLOD_TRY(const supervisor::PostgresCluster postgres, supervisor::PostgresCluster::Prepare(state, users));
  ALLOD_TRY(ChildSpec redis, supervisor::RedisSpec(state, users));
  ALLOD_CHECK_OK(postgres.Initialise());
  ALLOD_CHECK_OK(supervisor::WriteConfigs(state, options, users));
  ALLOD_CHECK_OK(children.Start(postgres.Spec()));
  ALLOD_CHECK_OK(children.Start(std::move(redis)));
  ALLOD_CHECK_OK(children.WaitUntil(
      "PostgreSQL", [&] { return postgres.Ping().has_value(); }, std::chrono::seconds(60)));
  Say("  PostgreSQL is up");
  ALLOD_CHECK_OK(postgres.Migrate(options.share / "migrations"));
  Say("  migrations are in place");
  for (const auto& process : supervisor::PlatformProcesses())
    ALLOD_CHECK_OK(children.Start(PlatformSpec(state, options, users, process)));
  ALLOD_TRY(const std::string base, state.HttpBase());
  // The gateway opens its gRPC socket after its HTTP port: a port that another installation holds does not pass for
  // ours.
  ALLOD_CHECK_OK(children.WaitUntil(
      "the platform",
      [&] { return net::AreListening(state, supervisor::GrpcServers()) && net::HttpReady(base + "/readyz"); },
      std::chrono::seconds(60)));
  Say(fmt::format("  services are up; the gateway answers at {}", base));
  return {};
}

// In the background process: tells the waiting one by a pipe, and lets go of its terminal. In the foreground, where
// there is no pipe, does nothing.
void Announce(const StateDir& state, OwnedFd& pipe, char result) {
  if (!pipe) return;
  std::fflush(nullptr);
  const OwnedFd log = supervisor::OpenForLines(state.log("allod"));
  const OwnedFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null) ::dup2(null.get(), STDIN_FILENO);
  if (log) {
    ::dup2(log.get(), STDOUT_FILENO);
    ::dup2(log.get(), STDERR_FILENO);
  }
  [[maybe_unused]] const auto n = ::write(pipe.get(), &result, 1);
  pipe.Reset();
}

// Holds the lock until the end. `announce`: the pipe to the waiting process, if this is a background one.
Status Supervise(const StateDir& state, const UpOptions& options, installation::Lock lock, OwnedFd& announce) {
  ALLOD_CHECK_OK(lock.Sign());
  // The supervisor itself reads the signals, so they must be blocked before anything starts a thread.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const OwnedFd stop(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!stop) return Internal("signalfd failed");
  const bool is_background = static_cast<bool>(announce);

  Status up;
  {
    Supervisor children(state, stop.get());
    up = BringUp(children, state, options);
    if (up) {
      Announce(state, announce, 'y');
      // In the foreground, what this process says goes to its terminal.
      children.Run([&] {
        if (is_background) supervisor::BoundOwnOutput(state.log("allod"));
      });
      Say("stopping");
    }
    children.StopAll();
  }
  std::error_code ec;
  fs::remove(state.status(), ec);
  // Being asked to stop while starting is no failure.
  if (!up && up.error().reason == "STOPPED") return {};
  return up;
}

// A region that is known is not changed by where its machine says that it stands. Asked by the process that leaves: the
// one that supervises calls no service.
void SayIfElsewhere(const StateDir& state, const UpOptions& options) {
  const auto kind = kinds::FindKind("regions");
  if (!kind) return;
  const auto region = (*kind)->get(state, "regions/" + options.region);
  if (!region) return;  // `allod status` says what is wrong
  const std::string lies = terminal::FieldText(**region, "jurisdiction");
  if (lies == options.jurisdiction) return;
  Say(fmt::format(
      "regions/{} lies in {}, and this machine says that it stands in {}: change the region (`allod apply`) or "
      "--region; until both say the same nothing is placed here, and `allod get nodes` says so",
      options.region, lies, options.jurisdiction));
}

// Runs Supervise in a background process and waits until it is up.
Status Detach(const StateDir& state, const UpOptions& options, installation::Lock lock) {
  Pipe pipe = Pipe::Make();
  if (!pipe) return Internal("pipe failed");
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return Internal("fork failed");
  if (pid == 0) {
    pipe.read.Reset();
    ::setsid();
    const Status status = Supervise(state, options, std::move(lock), pipe.write);
    if (!status) {
      terminal::PrintError(status.error());
      Announce(state, pipe.write, 'n');
    }
    std::fflush(nullptr);
    ::_exit(status ? 0 : 1);
  }
  pipe.write.Reset();
  char result = 'n';
  const ssize_t n = ::read(pipe.read.get(), &result, 1);
  if (n == 1 && result == 'y') {
    SayIfElsewhere(state, options);
    return {};
  }
  return FailedPrecondition(
      "NOT_STARTED", fmt::format("the platform did not come up; logs lie in {}", (state.root() / "logs").string()));
}

// Where an installation stands that nobody told otherwise: that of the examples. Said aloud, because residency hangs on
// it.
constexpr char kFirstRegion[] = "ke-1=ke";

// The region of the last `allod up`, so that it need be said only once.
std::string LastRegion(const StateDir& state) {
  const nlohmann::json last = supervisor::LastConfig(state, "scheduling");
  const auto name = nlohmann::json::json_pointer("/regions/0/name");
  const auto jurisdiction = nlohmann::json::json_pointer("/regions/0/jurisdiction");
  if (!last.contains(name) || !last.contains(jurisdiction)) return kFirstRegion;
  return last.at(name).get<std::string>() + "=" + last.at(jurisdiction).get<std::string>();
}

// In the foreground, where nobody asks the services what the region is.
void SayIfMoved(const std::string& last, const UpOptions& now) {
  if (!last.starts_with(now.region + "=") || last.ends_with("=" + now.jurisdiction)) return;
  Say(fmt::format(
      "the last `allod up` said {}: unless regions/{} lies in {} already (`allod get regions`), change it too "
      "(`allod apply`); until then nothing is placed here",
      last, now.region, now.jurisdiction));
}

Status Up(const Globals& globals, UpCommand options) {
  if (!globals.state.as.empty()) {
    return InvalidArgument("INVALID_ARGUMENT", "--as: an installation is started by its own user; leave it out");
  }
  ALLOD_TRY(const StateDir state, StateDir::Resolve(globals.state.dir));
  const std::string last_region = LastRegion(state);
  if (options.region.empty()) options.region = last_region;
  const auto equals = options.region.find('=');
  if (equals == std::string::npos) {
    return InvalidArgument("INVALID_REGION",
                           fmt::format("--region {}: write REGION=JURISDICTION, e.g. ke-1=ke", options.region));
  }
  // Judged before anything is started.
  ALLOD_CHECK_OK(supervisor::RoleGroupsOf(state, options.up));
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
    if (fs::exists(share / "migrations/billing", ec)) {
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
  ALLOD_CHECK_OK(supervisor::MakeRoot(state));
  // Judged before anything is announced; what the background process would say of it is too late.
  ALLOD_TRY(installation::Lock lock, installation::Lock::Take(state));
  Say(fmt::format("allod up: {}, in region {} of jurisdiction {}", state.root().string(), options.up.region,
                  options.up.jurisdiction));
  if (!options.detach && !supervisor::LastConfig(state, "scheduling").empty()) SayIfMoved(last_region, options.up);
  for (const std::string& command : supervisor::LostWeights(state)) {
    Say("weights are fields of tenants now; to keep this one: " + command);
  }
  OwnedFd nobody_waits;
  return options.detach ? Detach(state, options.up, std::move(lock))
                        : Supervise(state, options.up, std::move(lock), nobody_waits);
}

// `options` live as long as the command.
void AddNodeSetting(CLI::App& up, const supervisor::NodeSetting& setting, UpCommand& options) {
  const std::string help = std::string(setting.help) + "; kept until changed";
  if (!setting.words.empty()) {
    up.add_option_function<std::string>(
          setting.flag, [&setting, &options](const std::string& word) { options.up.node[setting.field] = word; }, help)
        ->check(CLI::IsMember(setting.words));
    return;
  }
  up.add_option_function<std::int64_t>(
        setting.flag,
        [&setting, &options](std::int64_t value) { options.up.node[setting.field] = value * setting.unit; }, help)
      ->check(CLI::Range(setting.min, setting.max));
}

}  // namespace

void AddUp(CLI::App& app, Globals& globals) {
  const auto [up, options] = AddCommand<UpCommand>(
      app, globals, "up", "Start PostgreSQL, Redis and every service of this machine, and keep them running", &Up);
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
  up->add_option("--trusted-proxy", options->up.trusted_proxies,
                 "ADDRESS or RANGE, several times: proxies before the gateway, whose X-Forwarded-For says where a "
                 "request comes from; \"none\": no proxy (default: the last ones, else none)");
  up->add_option("--support-group", options->up.support_group,
                 "As root: GROUP of Unix whose users are operators of the role support, by run/support.sock (`allod "
                 "--as support`); \"none\": nobody (default: the last one, else nobody)");
  up->add_option("--auditor-group", options->up.auditor_group,
                 "As root: the same of the role operator_auditor, by run/auditor.sock (`allod --as auditor`)");
  up->add_option("--public-url", options->up.public_url,
                 "https://HOST: what browsers know the gateway as, where people sign in; \"none\": its address on this "
                 "machine (default: the last one, else that)")
      ->check([](const std::string& url) -> std::string {
        if (url == "none" || IsPrivateOrigin(url)) return "";
        return "it must be https://HOST or https://HOST:PORT in lower case, without a path (http on this machine only)";
      });
  up->add_option("--service-uids", options->up.service_uids_first,
                 fmt::format("As root: the first of {} user numbers that the services run as (default: the last one, "
                             "else {}, or the next block that no process runs as)",
                             supervisor::kServiceUids, supervisor::kServiceUidsFirst));
  for (const supervisor::NodeSetting& setting : supervisor::NodeSettings()) AddNodeSetting(*up, setting, *options);
  // Of before; said where it is now rather than that it is not known.
  up->add_option_function<std::vector<std::string>>("--weight", [](const std::vector<std::string>&) {
      throw CLI::ValidationError(
          "--weight",
          "weights are fields of tenants now: allod tenants update NAME --weight N, or `weight` in its manifest");
    })->group("");
  up->add_flag("-d,--detach", options->detach,
               "Return as soon as everything is up (default: stay until Ctrl-C or `allod down`)");
}

}  // namespace allod::cli::commands
