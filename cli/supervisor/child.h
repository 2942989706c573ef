// One supervised process: how it is started, and what is known of it while it runs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli {

// The user that PostgreSQL and Redis run as when root starts them.
struct ServiceUser {
  uid_t uid;
  gid_t gid;
  std::string name;
};

// Nothing for an ordinary user; for root the user `postgres` (which Debian's package makes), else `nobody`.
std::optional<ServiceUser> UnprivilegedUser();

struct ChildSpec {
  std::string name;
  std::vector<std::string> argv;  // argv[0] is the absolute path of the executable
  std::filesystem::path log;      // standard output and error are appended
  std::optional<ServiceUser> user;
  // Shows `bind_from` at `bind_to` in a mount namespace of the child's own. For a directory that the child's user
  // cannot reach by its path, e.g. below root's home. Empty: nothing.
  std::filesystem::path bind_from;
  std::filesystem::path bind_to;
  int stop_signal = SIGTERM;
  // Sent by the kernel if the supervisor dies, so that nothing outlives it.
  int orphan_signal = SIGTERM;
  std::chrono::milliseconds stop_grace{8000};
};

struct RunningChild {
  pid_t pid = -1;
  int pidfd = -1;
};

// Starts it. The calling thread must live as long as the child shall (PR_SET_PDEATHSIG). FAILED_PRECONDITION /
// CANNOT_START with the step that failed.
Result<RunningChild> StartChild(const ChildSpec& spec);

// Runs a short program to its end, its output going to `spec.log`. FAILED_PRECONDITION / PROGRAM_FAILED with the last
// lines.
Status RunToEnd(const ChildSpec& spec, std::chrono::seconds timeout);

// The last `lines` lines of a log file, for messages.
std::string LastLines(const std::filesystem::path& log, int lines);

}  // namespace allod::cli
