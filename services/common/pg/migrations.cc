#include "services/common/pg/migrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <pqxx/pqxx>
#include <regex>
#include <string_view>
#include <system_error>
#include <vector>

#include "services/common/digest.h"
#include "services/common/fault_point.h"
#include "services/common/ids.h"
#include "services/common/log.h"
#include "services/common/pg/connection_string.h"
#include "services/common/pg/error.h"

namespace allod {
namespace {

namespace fs = std::filesystem;

constexpr int kFilesMax = 9999;
constexpr int kPrepareRunsMax = 5;
constexpr std::size_t kFileBytesMax = 4 << 20;

struct Migration {
  int number = 0;
  std::string name;  // the file name
  std::string sql;
  std::string sha256;
};

Result<std::string> ReadSql(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string sql(kFileBytesMax + 1, '\0');
  in.read(sql.data(), static_cast<std::streamsize>(sql.size()));
  sql.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad() || sql.empty() || sql.size() > kFileBytesMax) {
    return InvalidArgument("INVALID_MIGRATION",
                           fmt::format("{}: must hold 1 byte to {} bytes of SQL", path.string(), kFileBytesMax));
  }
  return sql;
}

Result<std::vector<Migration>> ReadMigrations(const fs::path& directory) {
  static const std::regex kName("([0-9]{4})_[a-z0-9_]+\\.sql");
  std::vector<Migration> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    Migration migration;
    migration.name = it->path().filename().string();
    if (!migration.name.ends_with(".sql")) continue;
    std::smatch match;
    if (!std::regex_match(migration.name, match, kName)) {
      return InvalidArgument("INVALID_MIGRATION", fmt::format("{}: name it NNNN_verb_noun.sql", it->path().string()));
    }
    migration.number = std::stoi(match[1]);
    ALLOD_TRY(migration.sql, ReadSql(it->path()));
    migration.sha256 = Sha256Hex(migration.sql);
    out.push_back(std::move(migration));
    if (out.size() > kFilesMax) return InvalidArgument("INVALID_MIGRATION", "there are too many migrations");
  }
  if (error) {
    return InvalidArgument("INVALID_MIGRATION", fmt::format("{}: {}", directory.string(), error.message()));
  }
  std::sort(out.begin(), out.end(), [](const Migration& a, const Migration& b) { return a.number < b.number; });
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].number != static_cast<int>(i) + 1) {
      return InvalidArgument("INVALID_MIGRATION", fmt::format("{}: the migrations must be numbered 0001, 0002, ... "
                                                              "without gaps or doubles; {} is out of order",
                                                              directory.string(), out[i].name));
    }
  }
  return out;
}

// The app role, its password and that it can do nothing but what it is granted.
void MakeRole(pqxx::work& work, const std::string& role, const std::string& password) {
  const bool exists = !work.exec_params("SELECT 1 FROM pg_roles WHERE rolname = $1", role).empty();
  // A password is no parameter in PostgreSQL's grammar; quote() escapes it, and log_statement would show it otherwise.
  work.exec("SET LOCAL log_statement = 'none'");
  work.exec(fmt::format("{} ROLE {} WITH LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD {}",
                        exists ? "ALTER" : "CREATE", work.quote_name(role), work.quote(password)));
}

// An app role has no table of its own anywhere, so that it puts no trigger on one: what a trigger function does as its
// owner it does for the tables that it was made for.
void RevokeTemporary(pqxx::work& work) {
  const auto row = work.exec1(
      "SELECT has_database_privilege('public', current_database(), 'TEMPORARY'), quote_ident(current_database())");
  if (row[0].as<bool>()) work.exec(fmt::format("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", row[1].c_str()));
}

// Nor may it name such a function: firing a trigger that is there asks for no privilege.
void SealTriggerFunctions(pqxx::connection& connection, const std::string& schema) {
  pqxx::work work(connection);
  for (const auto& row : work.exec_params("SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON "
                                          "n.oid = p.pronamespace WHERE n.nspname = $1 AND p.prosecdef AND "
                                          "p.prorettype = 'trigger'::regtype AND "
                                          "has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1",
                                          schema)) {
    work.exec(fmt::format("REVOKE ALL ON FUNCTION {} FROM PUBLIC", row[0].c_str()));
  }
  work.commit();
}

void MakeSchema(pqxx::work& work, const std::string& schema, const std::string& role) {
  const std::string s = work.quote_name(schema);
  const std::string r = work.quote_name(role);
  work.exec("CREATE SCHEMA IF NOT EXISTS " + s);
  work.exec("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
  RevokeTemporary(work);
  work.exec(fmt::format("GRANT USAGE ON SCHEMA {} TO {}", s, r));
  // Before the migrations, so that what one of them revokes stays revoked.
  work.exec(
      fmt::format("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}", s, r));
  work.exec(fmt::format("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT USAGE, SELECT ON SEQUENCES TO {}", s, r));
  const std::string table = s + ".schema_migrations";
  work.exec(
      fmt::format("CREATE TABLE IF NOT EXISTS {} (number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT "
                  "NULL, applied_at timestamptz NOT NULL DEFAULT now())",
                  table));
  work.exec(fmt::format("REVOKE ALL ON {} FROM {}", table, r));
}

// Every migration that ran must still be there, unchanged.
Status CheckHistory(const pqxx::result& history, const std::vector<Migration>& migrations) {
  for (const auto& row : history) {
    const auto number = row[0].as<int>();
    const auto name = row[1].as<std::string>();
    if (number < 1 || static_cast<std::size_t>(number) > migrations.size()) {
      return FailedPrecondition("MIGRATION_MISSING",
                                fmt::format("{} ran on this database but its file is gone; restore it, or run a newer "
                                            "release",
                                            name));
    }
    const Migration& migration = migrations[static_cast<std::size_t>(number) - 1];
    if (migration.name != name || migration.sha256 != row[2].as<std::string>()) {
      return FailedPrecondition(
          "MIGRATION_CHANGED", fmt::format("{} was changed after it ran (now {}); restore it and write a new migration "
                                           "instead",
                                           name, migration.name));
    }
  }
  return {};
}

Status Apply(pqxx::connection& connection, const std::string& service, const Migration& migration) {
  try {
    pqxx::work work(connection);
    work.exec(migration.sql);
    work.exec_params(fmt::format("INSERT INTO {}.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
                                 work.quote_name(service)),
                     migration.number, migration.name, migration.sha256);
    PassFaultPoint(FaultPoint::kMigrationWritten);
    work.commit();
    PassFaultPoint(FaultPoint::kMigrationCommitted);
    Log(LogLevel::kInfo, "migrated", {{"service", service}, {"migration", migration.name}});
    return {};
  } catch (const pqxx::sql_error& e) {
    // The reader wrote the SQL: unlike elsewhere, PostgreSQL's own words are the useful message.
    if (ClassifyPgFailure(e).connection_lost) return std::unexpected(DatabaseUnavailable());
    return FailedPrecondition("MIGRATION_FAILED", fmt::format("{}: {}", migration.name, e.what()));
  }
}

// Roles, schema and history in one transaction. Returns how many migrations have run.
Result<std::size_t> Prepare(pqxx::connection& connection, const std::string& service,
                            const std::vector<Migration>& migrations, const std::string& app_password) {
  pqxx::work work(connection);
  const std::string role = "allod_" + service;
  MakeRole(work, role, app_password);
  MakeSchema(work, service, role);
  const pqxx::result history = work.exec(
      fmt::format("SELECT number, name, sha256 FROM {}.schema_migrations ORDER BY number", work.quote_name(service)));
  ALLOD_CHECK_OK(CheckHistory(history, migrations));
  work.commit();
  return history.size();
}

// A role belongs to the whole server, an advisory lock to one database: the same service in two databases may meet
// here.
bool RoleCollision(const pqxx::sql_error& e) {
  return e.sqlstate() == "42710" || e.sqlstate() == "23505" ||
         std::string_view(e.what()).find("tuple concurrently updated") != std::string_view::npos;
}

Result<MigrationReport> MigrateLocked(pqxx::connection& connection, const std::string& service,
                                      const std::vector<Migration>& migrations, const std::string& app_password) {
  Result<std::size_t> done = 0;
  for (int run = 1;; ++run) {
    try {
      done = Prepare(connection, service, migrations, app_password);
      break;
    } catch (const pqxx::sql_error& e) {
      if (run == kPrepareRunsMax || !RoleCollision(e)) throw;
    }
  }
  if (!done) return std::unexpected(done.error());
  MigrationReport report{0, static_cast<int>(migrations.size())};
  for (std::size_t i = *done; i < migrations.size(); ++i) {
    ALLOD_CHECK_OK(Apply(connection, service, migrations[i]));
    ++report.applied;
  }
  SealTriggerFunctions(connection, service);
  return report;
}

}  // namespace

Result<MigrationReport> Migrate(const std::string& owner_url, const std::string& service, const fs::path& directory,
                                const std::string& app_password) {
  ALLOD_CHECK_OK(CheckId("service", service));
  if (app_password.empty()) return InvalidArgument("INVALID_PASSWORD", "the app role's password must not be empty");
  ALLOD_TRY(const std::vector<Migration> migrations, ReadMigrations(directory));
  ALLOD_TRY(auto parameters, ParseConnectionString(owner_url));
  parameters.try_emplace("connect_timeout", "5");
  parameters.try_emplace("application_name", "allod-migrate");
  try {
    pqxx::connection connection(ToConnectionString(parameters));
    {
      pqxx::nontransaction session(connection);
      session.exec("SET client_min_messages = warning");
      session.exec("SET lock_timeout = 0");
      // For the session: it ends with the connection, whatever happens.
      session.exec_params("SELECT pg_advisory_lock(hashtext('allod.migrations'), hashtext($1))", service);
    }
    return MigrateLocked(connection, service, migrations, app_password);
  } catch (const std::exception& e) {
    return std::unexpected(ClassifyPgFailure(e).error);
  }
}

Status EnsureDatabase(const std::string& owner_url, const std::string& database) {
  ALLOD_CHECK_OK(CheckId("database", database));
  ALLOD_TRY(auto parameters, ParseConnectionString(owner_url));
  parameters.try_emplace("connect_timeout", "5");
  try {
    pqxx::connection connection(ToConnectionString(parameters));
    pqxx::nontransaction session(connection);  // CREATE DATABASE cannot run inside a transaction
    session.exec_params("SELECT pg_advisory_lock(hashtext('allod.databases'), hashtext($1))", database);
    if (session.exec_params("SELECT 1 FROM pg_database WHERE datname = $1", database).empty()) {
      session.exec("CREATE DATABASE " + session.quote_name(database));
    }
    return {};
  } catch (const std::exception& e) {
    return std::unexpected(ClassifyPgFailure(e).error);
  }
}

}  // namespace allod
