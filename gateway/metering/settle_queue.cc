#include "gateway/metering/settle_queue.h"

#include <algorithm>

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRunningMax = 16;
constexpr std::size_t kBatchMax = 1000;  // that billing takes
constexpr milliseconds kPace(10);
constexpr milliseconds kShortRest(500);
constexpr milliseconds kBackoffMin(100);
constexpr milliseconds kBackoffMax(2000);
constexpr milliseconds kRefusedRestMin(1000);
constexpr milliseconds kRefusedRestMax(60'000);
constexpr int kWholeLane = -1;
constexpr int kPaced = -2;  // the whole lane, between two batches

}  // namespace

SettleVerdict Judge(Code answer) {
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
    default:
      return SettleVerdict::kRefused;
  }
}

SettleVerdict JudgeOld(Code answer, const Settlement& settlement, Time now, milliseconds reserve_time_max) {
  if (answer != Code::kNotFound) return Judge(answer);
  // A reservation that was never acknowledged may never have reached billing; or it is still on its way. Nothing ran.
  if (settlement.reserved || settlement.completion_tokens > 0) return SettleVerdict::kRefused;
  return now < settlement.entry.admit_time + reserve_time_max ? SettleVerdict::kInDoubt : SettleVerdict::kVoid;
}

bool SettleQueue::Ready(const Lane& lane) {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end() || found->second.running || found->second.resting) return false;
  if (found->second.slots.empty()) {
    lanes_.erase(found);
    return false;
  }
  ready_.push_back(lane);
  return true;
}

void SettleQueue::GoOn(const Lane& lane, SteadyTime now) {
  Due& due = lanes_[lane];
  const bool is_full = lane.old || due.slots.size() >= (due.batch_max > 0 ? due.batch_max : kBatchMax);
  if (due.resting || is_full || due.next <= now) {
    Ready(lane);
    return;
  }
  due.resting = true;
  resting_.emplace(due.next, std::pair(lane, kPaced));
  ++paced_;
}

bool SettleQueue::Add(int slot, const Lane& lane) {
  ++pending_;
  Due& due = lanes_[lane];
  due.slots.push_back(slot);
  return due.slots.size() == 1 && Ready(lane);
}

SettleQueue::Step SettleQueue::NextStep(SteadyTime now) {
  for (; !resting_.empty() && resting_.begin()->first <= now; resting_.erase(resting_.begin())) {
    const auto& [lane, slot] = resting_.begin()->second;
    if (slot == kPaced) --paced_;
    if (slot == kWholeLane || slot == kPaced) {
      lanes_[lane].resting = false;
      Ready(lane);
    } else {
      --pending_;
      Add(slot, lane);
    }
  }
  if (ready_.empty()) return {.until = resting_.empty() ? std::nullopt : std::optional(resting_.begin()->first)};
  const std::size_t running_max = backoff_.count() > 0 ? 1 : kRunningMax;
  if (running_ >= running_max) return {};
  if (now < not_before_) return {.until = not_before_};
  Batch batch{.lane = std::move(ready_.front()), .slots = {}};
  ready_.pop_front();
  Due& due = lanes_[batch.lane];
  const std::size_t max = batch.lane.old ? 1 : due.batch_max > 0 ? due.batch_max : kBatchMax;
  const auto end = due.slots.begin() + static_cast<std::ptrdiff_t>(std::min(max, due.slots.size()));
  batch.slots.assign(due.slots.begin(), end);
  due.slots.erase(due.slots.begin(), end);
  due.running = true;
  due.next = now + kPace;
  ++running_;
  return {.batch = std::move(batch)};
}

void SettleQueue::AnswerCame(SettleVerdict verdict, SteadyTime now) {
  --running_;
  backoff_ = verdict == SettleVerdict::kAway ? std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax) : milliseconds(0);
  if (verdict == SettleVerdict::kAway) not_before_ = now + backoff_;
}

SettleQueue::Fate SettleQueue::Judged(int slot, const Lane& lane, SettleVerdict verdict, SteadyTime now) {
  switch (verdict) {
    case SettleVerdict::kAway:
      lanes_[lane].slots.push_back(slot);
      return Fate::kKept;
    case SettleVerdict::kBusy:
    case SettleVerdict::kInDoubt:
      resting_.emplace(now + kShortRest, std::pair(lane, slot));
      return Fate::kKept;
    case SettleVerdict::kRefused: {
      const auto [refusal, is_first] = refusals_.try_emplace(slot, 0);
      refusal->second = std::clamp(refusal->second * 2, kRefusedRestMin, kRefusedRestMax);
      resting_.emplace(now + refusal->second, std::pair(lane, slot));
      return is_first ? Fate::kRefused : Fate::kKept;
    }
    case SettleVerdict::kSettled:
    case SettleVerdict::kVoid:
      break;
  }
  refusals_.erase(slot);
  --pending_;
  return Fate::kDone;
}

std::vector<SettleQueue::Fate> SettleQueue::OnAnswer(const Batch& batch, const std::vector<SettleVerdict>& verdicts,
                                                     SteadyTime now) {
  AnswerCame(SettleVerdict::kSettled, now);
  Due& due = lanes_[batch.lane];
  due.running = false;
  due.batch_max = due.batch_max * 2 < kBatchMax ? due.batch_max * 2 : 0;
  std::vector<Fate> out;
  for (std::size_t i = 0; i < batch.slots.size(); ++i) {
    out.push_back(Judged(batch.slots[i], batch.lane, verdicts[i], now));
  }
  GoOn(batch.lane, now);
  return out;
}

std::vector<SettleQueue::Fate> SettleQueue::OnAnswer(const Batch& batch, SettleVerdict verdict, SteadyTime now) {
  AnswerCame(verdict, now);
  Due& due = lanes_[batch.lane];
  due.running = false;
  std::vector<Fate> out(batch.slots.size(), Fate::kKept);
  if (verdict == SettleVerdict::kRefused && batch.slots.size() > 1) {
    due.batch_max = batch.slots.size() / 2;
    due.slots.insert(due.slots.begin(), batch.slots.begin(), batch.slots.end());
  } else if (verdict == SettleVerdict::kBusy) {
    due.slots.insert(due.slots.begin(), batch.slots.begin(), batch.slots.end());
    due.resting = true;
    resting_.emplace(now + kShortRest, std::pair(batch.lane, kWholeLane));
  } else {
    for (std::size_t i = 0; i < batch.slots.size(); ++i) {
      out[i] = Judged(batch.slots[i], batch.lane, verdict, now);
    }
  }
  GoOn(batch.lane, now);
  return out;
}

}  // namespace allod::gateway::metering
