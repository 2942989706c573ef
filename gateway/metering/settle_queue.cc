#include "gateway/metering/settle_queue.h"

#include <algorithm>

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRunningMax = 16;
constexpr milliseconds kShortRest(500);
constexpr milliseconds kBackoffMin(100);
constexpr milliseconds kBackoffMax(2000);
constexpr milliseconds kRefusedRestMin(1000);
constexpr milliseconds kRefusedRestMax(60'000);

}  // namespace

SettleVerdict Judge(Code answer, const Settlement& settlement, Time now, milliseconds reserve_time_max) {
  switch (answer) {
    case Code::kOk:
      return SettleVerdict::kSettled;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kCancelled:
      return SettleVerdict::kAway;
    case Code::kResourceExhausted:
    case Code::kAborted:
      return SettleVerdict::kBusy;
    case Code::kNotFound:
      // A reservation that was never acknowledged may never have reached billing; or it is still on its way. Nothing
      // ran.
      if (settlement.reserved || settlement.completion_tokens > 0) return SettleVerdict::kRefused;
      return now < settlement.entry.admit_time + reserve_time_max ? SettleVerdict::kInDoubt : SettleVerdict::kVoid;
    default:
      return SettleVerdict::kRefused;
  }
}

void SettleQueue::Add(int slot) { due_.push_back(slot); }

SettleQueue::Step SettleQueue::NextStep(SteadyTime now) {
  for (; !resting_.empty() && resting_.begin()->first <= now; resting_.erase(resting_.begin())) {
    due_.push_back(resting_.begin()->second);
  }
  if (due_.empty()) return {.until = resting_.empty() ? std::nullopt : std::optional(resting_.begin()->first)};
  const std::size_t running_max = backoff_.count() > 0 ? 1 : kRunningMax;
  if (running_ >= running_max) return {};
  if (now < not_before_) return {.until = not_before_};
  const int slot = due_.front();
  due_.pop_front();
  ++running_;
  return {.slot = slot};
}

SettleQueue::Fate SettleQueue::OnAnswer(int slot, SettleVerdict verdict, SteadyTime now) {
  --running_;
  backoff_ = verdict == SettleVerdict::kAway ? std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax) : milliseconds(0);
  switch (verdict) {
    case SettleVerdict::kAway:
      due_.push_back(slot);
      not_before_ = now + backoff_;
      return Fate::kKept;
    case SettleVerdict::kBusy:
    case SettleVerdict::kInDoubt:
      resting_.emplace(now + kShortRest, slot);
      return Fate::kKept;
    case SettleVerdict::kRefused: {
      const auto [refusal, is_first] = refusals_.try_emplace(slot, 0);
      refusal->second = std::clamp(refusal->second * 2, kRefusedRestMin, kRefusedRestMax);
      resting_.emplace(now + refusal->second, slot);
      return is_first ? Fate::kRefused : Fate::kKept;
    }
    case SettleVerdict::kSettled:
    case SettleVerdict::kVoid:
      break;
  }
  refusals_.erase(slot);
  return Fate::kDone;
}

}  // namespace allod::gateway::metering
