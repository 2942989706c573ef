// Where everything of one installation lies: `allod up --state DIR` and every other command agree on it through this
// class.
//
//   DIR/
//     allod.lock   held by the running supervisor; its process id is the content
//     config/ secrets/ run/ keys/ postgres/ redis/ artifacts/ journal/ usage/ logs/
//
// supervisor/layout.h tells what is whose.
#pragma once

#include <filesystem>
#include <string>

#include "services/common/result.h"

namespace allod::cli::installation {

class StateDir {
 public:
  // `given`, else $ALLOD_STATE, else /var/lib/allod for root, else $XDG_STATE_HOME/allod or ~/.local/state/allod.
  // Absolute, without links. INVALID_ARGUMENT / STATE_PATH_TOO_LONG when Unix sockets would not fit (they are limited
  // to 107 bytes); FAILED_PRECONDITION / UNSAFE_PATH when another user could exchange it or what lies in it.
  static Result<StateDir> Resolve(const std::string& given);

  // The same for an operator of one role, "support" or "auditor", who reaches the services by run/ROLE.sock only.
  StateDir As(const std::string& role) const {
    StateDir out = *this;
    out.role_ = role;
    return out;
  }

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path role_socket(const std::string& role) const { return run() / (role + ".sock"); }
  std::filesystem::path lock() const { return root_ / "allod.lock"; }
  std::filesystem::path config(const std::string& process) const { return root_ / "config" / (process + ".json"); }
  std::filesystem::path secret(const std::string& name) const { return root_ / "secrets" / name; }
  std::filesystem::path run() const { return root_ / "run"; }
  // Where a project's API key lies unless the operator says otherwise.
  std::filesystem::path key(const std::string& tenant, const std::string& project) const {
    return root_ / "keys" / (tenant + "-" + project + ".key");
  }
  std::filesystem::path log(const std::string& process) const { return root_ / "logs" / (process + ".log"); }
  std::filesystem::path postgres() const { return root_ / "postgres"; }
  std::filesystem::path redis() const { return root_ / "redis"; }
  std::filesystem::path artifacts() const { return root_ / "artifacts"; }
  std::filesystem::path journal() const { return root_ / "journal"; }
  // The rings in which workers count what they compute.
  std::filesystem::path usage() const { return root_ / "usage"; }
  std::filesystem::path status() const { return run() / "status.json"; }
  // The gRPC target of a service, e.g. "unix:/.../run/billing/grpc.sock". The gateway's is the operators'.
  std::string target(const std::string& service) const {
    return "unix:" + (role_.empty() ? run() / service / "grpc.sock" : role_socket(role_)).string();
  }
  // The gateway's base address, e.g. "http://127.0.0.1:8080". FAILED_PRECONDITION / NOT_UP before the first `allod up`.
  Result<std::string> HttpBase() const;
  // What browsers know the gateway as; empty: nobody signs in by one. Of an installation that has been up.
  Result<std::string> PublicUrl() const;
  // The same of the operators' address, which serves /metrics; empty if the last `allod up` knew none.
  Result<std::string> OperatorsBase() const;

 private:
  explicit StateDir(std::filesystem::path root) : root_(std::move(root)) {}
  std::filesystem::path root_;
  std::string role_;  // empty: the operator, whom every service's own socket is open to
};

}  // namespace allod::cli::installation
