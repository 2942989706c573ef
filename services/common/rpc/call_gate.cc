#include "services/common/rpc/call_gate.h"

#include <fmt/format.h>

namespace allod {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{1000};

}  // namespace

Error CallGate::Refusal(const Key& key) const {
  const bool own = key.running >= limits_.per_key_max;
  Error out{
      own ? Code::kResourceExhausted : Code::kUnavailable, "TOO_MANY_CALLS",
      own ? fmt::format("{} of your {} run at once; wait for them to end, then try again", key.running, limits_.what)
          : fmt::format("{} {} run at once; try again shortly", running_, limits_.what)};
  out.retry_after = kRetryAfter;
  return out;
}

Result<CallGate::Pass> CallGate::Enter(const std::string& name) {
  std::unique_lock lock(mutex_);
  Key& key = keys_[name];  // stays where it is while it has calls
  if (!HasRoom(key) && key.waiting < limits_.waiting_per_key_max && waiting_ < limits_.waiting_max) {
    ++key.waiting;
    ++waiting_;
    changed_.wait_for(lock, limits_.wait_max, [&] { return HasRoom(key); });
    --key.waiting;
    --waiting_;
  }
  if (!HasRoom(key)) {
    const Error refusal = Refusal(key);
    if (key.running == 0 && key.waiting == 0) keys_.erase(name);
    return std::unexpected(refusal);
  }
  Pass pass;
  pass.key_ = name;
  ++key.running;
  ++running_;
  pass.gate_ = this;
  return pass;
}

Result<CallGate::Pass> CallGate::Enter(const Caller& caller) {
  if (caller.kind == Caller::Kind::kNode || caller.kind == Caller::Kind::kService) return Pass();
  return Enter(caller.Owner());
}

void CallGate::Leave(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = keys_.find(name);
    --running_;
    if (--at->second.running == 0 && at->second.waiting == 0) keys_.erase(at);
  }
  changed_.notify_all();
}

}  // namespace allod
