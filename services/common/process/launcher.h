// Starts one program again and again on behalf of a process that may start none itself: a service gives up fork and
// exec before it serves (sandbox/service_filter.h).
//
// Start() forks a small process before that. It has one thread, no file but its socket, no capability, and never looks
// at what it is asked to hand over. Each run is a child of it: input is the child's standard input, standard output and
// standard error are its output, all three files in memory, so that nobody waits for anybody's pipe. It runs in a
// process group of its own with an empty environment, and is killed at its deadline, when its caller has gone, or when
// the launcher or the service ends. So a run that crashes, hangs or writes without end costs its caller an error and
// nobody else anything.
//
// Run() is thread-safe. The launcher ends with the object, and with the thread that called Start().
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "services/common/owned_fd.h"
#include "services/common/process/owned_child.h"
#include "services/common/result.h"

namespace allod {

struct LaunchLimits {
  std::chrono::milliseconds time{30'000};
  std::uint64_t output_bytes_max = 64 << 20;  // of each; the child gets SIGXFSZ beyond (RLIMIT_FSIZE)
  std::uint64_t memory_bytes_max = 1 << 30;   // mapped (RLIMIT_AS)
};

struct LaunchResult {
  ProcessEnd end;
  bool timed_out = false;  // it was killed at its deadline
  std::string output;
  std::string error;  // of standard error the first 4 KiB
};

class Launcher {
 public:
  static constexpr int kChildrenMax = 8;

  // Call while the process has one thread, and before it enters its sandbox. UNAVAILABLE / CANNOT_START_PROCESS.
  static Result<Launcher> Start(const std::filesystem::path& program, const LaunchLimits& limits);
  ~Launcher();
  Launcher(Launcher&&) noexcept = default;
  Launcher& operator=(Launcher&&) = delete;

  // Waits for its end. UNAVAILABLE / CANNOT_START_PROCESS: nothing was started; RESOURCE_EXHAUSTED / TOO_MANY_PROCESSES
  // beyond kChildrenMax at once.
  Result<LaunchResult> Run(std::string_view input) const;
  // Of the launcher itself.
  int pid() const { return process_.pid(); }

 private:
  Launcher() = default;

  std::filesystem::path program_;
  LaunchLimits limits_;
  OwnedChild process_;
  OwnedFd control_;
};

}  // namespace allod
