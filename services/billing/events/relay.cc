#include "services/billing/events/relay.h"

#include <prometheus/counter.h>

#include <random>
#include <utility>

#include "services/billing/events/webhook.h"
#include "services/common/catching.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/metrics.h"
#include "services/common/tenant_round.h"
#include "services/common/text_check.h"

namespace allod::billing::events {
namespace {

using std::chrono::seconds;

constexpr seconds kPeriod{1};
constexpr seconds kTrimPeriod{10};
constexpr int kSinksPerPage = 200;
constexpr int kRowsPerTrim = 1000;
constexpr int kTrimsPerTenant = 20;
constexpr std::size_t kErrorCharsMax = 512;
constexpr std::string_view kTakeStage = "take_events";
constexpr std::string_view kTrimStage = "trim_events";

struct Counters {
  prometheus::Counter& delivered;
  prometheus::Counter& failed;
  prometheus::Counter& events;
  prometheus::Counter& suspended;
};

Counters& Count() {
  static auto& deliveries = prometheus::BuildCounter()
                                .Name("allod_billing_event_deliveries_total")
                                .Help("Batches of events that were sent to sinks, by what became of them")
                                .Register(Metrics());
  static Counters counters{deliveries.Add({{"result", "delivered"}}), deliveries.Add({{"result", "failed"}}),
                           prometheus::BuildCounter()
                               .Name("allod_billing_events_delivered_total")
                               .Help("Events that sinks took")
                               .Register(Metrics())
                               .Add({}),
                           prometheus::BuildCounter()
                               .Name("allod_billing_event_sinks_suspended_total")
                               .Help("Sinks that were suspended because they failed for too long")
                               .Register(Metrics())
                               .Add({})};
  return counters;
}

Status StatusOf(const Result<int>& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

double Chance() {
  static std::mt19937 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace

Relay::Relay(EventStore& store, Fetcher& fetcher, const SinkSecrets& secrets, const Clock& clock)
    : store_(store), fetcher_(fetcher), secrets_(secrets), clock_(clock) {
  Count();
}

void Relay::Start(bool sends) {
  thread_ = OwnedThread("event relay", [this, sends](const std::stop_token& stop) { Loop(stop, sends); });
}

void Relay::Stop() { thread_.Stop(); }

bool Relay::HasRoomFor(const SinkKey& key) const {
  if (in_flight_.contains(key)) return false;
  const auto of_tenant = in_flight_of_tenant_.find(key.tenant);
  if (of_tenant == in_flight_of_tenant_.end()) return true;
  return of_tenant->second < kInFlightPerTenantMax && in_flight_.size() < kInFlightMax / 2;
}

Status Relay::Finish(const Answer& answer) {
  const Delivery& delivery = answer.delivery;
  if (answer.outcome) {
    Count().delivered.Increment();
    Count().events.Increment(delivery.event_count);
    failures_.erase(delivery.key);
    PassFaultPoint(FaultPoint::kEventsAnswered);
    ALLOD_TRY(const bool suspended, store_.Delivered(delivery.key, delivery.begin, delivery.end, true));
    if (suspended) TellOfSuspension(delivery.key);
    return {};
  }
  Count().failed.Increment();
  const int failures = ++failures_[delivery.key];
  ALLOD_TRY(
      const bool suspended,
      store_.Failed(delivery.key, {CutText(WithoutUrl(answer.outcome.error().message, delivery.url), kErrorCharsMax),
                                   BackoffOf(failures, Chance())}));
  if (suspended) TellOfSuspension(delivery.key);
  return {};
}

void Relay::TellOfSuspension(const SinkKey& key) {
  failures_.erase(key);
  Count().suspended.Increment();
  Log(LogLevel::kWarning,
      "an event sink was suspended: it failed for too long, or is too far behind, and its events are kept no longer",
      {{"tenant_id", key.tenant.ToString()}, {"sink", key.id}});
}

Status Relay::TakeAnswers() {
  std::vector<Answer> answers;
  {
    const std::scoped_lock lock(inbox_->mutex);
    answers.swap(inbox_->answers);
  }
  Status first_error;
  for (const Answer& answer : answers) {
    const SinkKey& key = answer.delivery.key;
    in_flight_.erase(key);
    if (--in_flight_of_tenant_[key.tenant] == 0) in_flight_of_tenant_.erase(key.tenant);
    // What cannot be written down is sent again when its claim is over.
    const Status done = Catching("write down a delivery", [&] { return Finish(answer); });
    if (!done && first_error) first_error = done;
  }
  return first_error;
}

Status Relay::Begin(const SinkKey& key, bool& began) {
  ALLOD_TRY(std::optional<Pending> pending, store_.Take(key));
  if (!pending) return {};
  failures_[key] = pending->sink.health.failures;
  if (failures_[key] == 0) failures_.erase(key);
  Batch batch = MakeBatch(pending->sink.tenant_name, pending->rows, pending->begin, pending->sink.kinds);
  if (batch.event_count == 0) {
    ALLOD_TRY(const bool suspended, store_.Delivered(key, pending->begin, batch.end, false));
    if (suspended) TellOfSuspension(key);
    return {};
  }
  const Delivery delivery{key, pending->begin, batch.end, batch.event_count, pending->sink.url};
  in_flight_.insert(key);
  ++in_flight_of_tenant_[key.tenant];
  began = true;
  PassFaultPoint(FaultPoint::kEventsTaken);
  fetcher_.Fetch(WebhookOf(pending->sink, secrets_, std::move(batch.body), clock_.Now()),
                 [inbox = inbox_, delivery](const Result<std::string>& answer) {
                   const std::scoped_lock lock(inbox->mutex);
                   inbox->answers.push_back({delivery, answer ? Status() : std::unexpected(answer.error())});
                   inbox->wake.notify_all();
                 });
  return {};
}

Result<int> Relay::RunOnce() {
  ALLOD_CHECK_OK(TakeAnswers());
  int begun = 0;
  const Time now = clock_.Now();
  // From where the last round ended to the last, then from the first to there.
  const std::optional<SinkKey> start = std::exchange(last_seen_, std::nullopt);
  bool is_second_part = !start;
  std::optional<SinkKey> after = start;
  std::set<TenantId> aside;
  // What was wrong with sinks that are not due any more, or are gone, is over.
  const auto end_of_round = [&] {
    set_aside_.KeepOnly(kTakeStage, aside);
    return begun;
  };
  while (true) {
    ALLOD_TRY(const std::vector<SinkKey> due, store_.DueSinks(after, kSinksPerPage));
    for (const SinkKey& key : due) {
      if (start && is_second_part && *start < key) return end_of_round();
      if (in_flight_.size() >= kInFlightMax) {
        if (!last_seen_) last_seen_ = start;
        return begun;
      }
      last_seen_ = key;
      if (set_aside_.Waits(key.tenant, kTakeStage, now)) {
        aside.insert(key.tenant);
        continue;
      }
      if (!HasRoomFor(key)) continue;
      bool began = false;
      const Status done = Catching("begin a delivery", [&] { return Begin(key, began); });
      if (began) ++begun;
      if (done) continue;
      if (ConcernsEverybody(done.error())) return std::unexpected(done.error());
      set_aside_.Fail(key.tenant, kTakeStage, done.error(), now);
      aside.insert(key.tenant);
    }
    if (due.size() == static_cast<std::size_t>(kSinksPerPage)) {
      after = due.back();
    } else if (is_second_part) {
      return end_of_round();
    } else {
      is_second_part = true;
      after.reset();
    }
  }
}

Result<int> Relay::TrimOnce(const std::stop_token& stop) {
  int trimmed = 0;
  ALLOD_CHECK_OK(GoRound(
      set_aside_, clock_,
      TenantRound<TenantId>{.stage = kTrimStage,
                            .page_size = kSinksPerPage,
                            .find = [&](const auto& after) { return store_.TenantsToTrim(after, kSinksPerPage); },
                            .work = [&](const TenantId& tenant) -> Status {
                              for (int i = 0; i < kTrimsPerTenant; ++i) {
                                ALLOD_TRY(const int rows, store_.Trim(tenant, kRowsPerTrim));
                                trimmed += rows;
                                if (rows < kRowsPerTrim) break;
                              }
                              return {};
                            },
                            .stop = stop}));
  return trimmed;
}

void Relay::Loop(const std::stop_token& stop, bool sends) {
  bool failing = false;
  auto next_trim = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    Status done = sends ? StatusOf(RunOnce()) : Status();
    if (done && std::chrono::steady_clock::now() >= next_trim) {
      done = StatusOf(TrimOnce(stop));
      next_trim = std::chrono::steady_clock::now() + kTrimPeriod;
    }
    if (!done && !failing) {
      Log(LogLevel::kWarning, "could not look for events to relay; trying again every second",
          {{"reason", done.error().reason}, {"message", done.error().message}});
    }
    failing = !done;
    std::unique_lock lock(inbox_->mutex);
    inbox_->wake.wait_for(lock, stop, kPeriod, [&] { return !failing && !inbox_->answers.empty(); });
  }
}

}  // namespace allod::billing::events
