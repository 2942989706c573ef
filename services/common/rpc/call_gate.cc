#include "services/common/rpc/call_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <tuple>

#include "services/common/call_scope.h"

namespace allod {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{1000};

std::unique_ptr<CallGate> OperatorGate(const CallGate::Limits& limits) {
  if (limits.operator_max == 0) return nullptr;
  return std::make_unique<CallGate>(CallGate::Limits{.what = limits.what,
                                                     .per_key_max = limits.operator_max,
                                                     .total_max = limits.operator_max,
                                                     .waiting_per_key_max = limits.operator_waiting_max,
                                                     .waiting_max = limits.operator_waiting_max,
                                                     .wait_max = limits.wait_max});
}

}  // namespace

CallGate::CallGate(Limits limits) : limits_(std::move(limits)), operator_gate_(OperatorGate(limits_)) {}

Error CallGate::Refusal(const std::string& name, bool turned_away) const {
  const auto at = keys_.find(name);
  const int own = at == keys_.end() ? 0 : at->second.running;
  const bool is_own = turned_away || own >= limits_.per_key_max;
  Error out{is_own ? Code::kResourceExhausted : Code::kUnavailable, "TOO_MANY_CALLS",
            is_own ? fmt::format("{} of your {} run at once, and others wait; try again when they have ended", own,
                                 limits_.what)
                   : fmt::format("{} {} run at once; try again shortly", running_, limits_.what)};
  out.retry_after = kRetryAfter;
  return out;
}

Result<CallGate::Pass> CallGate::Enter(const std::string& name) {
  std::unique_lock lock(mutex_);
  Key& key = keys_[name];  // stays where it is while it has calls
  // Whoever waits cannot run either: who could was called when the place became free.
  if (HasRoom(key)) {
    Start(key);
  } else if (const auto waited = Wait(lock, key); waited != Waiter::State::kCalled) {
    const bool too_late = CurrentDeadline().passed();
    const Error refusal = too_late ? DeadlineExceeded() : Refusal(name, waited == Waiter::State::kTurnedAway);
    ForgetIfIdle(name);
    return std::unexpected(refusal);
  }
  Pass pass;
  pass.key_ = name;
  pass.gate_ = this;
  return pass;
}

Result<CallGate::Pass> CallGate::Enter(const Caller& caller) {
  if (caller.kind == Caller::Kind::kNode || caller.kind == Caller::Kind::kService) return Pass();
  if (caller.kind == Caller::Kind::kOperator && operator_gate_) return operator_gate_->Enter(caller.Owner());
  return Enter(caller.Owner());
}

int CallGate::waiting(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto at = keys_.find(key);
  return at == keys_.end() ? 0 : at->second.waiting;
}

void CallGate::Start(Key& key) {
  ++key.running;
  ++running_;
  key.served = ++turns_;
}

// `key` may be gone afterwards, unless the waiter was called.
CallGate::Waiter::State CallGate::Wait(std::unique_lock<std::mutex>& lock, Key& key) {
  Waiter self;
  if (key.waiting >= limits_.waiting_per_key_max || !MakeWaitingRoom(key)) return self.state;
  self.key = &key;
  ++key.waiting;
  waiters_.push_back(&self);
  self.changed.wait_for(lock, CurrentDeadline().Bound(limits_.wait_max),
                        [&] { return self.state != Waiter::State::kWaiting; });
  if (self.state == Waiter::State::kWaiting) EndWait(self, Waiter::State::kWaiting);
  return self.state;
}

bool CallGate::MakeWaitingRoom(const Key& key) {
  if (std::ssize(waiters_) < limits_.waiting_max) return true;
  if (waiters_.empty()) return false;
  const Key* most = (*std::ranges::max_element(waiters_, {}, [](const Waiter* w) { return w->key->waiting; }))->key;
  if (most->waiting <= key.waiting + 1) return false;
  Waiter* last = nullptr;
  for (Waiter* waiter : waiters_) {
    if (waiter->key == most) last = waiter;
  }
  EndWait(*last, Waiter::State::kTurnedAway);
  return true;
}

void CallGate::EndWait(Waiter& waiter, Waiter::State state) {
  waiters_.remove(&waiter);
  --waiter.key->waiting;
  waiter.state = state;
  waiter.changed.notify_one();
}

void CallGate::CallWaiters() {
  while (running_ < limits_.total_max) {
    Waiter* next = nullptr;
    for (Waiter* waiter : waiters_) {
      const Key& key = *waiter->key;
      if (key.running >= limits_.per_key_max) continue;
      if (next == nullptr || std::tie(key.running, key.served) < std::tie(next->key->running, next->key->served)) {
        next = waiter;
      }
    }
    if (next == nullptr) return;
    Start(*next->key);
    EndWait(*next, Waiter::State::kCalled);
  }
}

void CallGate::ForgetIfIdle(const std::string& name) {
  const auto at = keys_.find(name);
  if (at != keys_.end() && at->second.running == 0 && at->second.waiting == 0) keys_.erase(at);
}

void CallGate::Leave(const std::string& name) {
  const std::lock_guard lock(mutex_);
  --running_;
  --keys_.find(name)->second.running;
  CallWaiters();
  ForgetIfIdle(name);
}

}  // namespace allod
