#include "services/scheduling/instance_time/time_reporter.h"

#include <set>
#include <utility>

#include "services/common/log.h"
#include "services/common/tenant_round.h"

namespace allod::scheduling::instance_time {
namespace {

constexpr std::chrono::seconds kPeriod{5};
constexpr std::chrono::minutes kRestoreEvery{1};
constexpr int kReportsPerTenant = 8;  // the rest waits for the next round, so that no tenant starves the others

}  // namespace

TimeReporter::TimeReporter(IntervalStore& store, TimeSink& billing, const Clock& clock,
                           std::function<void(const TenantId&, const std::string&)> changed)
    : store_(store),
      billing_(billing),
      clock_(clock),
      changed_(std::move(changed)),
      loop_("tell billing of instance time", kPeriod, [this](const std::stop_token& stop) -> Status {
        ALLOD_CHECK_OK(RunOnce(stop));
        return {};
      }) {}

Status TimeReporter::Tell(const NamedTenant& tenant, int& told) {
  for (int i = 0; i < kReportsPerTenant; ++i) {
    ALLOD_TRY(const std::vector<TimeInterval> due, store_.LoadDue(tenant.tenant, kIntervalsPerReport));
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
    ALLOD_CHECK_OK(store_.MarkTold(tenant.tenant, counted));
    ALLOD_CHECK_OK(store_.Postpone(tenant.tenant, refused));
    told += static_cast<int>(counted.size());
    if (answer.credit_used_up && !costly.empty()) {
      ALLOD_TRY(const auto stopped, store_.StopForCredit(tenant.tenant, {costly.begin(), costly.end()}));
      for (const std::string& instance : stopped) {
        Log(LogLevel::kInfo, "an instance stops: the credit of its tenant is used up", {{"instance", instance}});
        changed_(tenant.tenant, instance);
      }
    }
    if (due.size() < kIntervalsPerReport) return {};
  }
  return {};
}

Status TimeReporter::Restore(const NamedTenant& tenant) {
  ALLOD_TRY(const TimeSink::Answer answer, billing_.Record(tenant.name, {}));
  if (answer.credit_used_up) return {};
  ALLOD_TRY(const auto restored, store_.Resume(tenant.tenant));
  for (const std::string& instance : restored) changed_(tenant.tenant, instance);
  return {};
}

Result<int> TimeReporter::RunOnce(const std::stop_token& stop) {
  int told = 0;
  ALLOD_CHECK_OK(GoRound(
      set_aside_, clock_,
      TenantRound<NamedTenant>{.stage = "tell time",
                               .page_size = kTenantsPerRound,
                               .find = [&](const auto& after) { return store_.ListDue(after, kTenantsPerRound); },
                               .work = [&](const NamedTenant& tenant) { return Tell(tenant, told); },
                               .stop = stop}));
  if (const Time now = clock_.Now(); now >= next_restore_) {
    ALLOD_CHECK_OK(
        GoRound(set_aside_, clock_,
                TenantRound<NamedTenant>{
                    .stage = "restore credit",
                    .page_size = kTenantsPerRound,
                    .find = [&](const auto& after) { return store_.ListStoppedForCredit(after, kTenantsPerRound); },
                    .work = [&](const NamedTenant& tenant) { return Restore(tenant); },
                    .stop = stop}));
    next_restore_ = now + kRestoreEvery;
  }
  return told;
}

}  // namespace allod::scheduling::instance_time
