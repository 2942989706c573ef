#include "cli/supervisor/data_services.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "services/common/digest.h"
#include "services/common/migrations.h"

namespace allod::cli {
namespace {

namespace fs = std::filesystem;

// Whether `user` may enter every directory on the way to `path`.
bool CanReach(const ServiceUser& user, const fs::path& path) {
  fs::path walked;
  for (const auto& part : path.parent_path()) {
    walked /= part;
    struct stat st {};
    if (::stat(walked.c_str(), &st) != 0) return false;
    const mode_t bit = st.st_uid == user.uid ? S_IXUSR : st.st_gid == user.gid ? S_IXGRP : S_IXOTH;
    if ((st.st_mode & bit) == 0) return false;
  }
  return true;
}

// Makes `directory` the user's, 0700, and tells the path at which the user sees it: its own, or, where a parent is
// closed to that user, a place in /run that the child's mount namespace shows it at.
Result<fs::path> GiveTo(const std::optional<ServiceUser>& user, const fs::path& directory) {
  std::error_code ec;
  fs::create_directories(directory, ec);
  if (ec)
    return FailedPrecondition("STATE_NOT_WRITABLE",
                              fmt::format("cannot make {}: {}", directory.string(), ec.message()));
  ::chmod(directory.c_str(), 0700);
  if (!user) return directory;
  if (::chown(directory.c_str(), user->uid, user->gid) != 0) {
    return FailedPrecondition("STATE_NOT_WRITABLE", fmt::format("cannot give {} to user {}: {}", directory.string(),
                                                                user->name, std::strerror(errno)));
  }
  if (CanReach(*user, directory)) return directory;
  const fs::path seen =
      fs::path("/run") / fmt::format("allod-{:08x}", std::hash<std::string>{}(directory.string()) & 0xffffffffU);
  fs::create_directories(seen, ec);
  if (ec) {
    return FailedPrecondition(
        "STATE_NOT_REACHABLE",
        fmt::format("user {} cannot enter a parent of {}, and {} cannot be made ({}): choose another "
                    "--state DIR, e.g. /var/lib/allod",
                    user->name, directory.string(), seen.string(), ec.message()));
  }
  return seen;
}

void BindIfElsewhere(ChildSpec& spec, const fs::path& real, const fs::path& seen) {
  if (real == seen) return;
  spec.bind_from = real;
  spec.bind_to = seen;
}

}  // namespace

const std::vector<std::string>& DatabaseServices() {
  static const std::vector<std::string> services = {"tenancy", "catalog", "billing", "scheduling"};
  return services;
}

Status EnsureSecret(const StateDir& state, const std::string& name) {
  if (fs::exists(state.secret(name))) return {};
  std::array<std::uint8_t, 32> raw{};
  FillRandom(raw);
  return WriteFile(state.secret(name), ToHex(raw) + "\n");
}

PostgresCluster::PostgresCluster(const StateDir& state, fs::path bin)
    : state_(state), bin_(std::move(bin)), user_(UnprivilegedUser()) {}

Result<PostgresCluster> PostgresCluster::Prepare(const StateDir& state) {
  int newest = 0;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ec)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version >= 15 && version > newest && fs::exists(entry.path() / "bin/postgres")) newest = version;
  }
  if (newest == 0) {
    return FailedPrecondition("POSTGRES_NOT_INSTALLED",
                              "no PostgreSQL 15 or later below /usr/lib/postgresql: apt-get install postgresql");
  }
  PostgresCluster cluster(state, fs::path("/usr/lib/postgresql") / std::to_string(newest) / "bin");
  ALLOD_TRY(cluster.seen_, GiveTo(cluster.user_, state.postgres()));
  for (const char* dir : {"run", "tmp"}) {
    const fs::path sub = state.postgres() / dir;
    fs::create_directories(sub, ec);
    if (cluster.user_ && ::chown(sub.c_str(), cluster.user_->uid, cluster.user_->gid) != 0) {
      return FailedPrecondition("STATE_NOT_WRITABLE", fmt::format("cannot give {} away", sub.string()));
    }
  }
  for (const auto& service : DatabaseServices()) ALLOD_CHECK_OK(EnsureSecret(state, PasswordName("allod_" + service)));
  ALLOD_CHECK_OK(EnsureSecret(state, PasswordName("allod_owner")));
  return cluster;
}

ChildSpec PostgresCluster::Program(const std::string& name, std::vector<std::string> args) const {
  ChildSpec spec;
  spec.name = name;
  spec.argv = std::move(args);
  spec.argv.insert(spec.argv.begin(), (bin_ / name).string());
  spec.log = state_.log("postgres");
  spec.user = user_;
  BindIfElsewhere(spec, state_.postgres(), seen_);
  return spec;
}

Status PostgresCluster::Initialise() const {
  const fs::path data = state_.postgres() / "data";
  const fs::path done = state_.postgres() / "initialised";
  if (fs::exists(done)) return {};
  std::error_code ec;
  fs::remove_all(data, ec);
  const fs::path password = state_.postgres() / "tmp/owner_password";
  ALLOD_TRY(const std::string secret, ReadFile(state_.secret(PasswordName("allod_owner"))));
  ALLOD_CHECK_OK(WriteFile(password, secret));
  if (user_ && ::chown(password.c_str(), user_->uid, user_->gid) != 0)
    return Internal("chown of the password file failed");
  const Status made =
      RunToEnd(Program("initdb", {"--pgdata", (seen_ / "data").string(), "--username=allod_owner",
                                  "--auth=scram-sha-256", "--pwfile=" + (seen_ / "tmp/owner_password").string(),
                                  "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", "--data-checksums"}),
               std::chrono::seconds(60));
  fs::remove(password, ec);
  ALLOD_CHECK_OK(made);
  return WriteFile(done, "1\n");
}

ChildSpec PostgresCluster::Spec() const {
  // Small, because the whole platform shall idle below 400 MB; durable, because it holds the money.
  ChildSpec spec = Program("postgres", {"-D", (seen_ / "data").string()});
  for (const std::string& setting :
       {std::string("listen_addresses="), "unix_socket_directories=" + (seen_ / "run").string(),
        std::string("unix_socket_permissions=0777"), std::string("shared_buffers=48MB"),
        std::string("max_connections=64"), std::string("fsync=on"), std::string("synchronous_commit=on"),
        std::string("full_page_writes=on"), std::string("wal_level=replica"), std::string("max_wal_size=256MB"),
        std::string("jit=off"), std::string("log_min_messages=warning"),
        std::string("idle_in_transaction_session_timeout=30s"), std::string("tcp_keepalives_idle=60")}) {
    spec.argv.push_back("-c");
    spec.argv.push_back(setting);
  }
  spec.stop_signal = SIGINT;  // "fast": clients are disconnected, a checkpoint is written
  spec.orphan_signal = SIGINT;
  return spec;
}

std::string PostgresCluster::Url(const std::string& role, const std::string& database) const {
  return fmt::format("host={} dbname={} user={}", (state_.postgres() / "run").string(), database, role);
}

Result<std::string> PostgresCluster::OwnerUrl(const std::string& database) const {
  ALLOD_TRY(std::string password, ReadFile(state_.secret(PasswordName("allod_owner"))));
  password.erase(password.find_last_not_of("\n") + 1);
  return Url("allod_owner", database) + " password=" + password;
}

Status PostgresCluster::Ping() const {
  return RunToEnd(Program("pg_isready", {"--quiet", "--host", (seen_ / "run").string()}), std::chrono::seconds(5));
}

Status PostgresCluster::Migrate(const fs::path& migrations) const {
  ALLOD_TRY(const std::string postgres_url, OwnerUrl("postgres"));
  ALLOD_CHECK_OK(EnsureDatabase(postgres_url, "allod"));
  ALLOD_TRY(const std::string owner_url, OwnerUrl("allod"));
  for (const auto& service : DatabaseServices()) {
    ALLOD_TRY(std::string password, ReadFile(state_.secret(PasswordName("allod_" + service))));
    password.erase(password.find_last_not_of("\n") + 1);
    ALLOD_TRY([[maybe_unused]] const MigrationReport report,
              allod::Migrate(owner_url, service, migrations / service, password));
  }
  return {};
}

std::string RedisSocket(const StateDir& state) { return (state.redis() / "redis.sock").string(); }

Result<ChildSpec> RedisSpec(const StateDir& state) {
  ChildSpec spec;
  spec.name = "redis";
  for (const char* path : {"/usr/bin/redis-server", "/usr/bin/valkey-server"}) {
    if (fs::exists(path)) {
      spec.argv = {path};
      break;
    }
  }
  if (spec.argv.empty()) {
    return FailedPrecondition("REDIS_NOT_INSTALLED",
                              "neither /usr/bin/redis-server nor /usr/bin/valkey-server: apt-get install redis-server");
  }
  spec.user = UnprivilegedUser();
  ALLOD_TRY(const fs::path seen, GiveTo(spec.user, state.redis()));
  BindIfElsewhere(spec, state.redis(), seen);
  // Nothing that must last is kept in it: no snapshots, no append-only file, bounded memory.
  for (const std::string& arg :
       {std::string("--port"), std::string("0"), std::string("--unixsocket"), (seen / "redis.sock").string(),
        std::string("--unixsocketperm"), std::string("777"), std::string("--save"), std::string(""),
        std::string("--appendonly"), std::string("no"), std::string("--maxmemory"), std::string("64mb"),
        std::string("--maxmemory-policy"), std::string("allkeys-lru"), std::string("--dir"), seen.string(),
        std::string("--daemonize"), std::string("no")}) {
    spec.argv.push_back(arg);
  }
  spec.log = state.log("redis");
  return spec;
}

}  // namespace allod::cli
