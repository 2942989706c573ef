// What a job process gives up before it reads a byte of a foreign file: everything but the descriptors that it was
// started with. The same layers as a worker's (inference/sandbox), and for good.
//
// The agent maps its users, puts it into control groups and says who it becomes, over a channel; without a channel (by
// hand) the process confines itself as far as its own rights go. Every step is attempted and its success recorded. The
// process goes on in a child of the calling one, alone in its pid namespace: call from the main thread, before others
// exist, with nothing buffered.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/sandbox/layers.h"
#include "inference/zygote/channel.h"
#include "services/common/result.h"

namespace allod::inference::compress {

struct JobLimits {
  std::uint64_t address_space_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t cpu_seconds = 0;  // all threads together
};

// In proportion to the source file: a compressed copy of it, both mapped, one of them repacked, and the buffers
// between. Time is that of the agent's own limit, on every thread.
JobLimits LimitsForJob(std::uint64_t input_bytes, int threads);

struct JobFile {
  int fd = -1;
  bool write = false;
};

struct ConfineOptions {
  JobLimits limits;
  std::vector<JobFile> files;  // all that it may still open, by /proc/self/fd
  bool die_with_parent = false;
  bool strict = false;
};

// The layers in force. FAILED_PRECONDITION / SANDBOX_INCOMPLETE when `strict` and one is missing.
Result<sandbox::Layers> EnterJobSandbox(zygote::Channel& agent, const ConfineOptions& options);

}  // namespace allod::inference::compress
