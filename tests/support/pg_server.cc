#include "tests/support/pg_server.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <stdexcept>
#include <thread>
#include <vector>

#include "services/common/pg/connection_string.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allod {
namespace {

namespace fs = std::filesystem;
using Parameters = std::map<std::string, std::string>;

constexpr char kUser[] = "postgres";
constexpr auto kStartMax = std::chrono::seconds(30);

bool records_statements = false;

// The newest /usr/lib/postgresql/*/bin, or none when the programs are in PATH.
std::string Program(const std::string& name) {
  std::string best;
  int newest = 0;
  std::error_code error;
  for (fs::directory_iterator it("/usr/lib/postgresql", error), end; !error && it != end; it.increment(error)) {
    const int version = std::atoi(it->path().filename().c_str());
    if (version > newest && fs::exists(it->path() / "bin" / name)) {
      newest = version;
      best = (it->path() / "bin" / name).string();
    }
  }
  return best.empty() ? name : best;
}

Parameters Parse(const std::string& url) {
  auto out = ParseConnectionString(url);
  if (!out) throw std::runtime_error("ALLOD_TEST_PG_URL: " + out.error().message);
  return *out;
}

}  // namespace

struct PgServer::Impl {
  Parameters parameters;
  std::optional<TempDir> dir;
  std::optional<Process> process;
  std::vector<std::string> args;
  ProcessOptions options;

  void Start() {
    dir.emplace();
    if (geteuid() == 0) {
      const passwd* entry = getpwnam(kUser);
      if (entry == nullptr || chown(dir->path().c_str(), entry->pw_uid, entry->pw_gid) != 0) {
        throw std::runtime_error("PostgreSQL does not run as root, and there is no user postgres");
      }
      // Programs of ours reach its socket without the right to pass over modes, which they give up at their start.
      fs::permissions(dir->path(), fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add);
    }
    options.user = kUser;
    const fs::path data = *dir / "data";
    const Finished made =
        RunToEnd({Program("initdb"), "-D", data, "-U", kUser, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"},
                 std::chrono::seconds(120), options);
    if (made.status != 0) throw std::runtime_error("initdb failed: " + made.output);
    options.output = *dir / "log";
    options.death_signal = SIGQUIT;  // immediate shutdown: SIGKILL would leave its children and shared memory a while
    args = {Program("postgres"), "-D", data, "-k", dir->path(), "-h", ""};
    for (const char* setting : {"fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60",
                                "autovacuum=off", "max_wal_size=128MB", "log_min_messages=fatal"}) {
      args.insert(args.end(), {"-c", setting});
    }
    if (records_statements) {
      for (const char* setting : {"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=all",
                                  "pg_stat_statements.track_utility=on", "pg_stat_statements.max=20000"}) {
        args.insert(args.end(), {"-c", setting});
      }
    }
    parameters = {{"host", dir->path()}, {"user", kUser}};
    Launch();
  }

  void Launch() {
    process.emplace(args, options);
    const auto deadline = std::chrono::steady_clock::now() + kStartMax;
    while (!Answers()) {
      if (!process->Running() || std::chrono::steady_clock::now() > deadline) {
        throw std::runtime_error("PostgreSQL did not start: " + process->Output());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  bool Answers() const {
    try {
      Parameters to = parameters;
      to["dbname"] = "postgres";
      const pqxx::connection connection(ToConnectionString(to));
      return true;
    } catch (const pqxx::broken_connection&) {
      return false;
    }
  }
};

PgServer::PgServer() : impl_(std::make_unique<Impl>()) {
  if (const char* url = std::getenv("ALLOD_TEST_PG_URL"); url != nullptr && *url != '\0') {
    impl_->parameters = Parse(url);
  } else {
    impl_->Start();
  }
}

PgServer::~PgServer() {
  if (!impl_->process) return;
  impl_->process->Signal(SIGQUIT);
  impl_->process->Wait(std::chrono::seconds(10));
}

bool PgServer::Crash() {
  if (!impl_->process) return false;
  impl_->process->Signal(SIGQUIT);
  impl_->process->Wait(std::chrono::seconds(10));
  impl_->Launch();
  return true;
}

void PgServer::RecordStatements() { records_statements = true; }

PgServer& PgServer::Get() {
  static PgServer server;
  return server;
}

std::string PgServer::Url(const std::string& database) const {
  Parameters to = impl_->parameters;
  to["dbname"] = database;
  return ToConnectionString(to);
}

std::string PgServer::UrlAs(const std::string& user, const std::string& database) const {
  Parameters to = impl_->parameters;
  to.erase("password");
  to["user"] = user;
  to["dbname"] = database;
  return ToConnectionString(to);
}

}  // namespace allod
