// What a zygote is told to fork: one worker's shape and members. Travels as JSON from the node agent to the worker.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "inference/members.h"
#include "services/common/result.h"

namespace allod::inference::zygote {

struct WorkerSpec {
  std::uint64_t id = 0;  // the agent's number for this start
  std::string artifact_sha256;
  std::vector<Member> members;        // a pooled worker has several, all others one
  std::int32_t context_tokens = 0;    // of one sequence; 0: what the model was trained for
  std::int32_t max_sequences = 1;     // decoded together
  std::int32_t kv_tokens = 0;         // cells of the KV cache; 0: context_tokens x max_sequences
  std::int32_t threads = 0;           // 0: what suits the model
  std::int32_t chunk_tokens_max = 0;  // of prompt in one step; 0: the engine's own limit
  bool strict = false;                // refuse to serve in an incomplete sandbox
};

nlohmann::json ToJson(const std::vector<Member>& members);
nlohmann::json ToJson(const WorkerSpec& spec);
// INVALID_ARGUMENT / BAD_MESSAGE.
Result<std::vector<Member>> MembersFrom(const nlohmann::json& json);
Result<WorkerSpec> WorkerSpecFrom(const nlohmann::json& json);

// The descriptors that come with it, in this order.
enum WorkerFd : std::size_t {
  kFdListen = 0,   // the socket that gateways connect to, listening
  kFdControl = 1,  // Channel to the agent
  kFdPage = 2,     // gate::WorkerPage
  kFdGate = 3,     // the arbiter's eventfd
  kFdRing = 4,     // usage ring
  kFdLog = 5,      // standard error
  kWorkerFds = 6,
};

}  // namespace allod::inference::zygote
