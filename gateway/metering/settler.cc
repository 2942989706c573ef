#include "gateway/metering/settler.h"

#include <utility>
#include <vector>

#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/timestamp.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDeadline(5000);

billing::v1::SettleRequest ToOldRequest(const Settlement& settlement) {
  billing::v1::SettleRequest out;
  out.set_request_id(settlement.entry.request_id.ToString());
  out.set_tenant(settlement.entry.tenant);
  out.set_outcome(static_cast<billing::v1::Outcome>(settlement.outcome));
  out.set_prompt_tokens(settlement.prompt_tokens);
  out.set_completion_tokens(settlement.completion_tokens);
  return out;
}

void Put(const Settlement& settlement, billing::v1::LeasedUsage& out) {
  const LeaseTerms terms = settlement.terms.value_or(LeaseTerms());
  out.set_request_id(settlement.entry.request_id.ToString());
  out.set_lease_id(terms.lease_id.ToString());
  out.set_instance(settlement.entry.instance);
  out.set_api_key(terms.api_key);
  out.mutable_terms()->set_price_book(terms.price.price_book);
  out.mutable_terms()->set_variant(terms.price.variant);
  out.mutable_terms()->set_isolation_class(terms.price.isolation_class);
  out.set_prompt_tokens_max(terms.bounds.prompt);
  out.set_completion_tokens_max(terms.bounds.completion);
  out.set_outcome(static_cast<billing::v1::Outcome>(settlement.outcome));
  out.set_prompt_tokens(settlement.prompt_tokens);
  out.set_completion_tokens(settlement.completion_tokens);
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
  SettleQueue::Batch batch;
  std::vector<Settlement> settlements;  // of its slots
  billing::v1::SettleRequest old_request;
  billing::v1::UsageRecord old_response;
  billing::v1::SettleBatchRequest request;
  billing::v1::SettleBatchResponse response;
  std::unique_ptr<grpc::ClientContext> context;
};

// What billing said: of the call if there are no verdicts, else of each.
struct Settler::Answers {
  SettleVerdict call = SettleVerdict::kSettled;
  std::vector<SettleVerdict> verdicts{};
  std::vector<Error> errors{};  // of those that were refused
  std::vector<Amount> costs{};
};

Settler::Settler(Journal& journal, std::shared_ptr<grpc::Channel> billing, milliseconds reserve_time_max, Events events)
    : journal_(journal),
      usage_(billing::v1::UsageService::NewStub(billing)),
      leases_(billing::v1::LeaseService::NewStub(billing)),
      reserve_time_max_(reserve_time_max),
      events_(std::move(events)),
      earlier_(journal.recovered().begin(), journal.recovered().end()) {
  for (const int slot : journal.recovered()) queue_.Add(slot, LaneOf(slot));
  if (queue_.pending() > 0) {
    Log(LogLevel::kWarning, "settling requests that an earlier gateway left",
        {{"count", std::to_string(queue_.pending())}});
  } else if (events_.earlier_settled) {
    events_.earlier_settled();
  }
  // A settlement that was half begun is found in the journal by the next process.
  thread_ = OwnedThread("settler", [this](const std::stop_token& stop) { Loop(stop); });
}

Settler::~Settler() { Stop(milliseconds(0)); }

SettleQueue::Lane Settler::LaneOf(int slot) const { return {journal_.TenantOf(slot), journal_.IsOld(slot)}; }

void Settler::Enqueue(int slot) {
  {
    const std::lock_guard lock(mutex_);
    if (!queue_.Add(slot, LaneOf(slot))) return;  // the thread looks again by itself
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
    SettleQueue::Step step = queue_.NextStep(std::chrono::steady_clock::now());
    if (step.batch) {
      Start(*std::move(step.batch));
      continue;
    }
    if (queue_.idle()) changed_.notify_all();  // Stop() waits for that
    if (step.until) {
      changed_.wait_until(lock, stop, *step.until, has_news);
    } else {
      changed_.wait(lock, stop, has_news);
    }
  }
}

void Settler::Start(SettleQueue::Batch batch) {  // mutex_ held; the callback never runs inside the call that starts it
  auto* attempt = new Attempt;
  for (const int slot : batch.slots) attempt->settlements.push_back(journal_.Read(slot));
  attempt->batch = std::move(batch);
  attempt->context = MakeContext(Caller::Service("gateway"), kDeadline);
  running_.insert(attempt);
  PassFaultPoint(FaultPoint::kSettleSending);
  const auto done = [this, attempt](const grpc::Status& status) { OnDone(attempt, status); };
  if (attempt->batch.lane.old) {
    attempt->old_request = ToOldRequest(attempt->settlements.front());
    usage_->async()->Settle(attempt->context.get(), &attempt->old_request, &attempt->old_response, done);
    return;
  }
  attempt->request.set_tenant(attempt->batch.lane.tenant);
  for (const Settlement& settlement : attempt->settlements) {
    auto& usage = *attempt->request.add_usage();
    Put(settlement, usage);
    if (!events_.slices_of || !settlement.terms) continue;
    for (const SliceKey& slice : events_.slices_of(settlement)) {
      auto& row = *usage.add_slices();
      row.set_budget_uid(slice.budget.ToString());
      *row.mutable_start_time() = ToTimestamp(slice.start);
    }
  }
  leases_->async()->SettleBatch(attempt->context.get(), &attempt->request, &attempt->response, done);
  PassFaultPoint(FaultPoint::kSettleSent);
}

Settler::Answers Settler::Read(const Attempt& attempt, const grpc::Status& status) const {
  const std::size_t count = attempt.settlements.size();
  const Error error = status.ok() ? Error{Code::kOk} : FromGrpc(status);
  Answers out{.errors = std::vector<Error>(count, error), .costs = std::vector<Amount>(count)};
  if (attempt.batch.lane.old) {
    out.call = JudgeOld(error.code, attempt.settlements.front(), std::chrono::system_clock::now(), reserve_time_max_);
    return out;
  }
  const auto& results = attempt.response.results();
  out.call = Judge(error.code);
  if (status.ok() && results.size() != static_cast<int>(count)) {
    out.call = SettleVerdict::kRefused;
    out.errors.assign(count, {Code::kInternal, "INVALID_ANSWER", "billing answered for another number of requests"});
  }
  if (out.call != SettleVerdict::kSettled) return out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& result = results[static_cast<int>(i)];
    out.verdicts.push_back(result.reason().empty() ? SettleVerdict::kSettled : SettleVerdict::kRefused);
    out.errors[i] = {Code::kFailedPrecondition, result.reason(), result.message()};
    // What cannot be read leaves nothing free: less is admitted then, never more.
    const std::string& cost = result.cost();
    const Amount held =
        CostOf(attempt.settlements[i].terms->prices, attempt.settlements[i].terms->bounds).value_or(Amount());
    out.costs[i] = cost.empty() ? Amount() : Amount::Parse("cost", cost).value_or(held);
  }
  return out;
}

bool Settler::EarlierEnded(int slot) { return earlier_.erase(slot) > 0 && earlier_.empty(); }

void Settler::OnDone(Attempt* attempt, const grpc::Status& status) {
  PassFaultPoint(FaultPoint::kSettleAnswered);
  const Answers answers = Read(*attempt, status);
  const std::vector<int>& slots = attempt->batch.slots;
  // Before its slots may be taken by others.
  for (std::size_t i = 0; i < answers.verdicts.size(); ++i) {
    const bool settled = answers.verdicts[i] == SettleVerdict::kSettled && attempt->settlements[i].terms;
    if (settled && events_.settled) events_.settled(attempt->settlements[i], answers.costs[i]);
  }
  PassFaultPoint(FaultPoint::kSettleTold);
  bool earlier_ended = false;
  std::unique_lock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  const std::vector<SettleQueue::Fate> fates = answers.verdicts.empty()
                                                   ? queue_.OnAnswer(attempt->batch, answers.call, now)
                                                   : queue_.OnAnswer(attempt->batch, answers.verdicts, now);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    telemetry::CountSettlement(VerdictName(answers.verdicts.empty() ? answers.call : answers.verdicts[i]));
    if (fates[i] == SettleQueue::Fate::kKept) continue;
    if (fates[i] == SettleQueue::Fate::kRefused) LogRefusal(attempt->settlements[i], answers.errors[i]);
    earlier_ended = EarlierEnded(slots[i]) || earlier_ended;
    if (fates[i] == SettleQueue::Fate::kDone) journal_.Free(slots[i]);
    PassFaultPoint(FaultPoint::kSettleFreeing);
  }
  telemetry::SetSettlementsRefused(static_cast<int>(queue_.refused()));
  if (earlier_ended && events_.earlier_settled) {
    lock.unlock();
    events_.earlier_settled();
    lock.lock();
  }
  running_.erase(attempt);
  delete attempt;
  has_news_ = true;
  changed_.notify_all();
}

}  // namespace allod::gateway::metering
