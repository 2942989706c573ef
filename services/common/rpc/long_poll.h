// An RPC that waits for something to become true: looks at once and again after every change, and ends in time to
// answer. It holds a server thread meanwhile and nothing else; how many may wait is its service's to bound.
#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <functional>
#include <optional>

#include "services/common/change_signal.h"
#include "services/common/result.h"

namespace allod {

// Longer waits are cut.
inline constexpr std::chrono::milliseconds kLongPollWaitMax{30'000};

struct LongPollOptions {
  std::chrono::milliseconds wait = kLongPollWaitMax;  // as asked for; below 0 it is 0
  // How soon something is seen that `changes` do not tell of: another process did it, or time. Unset: there is no such
  // thing.
  std::optional<std::chrono::milliseconds> look_every;
};

// Calls `look`, without any lock, until it answers true or fails; its error is returned. Returns also when the wait or
// the caller's deadline (less the time to answer) is over, the caller has gone or `changes` were stopped: who called
// knows from what `look` saw last.
Status LongPoll(const grpc::ServerContext& context, const ChangeSignal& changes, const LongPollOptions& options,
                const std::function<Result<bool>()>& look);

}  // namespace allod
