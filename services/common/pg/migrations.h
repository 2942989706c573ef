// Runs a service's forward-only migrations: migrations/<service>/NNNN_verb_noun.sql, numbers without gaps, in order,
// each in one transaction with its row (number, name, SHA-256) in <service>.schema_migrations, all under one advisory
// lock. A file that was changed after it ran, or is missing, is refused: FAILED_PRECONDITION / MIGRATION_CHANGED,
// MIGRATION_MISSING. Safe to run again and from several machines at once.
//
// Beforehand the roles and the schema exist or are made: `allod_<service>` (the app role: LOGIN, NOBYPASSRLS, owns
// nothing) and schema <service>, owned by the connecting owner role. Afterwards the app role is granted USAGE on the
// schema and SELECT, INSERT, UPDATE, DELETE on its tables unless the migration revokes them (insert-only tables do).
// It may neither make a table, not even a temporary one, nor name a trigger function that runs as its owner.
#pragma once

#include <filesystem>
#include <string>

#include "services/common/result.h"

namespace allod {

struct MigrationReport {
  int applied = 0;
  int total = 0;
};

// `owner_url` connects as a role that may create schemas (superuser when roles are to be made). `app_password` is set
// on the app role.
Result<MigrationReport> Migrate(const std::string& owner_url, const std::string& service,
                                const std::filesystem::path& directory, const std::string& app_password);

// Creates the database unless it exists. `owner_url` connects to another one, e.g. `postgres`.
Status EnsureDatabase(const std::string& owner_url, const std::string& database);

}  // namespace allod
