// One supervised process: how it is started, and what is known of it while it runs.
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/supervisor/service_users.h"
#include "services/common/owned_fd.h"
#include "services/common/process/owned_child.h"
#include "services/common/result.h"

namespace allod::cli::supervisor {

struct ChildSpec {
  std::string name;
  std::vector<std::string> argv;  // argv[0] is the absolute path of the executable
  std::filesystem::path log;      // where standard output and error go
  // Whom it runs as, with no other groups and no capability but `capabilities` (numbers; for uid 0 only). Nothing: as
  // the caller, with what the caller has.
  std::optional<ServiceUser> user;
  std::vector<int> capabilities = {};
  // A directory that it must reach. Where a parent is closed to its user, e.g. root's home, that parent is covered in a
  // mount namespace of the child's own, and the directory shown at its path there.
  std::filesystem::path reach = {};
  // It tells its layers (services/common/sandbox/service.h).
  bool tells_layers = false;
  int stop_signal = SIGTERM;
  // Sent by the kernel if the supervisor dies, so that nothing outlives it.
  int orphan_signal = SIGTERM;
  std::chrono::milliseconds stop_grace{8000};
};

struct RunningChild {
  OwnedChild process;
  OwnedFd layers;  // what it tells of its layers; does not block
};

// Starts it with `output`, which stays the caller's, as its standard output and error, with no right to gain privileges
// and without core files, which would hold other people's data. The calling thread must live as long as the child shall
// (PR_SET_PDEATHSIG). FAILED_PRECONDITION / CANNOT_START with the step that failed.
Result<RunningChild> StartChild(const ChildSpec& spec, int output);

// Runs a short program to its end, its output being appended to `spec.log`. FAILED_PRECONDITION / PROGRAM_FAILED with
// the last lines.
Status RunToEnd(const ChildSpec& spec, std::chrono::seconds timeout);

// For people: "exited with 1" or "killed by signal 9".
std::string DescribeEnd(const ProcessEnd& end);

// The last `lines` lines of a log file, for messages.
std::string LastLines(const std::filesystem::path& log, int lines);

}  // namespace allod::cli::supervisor
