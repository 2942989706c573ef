#include "cli/supervisor/data_services.h"

#include <fmt/format.h>

#include <cstdlib>

#include "cli/installation/files.h"
#include "cli/supervisor/layout.h"
#include "cli/supervisor/processes.h"
#include "services/common/pg/migrations.h"
#include "services/common/private_files.h"

namespace allod::cli::supervisor {
namespace {

namespace fs = std::filesystem;
using installation::StateDir;

constexpr char kInitialised[] = "postgres.initialised";

}  // namespace

PostgresCluster::PostgresCluster(const StateDir& state, const ServiceUsers& users, fs::path bin)
    : state_(state), bin_(std::move(bin)), user_(users.Of("postgres")) {}

Result<PostgresCluster> PostgresCluster::Prepare(const StateDir& state, const ServiceUsers& users) {
  int newest = 0;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ec)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version >= 15 && version > newest && fs::exists(entry.path() / "bin/postgres", ec)) newest = version;
  }
  if (newest == 0) {
    return FailedPrecondition("POSTGRES_NOT_INSTALLED",
                              "no PostgreSQL 15 or later below /usr/lib/postgresql: apt-get install postgresql");
  }
  PostgresCluster cluster(state, users, fs::path("/usr/lib/postgresql") / std::to_string(newest) / "bin");
  if (users.separate() && !cluster.user_) {
    return FailedPrecondition("NO_POSTGRES_USER",
                              "PostgreSQL does not run as root, and there is neither a user postgres nor nobody: "
                              "apt-get install postgresql");
  }
  for (const auto& service : DatabaseServices()) {
    const auto reader = users.Of(service);
    ALLOD_CHECK_OK(EnsureSecret(state, users, PasswordName("allod_" + service), reader ? reader->gid : 0));
  }
  // initdb reads it, as PostgreSQL's user.
  ALLOD_CHECK_OK(EnsureSecret(state, users, PasswordName("allod_owner"), cluster.user_ ? cluster.user_->gid : 0));
  return cluster;
}

ChildSpec PostgresCluster::Program(const std::string& name, std::vector<std::string> args) const {
  ChildSpec spec;
  spec.name = name;
  spec.argv = std::move(args);
  spec.argv.insert(spec.argv.begin(), (bin_ / name).string());
  spec.log = state_.log("postgres");
  spec.user = user_;
  spec.reach = state_.root();
  return spec;
}

Status PostgresCluster::Initialise() const {
  // The marker lies in a directory of ours: what PostgreSQL's user may write says nothing to us.
  ALLOD_TRY(const Directory root, Directory::Open(state_.root()));
  if (root.Has(kInitialised)) return {};
  {
    ALLOD_TRY(const Directory postgres, root.OpenChild("postgres"));
    ALLOD_CHECK_OK(postgres.RemoveTree("data"));
    ALLOD_CHECK_OK(postgres.Make("data", 0700, user_ ? Owner{user_->uid, user_->gid} : Owner{}));
  }
  ALLOD_CHECK_OK(RunToEnd(
      Program("initdb", {"--pgdata", (state_.postgres() / "data").string(), "--username=allod_owner",
                         "--auth=scram-sha-256", "--pwfile=" + state_.secret(PasswordName("allod_owner")).string(),
                         "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", "--data-checksums"}),
      std::chrono::seconds(60)));
  return root.Write(kInitialised, "1\n", 0600);
}

ChildSpec PostgresCluster::Spec() const {
  // Small, because the whole platform shall idle below 400 MB; durable, because it holds the money.
  ChildSpec spec = Program("postgres", {"-D", (state_.postgres() / "data").string()});
  for (const std::string& setting :
       {std::string("listen_addresses="), "unix_socket_directories=" + (state_.postgres() / "run").string(),
        std::string("unix_socket_permissions=0770"), std::string("shared_buffers=48MB"),
        std::string("max_connections=128"), std::string("fsync=on"), std::string("synchronous_commit=on"),
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

std::string PostgresUrl(const StateDir& state, const std::string& role, const std::string& database) {
  return fmt::format("host={} dbname={} user={}", (state.postgres() / "run").string(), database, role);
}

Result<std::string> PostgresCluster::OwnerUrl(const std::string& database) const {
  ALLOD_TRY(const std::string password, installation::ReadSecret(state_.secret(PasswordName("allod_owner"))));
  return PostgresUrl(state_, "allod_owner", database) + " password=" + password;
}

Status PostgresCluster::Ping() const {
  return RunToEnd(Program("pg_isready", {"--quiet", "--host", (state_.postgres() / "run").string()}),
                  std::chrono::seconds(5));
}

Status PostgresCluster::Migrate(const fs::path& migrations) const {
  ALLOD_TRY(const std::string postgres_url, OwnerUrl("postgres"));
  ALLOD_CHECK_OK(EnsureDatabase(postgres_url, "allod"));
  ALLOD_TRY(const std::string owner_url, OwnerUrl("allod"));
  for (const auto& service : DatabaseServices()) {
    ALLOD_TRY(const std::string password, installation::ReadSecret(state_.secret(PasswordName("allod_" + service))));
    ALLOD_TRY([[maybe_unused]] const MigrationReport report,
              allod::Migrate(owner_url, service, migrations / service, password));
  }
  return {};
}

std::string RedisSocket(const StateDir& state) { return (state.redis() / "redis.sock").string(); }

Result<ChildSpec> RedisSpec(const StateDir& state, const ServiceUsers& users) {
  ChildSpec spec;
  spec.name = "redis";
  for (const char* path : {"/usr/bin/redis-server", "/usr/bin/valkey-server"}) {
    std::error_code ec;
    if (fs::exists(path, ec)) {
      spec.argv = {path};
      break;
    }
  }
  if (spec.argv.empty()) {
    return FailedPrecondition("REDIS_NOT_INSTALLED",
                              "neither /usr/bin/redis-server nor /usr/bin/valkey-server: apt-get install redis-server");
  }
  spec.user = users.Of("redis");
  spec.reach = state.root();
  // Nothing that must last is kept in it: no snapshots, no append-only file, bounded memory.
  for (const std::string& arg :
       {std::string("--port"), std::string("0"), std::string("--unixsocket"), RedisSocket(state),
        std::string("--unixsocketperm"), std::string("770"), std::string("--save"), std::string(""),
        std::string("--appendonly"), std::string("no"), std::string("--maxmemory"), std::string("64mb"),
        std::string("--maxmemory-policy"), std::string("allkeys-lru"), std::string("--dir"), state.redis().string(),
        std::string("--daemonize"), std::string("no")}) {
    spec.argv.push_back(arg);
  }
  spec.log = state.log("redis");
  return spec;
}

}  // namespace allod::cli::supervisor
