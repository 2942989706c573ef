// When a worker's threads last used the processor: what it really does, whatever it says. Reads /proc; needs root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "tests/bench/pool/stream_client.h"

namespace allod::bench {

class WorkerActivity {
 public:
  // Throws std::runtime_error when there is no such process.
  explicit WorkerActivity(pid_t pid);

  // Watches until the process has been idle for a while, or for `limit`, and returns the time of its last activity.
  SteadyTime AwaitIdle(std::chrono::milliseconds limit) const;

 private:
  std::int64_t ProcessorNanoseconds() const;

  std::vector<std::filesystem::path> threads_;
};

}  // namespace allod::bench
