#include "gateway/metering/settler.h"

#include <utility>

#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDeadline(5000);

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

Settler::Settler(Journal& journal, std::shared_ptr<grpc::Channel> billing, milliseconds reserve_time_max)
    : journal_(journal), stub_(billing::v1::UsageService::NewStub(billing)), reserve_time_max_(reserve_time_max) {
  for (const int slot : journal.recovered()) queue_.Add(slot);
  if (queue_.pending() > 0) {
    Log(LogLevel::kWarning, "settling requests that an earlier gateway left",
        {{"count", std::to_string(queue_.pending())}});
  }
  // A settlement that was half begun is found in the journal by the next process.
  thread_ = OwnedThread("settler", [this](const std::stop_token& stop) { Loop(stop); });
}

Settler::~Settler() { Stop(milliseconds(0)); }

void Settler::Enqueue(int slot) {
  {
    const std::lock_guard lock(mutex_);
    queue_.Add(slot);
    has_news_ = true;
  }
  changed_.notify_all();
}

std::size_t Settler::pending() const {
  const std::lock_guard lock(mutex_);
  return queue_.pending();
}

std::size_t Settler::refused() const {
  const std::lock_guard lock(mutex_);
  return queue_.refused();
}

void Settler::Stop(milliseconds grace) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, grace, [this] { return thread_.stop_requested() || queue_.idle(); });
  }
  thread_.Stop();  // from here on nothing is begun
  std::unique_lock lock(mutex_);
  for (Attempt* attempt : running_) attempt->context->TryCancel();
  changed_.wait(lock, [this] { return running_.empty(); });
}

void Settler::Loop(const std::stop_token& stop) {
  const auto has_news = [this] { return std::exchange(has_news_, false); };
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const SettleQueue::Step step = queue_.NextStep(std::chrono::steady_clock::now());
    if (step.slot) {
      Start(*step.slot);
    } else if (step.until) {
      changed_.wait_until(lock, stop, *step.until, has_news);
    } else {
      changed_.wait(lock, stop, has_news);
    }
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
  const int slot = attempt->slot;
  const Settlement settlement = journal_.Read(slot);
  const Error error = status.ok() ? Error{Code::kOk} : FromGrpc(status);
  const SettleVerdict verdict = Judge(error.code, settlement, std::chrono::system_clock::now(), reserve_time_max_);
  telemetry::CountSettlement(VerdictName(verdict));
  const std::lock_guard lock(mutex_);
  switch (queue_.OnAnswer(slot, verdict, std::chrono::steady_clock::now())) {
    case SettleQueue::Fate::kDone:
      journal_.Free(slot);
      break;
    case SettleQueue::Fate::kRefused:
      LogRefusal(settlement, error);
      break;
    case SettleQueue::Fate::kKept:
      break;
  }
  telemetry::SetSettlementsRefused(static_cast<int>(queue_.refused()));
  running_.erase(attempt);
  delete attempt;
  has_news_ = true;
  changed_.notify_all();
}

}  // namespace allod::gateway::metering
