// What travels between the node agent, a zygote and its workers beside plain words: JSON, with descriptors.
//
// Both sides bound it; what is malformed is INVALID_ARGUMENT / BAD_MESSAGE.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "inference/ports/members.h"
#include "inference/zygote/channel.h"
#include "inference/zygote/worker_spec.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::zygote {

nlohmann::json ToJson(const WorkerSpec& spec);
Result<WorkerSpec> WorkerSpecFrom(const nlohmann::json& json);

// Whom a worker answers for: a pooled one for several members, all others for one.
nlohmann::json ToJson(const std::vector<ports::Member>& members);
Result<std::vector<ports::Member>> MembersFrom(const nlohmann::json& json);
// What a worker says of members that it did not take. What is malformed is left out.
nlohmann::json ToJson(const std::vector<ports::RefusedMember>& refused);
std::vector<ports::RefusedMember> RefusedFrom(const nlohmann::json& body);

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
  std::vector<ports::Member> members;
  std::vector<OwnedFd> fds;  // by AssignmentFd
};

nlohmann::json AssignMessage(const std::vector<ports::Member>& members);
// Waits for the agent's word. UNAVAILABLE / CHANNEL_CLOSED when the agent is gone or wants the worker no more.
Result<Assigned> AwaitAssignment(Channel& control);

}  // namespace allod::inference::zygote
