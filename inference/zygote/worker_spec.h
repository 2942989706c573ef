// What a zygote is told to fork, and what the forked worker is told to answer for. Travels as JSON from the node agent.
//
// A worker is forked with a shape only. It makes its engine and its server, belonging to nobody, and serves when the
// agent assigns it: at once, or, for a spare that was forked ahead, when somebody needs it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "inference/ports/members.h"
#include "inference/zygote/channel.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::zygote {

struct WorkerSpec {
  std::uint64_t id = 0;  // the agent's number for this start
  std::string artifact_sha256;
  std::int32_t context_tokens = 0;    // of one sequence; 0: what the model was trained for
  std::int32_t max_sequences = 1;     // decoded together
  std::int32_t kv_tokens = 0;         // cells of the KV cache; 0: context_tokens x max_sequences
  std::int32_t threads = 0;           // 0: what suits the model
  std::int32_t chunk_tokens_max = 0;  // of prompt in one step; 0: the engine's own limit
  bool strict = false;                // refuse to serve in an incomplete sandbox
  bool is_spare = false;              // forked ahead: there is time to warm up
};

struct Assignment {
  std::vector<ports::Member> members;  // a pooled worker has several, all others one
};

nlohmann::json ToJson(const std::vector<ports::Member>& members);
// What a worker says of members that it did not take. Bounded on both sides; what is malformed is left out.
nlohmann::json ToJson(const std::vector<ports::RefusedMember>& refused);
std::vector<ports::RefusedMember> RefusedFrom(const nlohmann::json& body);
nlohmann::json ToJson(const WorkerSpec& spec);
// INVALID_ARGUMENT / BAD_MESSAGE.
Result<std::vector<ports::Member>> MembersFrom(const nlohmann::json& json);
Result<WorkerSpec> WorkerSpecFrom(const nlohmann::json& json);

// The descriptors that come with a fork, in this order.
enum WorkerFd : std::size_t {
  kFdControl = 0,  // Channel to the agent
  kFdPage = 1,     // gate::WorkerPage
  kFdGate = 2,     // its bell at the arbiter
  kFdLog = 3,      // standard error
  kWorkerFds = 4,
};

// And those that come with an assignment.
enum AssignmentFd : std::size_t {
  kFdListen = 0,  // the socket that gateways connect to, listening
  kFdRing = 1,    // usage ring
  kAssignmentFds = 2,
};

// As the worker gets it.
struct Assigned {
  Assignment assignment;
  std::vector<OwnedFd> fds;  // by AssignmentFd
};

nlohmann::json AssignMessage(const Assignment& assignment);
// Waits for the agent's word. UNAVAILABLE / CHANNEL_CLOSED when the agent is gone or wants the worker no more,
// INVALID_ARGUMENT / BAD_MESSAGE.
Result<Assigned> AwaitAssignment(Channel& control);

}  // namespace allod::inference::zygote
