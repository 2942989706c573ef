#include "services/common/rpc/long_poll.h"

#include <algorithm>

namespace allod {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What is left of the caller's deadline to answer in.
constexpr milliseconds kPollAnswerTime{100};
// How soon it is noticed that the caller has gone.
constexpr milliseconds kCancelCheckInterval{200};

milliseconds Bounded(milliseconds wait, const grpc::ServerContext& context) {
  wait = std::clamp(wait, milliseconds(0), kLongPollWaitMax);
  const auto now = std::chrono::system_clock::now();
  if (context.deadline() >= now + wait + kPollAnswerTime) return wait;
  return std::chrono::floor<milliseconds>(context.deadline() - now) - kPollAnswerTime;
}

}  // namespace

Status LongPoll(const grpc::ServerContext& context, const ChangeSignal& changes, const LongPollOptions& options,
                const std::function<Result<bool>()>& look) {
  const auto end = steady_clock::now() + Bounded(options.wait, context);
  for (;;) {
    const std::uint64_t seen = changes.revision();
    ALLOD_TRY(const bool found, look());
    const auto looked = steady_clock::now();
    if (found || looked >= end) return {};
    const auto until = options.look_every ? std::min(end, looked + *options.look_every) : end;
    bool changed = false;
    for (auto now = looked; !changed && now < until; now = steady_clock::now()) {
      const auto left = std::chrono::ceil<milliseconds>(until - now);
      changed = changes.WaitPast(seen, std::min(left, kCancelCheckInterval)) > seen;
      if (context.IsCancelled() || changes.stopped()) return {};
    }
    if (!changed && !options.look_every) return {};
  }
}

}  // namespace allod
