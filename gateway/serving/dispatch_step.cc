#include "gateway/serving/dispatch_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace allod::gateway::serving {
namespace {

using std::chrono::milliseconds;
using SteadyTime = DispatchState::SteadyTime;

constexpr milliseconds kPauseMax(1000);
constexpr int kTriesMax = 8;
// A request under which a worker died may be what killed it.
constexpr int kTriesWhenStartedMax = 2;
constexpr int kLostWorkersMax = 2;

Error NotInTime(const DispatchState& state, const std::string& instance) {
  return {Code::kUnavailable, "NO_READY_REPLICA",
          fmt::format("the instance was not ready within {} ms: try again while it is being started; if it cannot be, "
                      "its status says why (GET /portal/v1/{})",
                      state.wait_max.count(), instance),
          milliseconds(2000)};
}

// Calls wait for a connection, so one that ends without a word of the worker was under way when the connection broke.
bool LostItsWorker(const FailedTry& failed) {
  return failed.connected && failed.error.code == Code::kUnavailable && failed.error.reason == "RPC_FAILED";
}

DispatchStep GiveUp(Error error) { return {.kind = DispatchStep::Kind::kGiveUp, .error = std::move(error)}; }

}  // namespace

DispatchStep NextStep(DispatchState& state, const InstanceRoute& route, bool leaving, SteadyTime now) {
  if (leaving) {
    return GiveUp({Code::kUnavailable, "SHUTTING_DOWN", "the gateway is restarting; try again", milliseconds(1000)});
  }
  const bool in_time = now < state.wait_ends;
  std::shared_ptr<Replica> replica = PickReplica(route, state.failed_targets);
  if (!replica && in_time && !state.queue_full && state.tries == 1 && !state.failed_targets.empty()) {
    // What failed once may have gone to sleep in between: the next connection wakes it.
    state.failed_targets.clear();
    ++state.tries;
    replica = PickReplica(route, {});
  }
  if (replica && (state.tries == 0 || in_time)) {
    return {.kind = DispatchStep::Kind::kTry, .replica = std::move(replica)};
  }
  if (state.queue_full) {
    return GiveUp({Code::kResourceExhausted, "QUEUE_FULL",
                   "every replica of the instance has as many requests as it takes; try again", milliseconds(1000)});
  }
  if (!in_time) return GiveUp(NotInTime(state, route.instance));
  const SteadyTime until = std::min(state.wait_ends, now + state.pause);
  state.pause = std::min(state.pause * 2, kPauseMax);
  state.failed_targets.clear();
  return {.kind = DispatchStep::Kind::kWait, .until = until};
}

std::optional<Error> AfterFailure(DispatchState& state, const FailedTry& failed) {
  ++state.tries;
  if (LostItsWorker(failed)) ++state.lost_workers;
  const Error& error = failed.error;
  if (failed.leaving) return error;
  if (failed.delivered) {
    const bool was_lost = error.code == Code::kUnavailable;
    const bool was_ended = error.reason == "DRAINED";
    if (!was_lost || !EndedByChange(*failed.route, failed.target, failed.current, was_ended)) return error;
    return Error{Code::kFailedPrecondition, "INSTANCE_CHANGED",
                 "the instance was changed or deleted while this answer was under way"};
  }
  if (error.reason == "QUEUE_FULL") {
    state.queue_full = true;
    if (failed.route->replicas.size() <= 1) return error;
  } else {
    if (error.code != Code::kUnavailable || error.reason == "TOO_MANY_WAITING") return error;
    const int tries_max = failed.started ? kTriesWhenStartedMax : kTriesMax;
    if (failed.connected && (state.tries >= tries_max || state.lost_workers >= kLostWorkersMax)) return error;
  }
  state.failed_targets.push_back(failed.target);
  return std::nullopt;
}

Result<bool> CheckConnection(const DispatchState& state, grpc_connectivity_state connection,
                             const std::string& instance, SteadyTime now) {
  switch (connection) {
    case GRPC_CHANNEL_READY:
      return true;
    case GRPC_CHANNEL_TRANSIENT_FAILURE:
    case GRPC_CHANNEL_SHUTDOWN:
      return std::unexpected(
          Error{Code::kUnavailable, "REPLICA_UNREACHABLE", "the replica cannot be reached", milliseconds(1000)});
    case GRPC_CHANNEL_IDLE:
    case GRPC_CHANNEL_CONNECTING:
      break;
  }
  if (now < state.wait_ends) return false;
  return std::unexpected(NotInTime(state, instance));
}

}  // namespace allod::gateway::serving
