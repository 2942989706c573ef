#include "services/scheduling/instance_time/time_reporter.h"

#include <utility>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::scheduling::instance_time {
namespace {

constexpr std::chrono::seconds kPeriod{5};
constexpr std::chrono::minutes kRestoreEvery{1};
constexpr int kReportsPerTenant = 8;  // the rest waits for the next round, so that no tenant starves the others

// Billing, or the database, is away for everybody.
bool EndsRound(const Error& error) { return ConcernsEverybody(error) || error.code == Code::kUnavailable; }

}  // namespace

void TimeReporter::Start() {
  // What was not told is found by the next process.
  thread_ = OwnedThread("time-reporter", [this](const std::stop_token& stop) { Loop(stop); });
}

void TimeReporter::Stop() { thread_.Stop(); }

Status TimeReporter::Tell(const NamedTenant& tenant, int& told) {
  for (int i = 0; i < kReportsPerTenant; ++i) {
    ALLOD_TRY(const std::vector<TimeInterval> due, store_.LoadDue(tenant.id, kIntervalsPerReport));
    if (due.empty()) return {};
    ALLOD_TRY(const TimeSink::Answer answer, billing_.Record(tenant.name, due));
    if (answer.intervals.size() != due.size()) return Internal("billing answered for another number of intervals");
    std::vector<TimeInterval> counted, refused;
    std::set<std::string> costly;
    for (std::size_t k = 0; k < due.size(); ++k) {
      const TimeSink::Answer::One& one = answer.intervals[k];
      (one.refused ? refused : counted).push_back(due[k]);
      // Also of one that ended: its instance sleeps, say, and would wake without credit.
      if (one.costs) costly.insert(due[k].instance);
      if (!one.refused) continue;
      Log(LogLevel::kError, "billing refuses the time of a replica; it is told again in an hour",
          {{"instance", due[k].instance},
           {"replica", due[k].replica.ToString()},
           {"reason", one.refused->reason},
           {"message", one.refused->message}});
    }
    ALLOD_CHECK_OK(store_.MarkTold(tenant.id, counted));
    ALLOD_CHECK_OK(store_.Postpone(tenant.id, refused));
    told += static_cast<int>(counted.size());
    if (answer.credit_used_up && !costly.empty()) {
      ALLOD_TRY(const auto stopped, store_.Unfund(tenant.id, {costly.begin(), costly.end()}));
      for (const std::string& instance : stopped) {
        Log(LogLevel::kInfo, "an instance stops: the credit of its tenant is used up", {{"instance", instance}});
        changed_(tenant.id, instance);
      }
    }
    if (due.size() < kIntervalsPerReport) return {};
  }
  return {};
}

Status TimeReporter::Restore(const NamedTenant& tenant) {
  ALLOD_TRY(const TimeSink::Answer answer, billing_.Record(tenant.name, {}));
  if (answer.credit_used_up) return {};
  ALLOD_TRY(const auto restored, store_.Refund(tenant.id));
  for (const std::string& instance : restored) changed_(tenant.id, instance);
  return {};
}

Status TimeReporter::Go(std::string_view stage, const Find& find, const Do& work, const std::stop_token& stop) {
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const std::vector<NamedTenant> tenants, find(after));
    for (const NamedTenant& tenant : tenants) {
      if (stop.stop_requested()) return {};
      const Time now = clock_.Now();
      if (!set_aside_.Waits(tenant.id, stage, now)) {
        const Status done = Catching("tell of a tenant's instance time", [&] { return work(tenant); });
        if (done) {
          set_aside_.Succeed(tenant.id, stage);
          continue;
        }
        if (EndsRound(done.error())) return done;
        set_aside_.Fail(tenant.id, stage, done.error(), now, tenant.name);
      }
      waiting_.insert(tenant.id);
    }
    if (tenants.size() < kTenantsPerRound) return {};
    after = tenants.back().id;
  }
}

Result<int> TimeReporter::RunOnce(const std::stop_token& stop) {
  int told = 0;
  waiting_.clear();
  ALLOD_CHECK_OK(Go(
      "tell time", [&](const auto& after) { return store_.ListDue(after, kTenantsPerRound); },
      [&](const NamedTenant& tenant) { return Tell(tenant, told); }, stop));
  if (const Time now = clock_.Now(); now >= next_restore_) {
    ALLOD_CHECK_OK(Go(
        "restore credit", [&](const auto& after) { return store_.ListUnfunded(after, kTenantsPerRound); },
        [&](const NamedTenant& tenant) { return Restore(tenant); }, stop));
    next_restore_ = now + kRestoreEvery;
    // What was told by another process, or has credit again, is in no trouble any more.
    set_aside_.KeepOnly(waiting_);
  }
  return told;
}

void TimeReporter::Loop(const std::stop_token& stop) {
  bool failing = false;
  while (!stop.stop_requested()) {
    const Result<int> told = RunOnce(stop);
    if (!told && !failing) {
      Log(LogLevel::kWarning, "could not tell billing of instance time; trying again every few seconds",
          {{"reason", told.error().reason}, {"message", told.error().message}});
    }
    failing = !told;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kPeriod, [] { return false; });
  }
}

}  // namespace allod::scheduling::instance_time
