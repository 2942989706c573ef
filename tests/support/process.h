// A child process of a test: it dies with the test program, whatever happens to that.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "services/common/process/owned_child.h"

namespace allod {

struct ProcessOptions {
  std::vector<std::string> environment;  // "NAME=value", on top of this process's own
  std::filesystem::path output;          // standard output and error; discarded when empty
  std::string user;                      // run as this user when this process is root
  int death_signal = SIGKILL;            // what the kernel sends when the thread that spawned it ends
};

// One thread at a time.
class Process {
 public:
  // args[0] is a path, or a name looked up in PATH. Throws std::runtime_error when it cannot be started.
  explicit Process(const std::vector<std::string>& args, const ProcessOptions& options = {});
  ~Process() = default;  // SIGKILL, then waits
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return child_.pid(); }
  bool Running() { return !Wait(std::chrono::milliseconds(0)); }
  // Nothing when it has ended already.
  void Signal(int signal);
  // The exit status, 128 + n after signal n; nothing when it still runs after `timeout`.
  std::optional<int> Wait(std::chrono::milliseconds timeout);
  // SIGTERM, then SIGKILL after `grace`.
  int Stop(std::chrono::milliseconds grace = std::chrono::seconds(10));
  std::string Output() const;  // what it has written so far

 private:
  OwnedChild child_;
  std::optional<int> status_;
  std::filesystem::path output_;
};

// Runs a program to its end. Throws when it does not end within `timeout`.
struct Finished {
  int status;
  std::string output;
};
Finished RunToEnd(const std::vector<std::string>& args, std::chrono::milliseconds timeout, ProcessOptions options = {});

// What a process has in memory beside its programs' and libraries' pages: its share of those changes whenever another
// process that has them comes or goes. 0 when this process may not see it.
std::int64_t OwnMemoryBytes(pid_t pid);

}  // namespace allod
