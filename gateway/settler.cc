#include "gateway/settler.h"

#include <algorithm>

#include "gateway/gateway_metrics.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kRunningMax = 16;
constexpr milliseconds kDeadline(5000);
constexpr milliseconds kInDoubtPause(500);
constexpr milliseconds kBackoffMin(100);
constexpr milliseconds kBackoffMax(2000);

billing::v1::SettleRequest ToRequest(const Settlement& settlement) {
  billing::v1::SettleRequest out;
  out.set_request_id(settlement.entry.request_id.ToString());
  out.set_tenant(settlement.entry.tenant);
  out.set_outcome(static_cast<billing::v1::Outcome>(settlement.outcome));
  out.set_prompt_tokens(settlement.prompt_tokens);
  out.set_completion_tokens(settlement.completion_tokens);
  return out;
}

}  // namespace

// One call in flight; owned by the settler's set until its callback ran.
struct Settler::Attempt {
  int slot = 0;
  billing::v1::SettleRequest request;
  billing::v1::UsageRecord record;
  std::unique_ptr<grpc::ClientContext> context;
};

bool IsFinalRefusal(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return true;
    default:
      return false;
  }
}

Settler::Settler(Journal& journal, std::shared_ptr<grpc::Channel> billing, milliseconds reserve_time_max)
    : journal_(journal), stub_(billing::v1::UsageService::NewStub(billing)), reserve_time_max_(reserve_time_max) {
  queue_.assign(journal.recovered().begin(), journal.recovered().end());
  if (!queue_.empty()) {
    Log(LogLevel::kWarning, "settling requests that an earlier gateway left",
        {{"count", std::to_string(queue_.size())}});
  }
  thread_ = std::thread([this] { Loop(); });
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
  return queue_.size() + running_.size() + in_doubt_.size();
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
    if (queue_.empty() && !in_doubt_.empty()) {
      changed_.wait_until(lock, in_doubt_.front().first);
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
  for (; !in_doubt_.empty() && in_doubt_.front().first <= now; in_doubt_.pop_front()) {
    queue_.push_back(in_doubt_.front().second);
  }
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
  const Settlement settlement = journal_.Read(attempt->slot);
  const Error error = status.ok() ? Error{Code::kOk} : FromGrpc(status);
  const bool final_refusal = IsFinalRefusal(error.code);
  // A reservation that was never acknowledged may never have reached billing, then there is nothing to settle; or it is
  // still on its way.
  const bool nothing_there = error.code == Code::kNotFound && !settlement.reserved;
  const bool in_doubt =
      nothing_there && std::chrono::system_clock::now() < settlement.entry.admit_time + reserve_time_max_;
  if (final_refusal && !nothing_there) {
    CountSettlement("refused");
    Log(LogLevel::kError, "billing refused a settlement for good",
        {{"request_id", attempt->request.request_id()},
         {"tenant", attempt->request.tenant()},
         {"instance", settlement.entry.instance},
         {"outcome", billing::v1::Outcome_Name(attempt->request.outcome())},
         {"prompt_tokens", std::to_string(settlement.prompt_tokens)},
         {"completion_tokens", std::to_string(settlement.completion_tokens)},
         {"error", error.message}});
  } else {
    CountSettlement(status.ok() ? "settled" : nothing_there && !in_doubt ? "void" : "retried");
  }
  const bool done = status.ok() || (final_refusal && !in_doubt);
  if (done) journal_.Free(attempt->slot);
  const std::lock_guard lock(mutex_);
  if (done || in_doubt) {
    backoff_ = milliseconds(0);
    if (in_doubt) in_doubt_.emplace_back(std::chrono::steady_clock::now() + kInDoubtPause, attempt->slot);
  } else {
    queue_.push_back(attempt->slot);
    backoff_ = std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax);
    not_before_ = std::chrono::steady_clock::now() + backoff_;
  }
  running_.erase(attempt);
  delete attempt;
  changed_.notify_all();
}

}  // namespace allod::gateway
