// What a zygote is told to fork.
//
// A worker is forked with a shape only. It makes what it serves and its server, belonging to nobody, and serves when
// the agent assigns it members: at once, or, for a spare that was forked ahead, when somebody needs it.
#pragma once

#include <cstdint>
#include <string>

namespace allod::inference::zygote {

// What a process is made for; two of one shape can take each other's place.
struct WorkerShape {
  std::string artifact_sha256;
  std::int32_t context_tokens = 0;    // of one sequence; 0: what the model was trained for
  std::int32_t max_sequences = 1;     // decoded together
  std::int32_t kv_tokens = 0;         // cells of the KV cache; 0: context_tokens x max_sequences
  std::int32_t threads = 0;           // 0: what suits the model
  std::int32_t chunk_tokens_max = 0;  // of prompt in one step; 0: the engine's own limit
  bool strict = false;                // refuse to serve in an incomplete sandbox

  bool operator==(const WorkerShape&) const = default;
};

struct WorkerSpec {
  std::uint64_t id = 0;  // the agent's number for this start
  WorkerShape shape;
  bool is_spare = false;  // forked ahead: there is time to warm up
};

}  // namespace allod::inference::zygote
