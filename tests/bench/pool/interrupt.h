// Leaves nothing behind when a benchmark is interrupted (SIGINT, SIGTERM, SIGHUP): what was registered is ended and
// removed, then the process exits. Thread-safe.
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace allod::bench {

// Call first in main(): blocks the signals for all threads to come.
void HandleInterrupts();

// A child and its directory, from construction to destruction.
class EndedWhenInterrupted {
 public:
  EndedWhenInterrupted(pid_t child, std::filesystem::path directory);
  ~EndedWhenInterrupted();
  EndedWhenInterrupted(const EndedWhenInterrupted&) = delete;

 private:
  const pid_t child_;
};

}  // namespace allod::bench
