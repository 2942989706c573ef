// The private PostgreSQL cluster and the private Redis of one installation: Debian's own programs, on Unix sockets
// below the state directory, each as a user of its own also when root starts them. Their directories are there
// (layout.h); nothing in what they may write is followed or believed.
#pragma once

#include <string>
#include <vector>

#include "cli/installation/state_dir.h"
#include "cli/supervisor/child.h"
#include "cli/supervisor/service_users.h"
#include "services/common/result.h"

namespace allod::cli::supervisor {

class PostgresCluster {
 public:
  // Finds the newest installed PostgreSQL (15 or later). FAILED_PRECONDITION / POSTGRES_NOT_INSTALLED,
  // NO_POSTGRES_USER.
  static Result<PostgresCluster> Prepare(const installation::StateDir& state, const ServiceUsers& users);
  // Makes the cluster if there is none; a cluster that an interrupted run left half-made is made anew.
  Status Initialise() const;
  ChildSpec Spec() const;
  // The owner role's, with its password.
  Result<std::string> OwnerUrl(const std::string& database) const;
  Status Ping() const;
  // Creates the database `allod` and runs every service's migrations; each app role's password is in secrets/.
  Status Migrate(const std::filesystem::path& migrations) const;
  static std::string PasswordName(const std::string& role) { return "pg_" + role + "_password"; }

 private:
  PostgresCluster(const installation::StateDir& state, const ServiceUsers& users, std::filesystem::path bin);
  ChildSpec Program(const std::string& name, std::vector<std::string> args) const;
  installation::StateDir state_;
  std::filesystem::path bin_;
  std::optional<ServiceUser> user_;
};

// A connection string without its password.
std::string PostgresUrl(const installation::StateDir& state, const std::string& role, const std::string& database);

// FAILED_PRECONDITION / REDIS_NOT_INSTALLED.
Result<ChildSpec> RedisSpec(const installation::StateDir& state, const ServiceUsers& users);
std::string RedisSocket(const installation::StateDir& state);

}  // namespace allod::cli::supervisor
