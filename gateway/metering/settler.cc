#include "gateway/metering/settler.h"

#include <algorithm>

#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRunningMax = 16;
constexpr milliseconds kDeadline(5000);
constexpr milliseconds kShortPause(500);
constexpr milliseconds kBackoffMin(100);
constexpr milliseconds kBackoffMax(2000);
constexpr milliseconds kRefusedPauseMin(1000);
constexpr milliseconds kRefusedPauseMax(60'000);

billing::v1::SettleRequest ToRequest(const Settlement& settlement) {
  billing::v1::SettleRequest out;
  out.set_request_id(settlement.entry.request_id.ToString());
  out.set_tenant(settlement.entry.tenant);
  out.set_outcome(static_cast<billing::v1::Outcome>(settlement.outcome));
  out.set_prompt_tokens(settlement.prompt_tokens);
  out.set_completion_tokens(settlement.completion_tokens);
  return out;
}

const char* VerdictName(SettleVerdict verdict) {
  switch (verdict) {
    case SettleVerdict::kSettled:
      return "settled";
    case SettleVerdict::kVoid:
      return "void";
    case SettleVerdict::kRefused:
      return "refused";
    case SettleVerdict::kAway:
    case SettleVerdict::kBusy:
    case SettleVerdict::kInDoubt:
      return "retried";
  }
  return "retried";
}

void LogRefusal(const Settlement& settlement, const Error& error) {
  Log(LogLevel::kError, "billing refuses a settlement; the journal keeps it and it is tried again",
      {{"request_id", settlement.entry.request_id.ToString()},
       {"tenant", settlement.entry.tenant},
       {"instance", settlement.entry.instance},
       {"outcome", billing::v1::Outcome_Name(static_cast<billing::v1::Outcome>(settlement.outcome))},
       {"prompt_tokens", std::to_string(settlement.prompt_tokens)},
       {"completion_tokens", std::to_string(settlement.completion_tokens)},
       {"reason", error.reason},
       {"error", error.message}});
}

}  // namespace

// One call in flight; owned by the settler's set until its callback ran.
struct Settler::Attempt {
  int slot = 0;
  billing::v1::SettleRequest request;
  billing::v1::UsageRecord record;
  std::unique_ptr<grpc::ClientContext> context;
};

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

Settler::Settler(Journal& journal, std::shared_ptr<grpc::Channel> billing, milliseconds reserve_time_max)
    : journal_(journal), stub_(billing::v1::UsageService::NewStub(billing)), reserve_time_max_(reserve_time_max) {
  queue_.assign(journal.recovered().begin(), journal.recovered().end());
  if (!queue_.empty()) {
    Log(LogLevel::kWarning, "settling requests that an earlier gateway left",
        {{"count", std::to_string(queue_.size())}});
  }
  // A settlement that was half begun is found in the journal by the next process.
  thread_ = std::thread([this] { OrEnd("settler", [this] { Loop(); }); });
}

Settler::~Settler() { Stop(milliseconds(0)); }

void Settler::Enqueue(int slot) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(slot);
  }
  changed_.notify_all();
}

std::size_t Settler::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.size() + running_.size() + later_.size();
}

std::size_t Settler::refused() const {
  const std::lock_guard lock(mutex_);
  return refusals_.size();
}

void Settler::Stop(milliseconds grace) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, grace, [this] { return stopping_ || (queue_.empty() && running_.empty()); });
  stopping_ = true;
  for (Attempt* attempt : running_) attempt->context->TryCancel();
  changed_.notify_all();
  changed_.wait(lock, [this] { return running_.empty(); });
  lock.unlock();
  if (thread_.joinable()) thread_.join();
}

void Settler::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    // After a failure one attempt at a time probes whether billing is back.
    const std::size_t running_max = backoff_.count() > 0 ? 1 : kRunningMax;
    TakeDue(std::chrono::steady_clock::now());
    if (queue_.empty() && !later_.empty()) {
      changed_.wait_until(lock, later_.begin()->first);
    } else if (queue_.empty() || running_.size() >= running_max) {
      changed_.wait(lock);
    } else if (std::chrono::steady_clock::now() < not_before_) {
      changed_.wait_until(lock, not_before_);
    } else {
      const int slot = queue_.front();
      queue_.pop_front();
      Start(slot);
    }
  }
}

void Settler::TakeDue(SteadyTime now) {
  for (; !later_.empty() && later_.begin()->first <= now; later_.erase(later_.begin())) {
    queue_.push_back(later_.begin()->second);
  }
}

milliseconds Settler::PauseOf(int slot) {
  milliseconds& pause = refusals_[slot];
  pause = std::clamp(pause * 2, kRefusedPauseMin, kRefusedPauseMax);
  return pause;
}

void Settler::Start(int slot) {  // mutex_ held; the callback never runs inside the call that starts it
  auto* attempt = new Attempt;
  attempt->slot = slot;
  attempt->request = ToRequest(journal_.Read(slot));
  attempt->context = MakeContext(Caller::Service("gateway"), kDeadline);
  running_.insert(attempt);
  stub_->async()->Settle(attempt->context.get(), &attempt->request, &attempt->record,
                         [this, attempt](grpc::Status status) { OnDone(attempt, status); });
}

void Settler::OnDone(Attempt* attempt, const grpc::Status& status) {
  const int slot = attempt->slot;
  const Settlement settlement = journal_.Read(slot);
  const Error error = status.ok() ? Error{Code::kOk} : FromGrpc(status);
  const SettleVerdict verdict = Judge(error.code, settlement, std::chrono::system_clock::now(), reserve_time_max_);
  telemetry::CountSettlement(VerdictName(verdict));
  const bool done = verdict == SettleVerdict::kSettled || verdict == SettleVerdict::kVoid;
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (verdict == SettleVerdict::kAway) {
    queue_.push_back(slot);
    backoff_ = std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax);
    not_before_ = now + backoff_;
  } else {
    backoff_ = milliseconds(0);
  }
  if (verdict == SettleVerdict::kInDoubt || verdict == SettleVerdict::kBusy) later_.emplace(now + kShortPause, slot);
  if (verdict == SettleVerdict::kRefused) {
    if (!refusals_.contains(slot)) LogRefusal(settlement, error);
    later_.emplace(now + PauseOf(slot), slot);
  }
  if (done) {
    refusals_.erase(slot);
    journal_.Free(slot);
  }
  telemetry::SetSettlementsRefused(static_cast<int>(refusals_.size()));
  running_.erase(attempt);
  delete attempt;
  changed_.notify_all();
}

}  // namespace allod::gateway::metering
