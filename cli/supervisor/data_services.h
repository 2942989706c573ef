// The private PostgreSQL cluster and the private Redis of one installation: Debian's own programs, on Unix sockets
// below the state directory, as an unprivileged user also when root starts them.
#pragma once

#include <string>
#include <vector>

#include "cli/state_dir.h"
#include "cli/supervisor/child.h"
#include "services/common/result.h"

namespace allod::cli {

class PostgresCluster {
 public:
  // Finds the newest installed PostgreSQL (15 or later). FAILED_PRECONDITION / POSTGRES_NOT_INSTALLED.
  static Result<PostgresCluster> Prepare(const StateDir& state);
  // Makes the cluster if there is none; a cluster that an interrupted run left half-made is made anew.
  Status Initialise() const;
  ChildSpec Spec() const;
  // A connection string without its password.
  std::string Url(const std::string& role, const std::string& database) const;
  // The owner role's, with its password.
  Result<std::string> OwnerUrl(const std::string& database) const;
  Status Ping() const;
  // Creates the database `allod` and runs every service's migrations; each app role's password is in secrets/.
  Status Migrate(const std::filesystem::path& migrations) const;
  static std::string PasswordName(const std::string& role) { return "pg_" + role + "_password"; }

 private:
  PostgresCluster(const StateDir& state, std::filesystem::path bin);
  ChildSpec Program(const std::string& name, std::vector<std::string> args) const;
  StateDir state_;
  std::filesystem::path bin_;
  std::optional<ServiceUser> user_;
  std::filesystem::path seen_;  // postgres/ as the server's user sees it
};

// FAILED_PRECONDITION / REDIS_NOT_INSTALLED.
Result<ChildSpec> RedisSpec(const StateDir& state);
std::string RedisSocket(const StateDir& state);

// Names of the services that have a schema, in the order in which their migrations run.
const std::vector<std::string>& DatabaseServices();

// Makes secrets/NAME with 32 random bytes in hexadecimal unless it is there.
Status EnsureSecret(const StateDir& state, const std::string& name);

}  // namespace allod::cli
