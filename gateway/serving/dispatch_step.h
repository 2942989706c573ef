// What a request that needs a replica does next: run there, wait, or give up. Pure: no I/O, no coroutine, no clock.
// Dispatch does what is said here, and says how each try failed.
//
// What never reached a worker may be tried as often as the wait allows; what workers sent back, 7 times more; what
// ended with its worker, or had been taken up by it, once, because it may be what ended it, whether that worker had
// come to say that it took it up or not; what was delivered in part, never. A full queue is not waited for: another
// replica, or none. What every known replica has failed is tried again after pauses that grow from 25 ms to 1 s, or
// when the routes change.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/serving/routes.h"
#include "services/common/result.h"

namespace allod::gateway::serving {

struct DispatchState {
  using SteadyTime = std::chrono::steady_clock::time_point;

  // How long it may wait for a replica, and so until when.
  std::chrono::milliseconds wait_max{};
  SteadyTime wait_ends{};

  int tries = 0;
  int lost_workers = 0;                     // under this request, without a word
  bool queue_full = false;                  // somewhere; no reason to wait
  std::vector<std::string> failed_targets;  // not to be tried before the next wait
  std::chrono::milliseconds pause{25};      // of the next wait, if the routes stay

  bool operator==(const DispatchState&) const = default;
};

struct DispatchStep {
  enum class Kind { kTry, kWait, kGiveUp };
  Kind kind = Kind::kGiveUp;
  std::shared_ptr<Replica> replica = nullptr;  // kTry
  DispatchState::SteadyTime until{};           // kWait: for a change of the routes, but no longer
  Error error{Code::kUnknown};                 // kGiveUp: for the client

  bool operator==(const DispatchStep&) const = default;
};

// `route` is the newest; `leaving`: the client is gone, or the gateway stops and has no more patience. UNAVAILABLE /
// SHUTTING_DOWN, NO_READY_REPLICA; RESOURCE_EXHAUSTED / QUEUE_FULL.
DispatchStep NextStep(DispatchState& state, const InstanceRoute& route, bool leaving, DispatchState::SteadyTime now);

// A try that ended without an answer.
struct FailedTry {
  Error error;                             // what the replica, or the connection to it, came to
  std::string target;                      // of the replica
  const InstanceRoute* route = nullptr;    // under which it was tried
  const InstanceRoute* current = nullptr;  // today's; null: there is none any more
  bool leaving = false;                    // as above
  bool connected = false;                  // the connection stood
  bool started = false;                    // a worker took the request up, now or in an earlier try
  bool delivered = false;                  // the client has some of the answer
};

// Nothing when NextStep() may find another replica, or another moment; else the error for the client: that of the try,
// or FAILED_PRECONDITION / INSTANCE_CHANGED for a stream whose replica is gone because of what the tenant did to its
// instance.
std::optional<Error> AfterFailure(DispatchState& state, const FailedTry& failed);

// Whether a connection that is being made stands. UNAVAILABLE / REPLICA_UNREACHABLE, NO_READY_REPLICA when it is to be
// given up.
Result<bool> CheckConnection(const DispatchState& state, grpc_connectivity_state connection,
                             const std::string& instance, DispatchState::SteadyTime now);

}  // namespace allod::gateway::serving
