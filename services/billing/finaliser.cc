#include "services/billing/finaliser.h"

#include <set>
#include <string_view>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::billing {
namespace {

constexpr std::chrono::minutes kFinaliserPeriod{1};
constexpr std::string_view kFinaliseStage = "finalise";

}  // namespace

void Finaliser::Start() {
  // What was not finalised is found by the next process.
  thread_ = OwnedThread("finaliser", [this](const std::stop_token& stop) { Loop(stop); });
}

void Finaliser::Stop() { thread_.Stop(); }

Result<int> Finaliser::RunOnce(const std::stop_token& stop) {
  int finalised = 0;
  std::set<TenantId> aside;
  std::optional<TenantId> after;
  while (true) {
    const Time now = clock_.Now();
    ALLOD_TRY(const std::vector<DuePeriod> due, store_.TenantsWithDuePeriods(now - grace_, after, kTenantsPerPage));
    for (const DuePeriod& period : due) {
      if (stop.stop_requested()) return finalised;
      if (!set_aside_.Waits(period.tenant, kFinaliseStage, now)) {
        const Status done = Catching("finalise a tenant's month", [&]() -> Status {
          const InvoicePeriod month = PeriodOf(period.month);
          ALLOD_TRY(const IssuedInvoice invoice, store_.FinaliseInvoice({period.tenant, month, grace_}, now));
          Log(LogLevel::kInfo, "finalised an invoice",
              {{"tenant", invoice.tenant_name}, {"invoice", invoice.id}, {"number", invoice.number}});
          return {};
        });
        if (done) {
          ++finalised;
          continue;
        }
        if (ConcernsEverybody(done.error())) return std::unexpected(done.error());
        set_aside_.Fail(period.tenant, kFinaliseStage, done.error(), now);
      }
      aside.insert(period.tenant);
    }
    if (due.size() < kTenantsPerPage) break;
    after = due.back().tenant;
  }
  set_aside_.KeepOnly(aside);
  return finalised;
}

void Finaliser::Loop(const std::stop_token& stop) {
  bool failing = false;
  while (!stop.stop_requested()) {
    const Result<int> finalised = RunOnce(stop);
    if (!finalised && !failing) {
      Log(LogLevel::kWarning, "could not look for months to finalise; trying again every minute",
          {{"reason", finalised.error().reason}, {"message", finalised.error().message}});
    }
    failing = !finalised;
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kFinaliserPeriod, [] { return false; });
  }
}

}  // namespace allod::billing
