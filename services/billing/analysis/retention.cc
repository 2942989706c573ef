#include "services/billing/analysis/retention.h"

#include <string>

#include "services/common/log.h"
#include "services/common/tenant_round.h"

namespace allod::billing::analysis {
namespace {

constexpr std::chrono::hours kRetentionPeriod{1};
constexpr int kTenantsPerTrimPage = 200;
constexpr int kRequestsPerTrim = 500;
constexpr int kTrimsPerTenant = 200;  // the rest waits for the next hour

}  // namespace

Retention::Retention(RetentionStore& store, const Clock& clock, std::chrono::days computed_usage)
    : store_(store),
      clock_(clock),
      computed_usage_(computed_usage),
      loop_("trim computed usage", kRetentionPeriod, [this](const std::stop_token& stop) -> Status {
        ALLOD_TRY(const int trimmed, RunOnce(stop));
        if (trimmed > 0) Log(LogLevel::kInfo, "trimmed computed usage", {{"requests", std::to_string(trimmed)}});
        return {};
      }) {}

void Retention::Start() {
  if (computed_usage_.count() > 0) loop_.Start();
}

Result<int> Retention::RunOnce(const std::stop_token& stop) {
  int trimmed = 0;
  ALLOD_CHECK_OK(GoRound(
      set_aside_, clock_,
      TenantRound<TenantId>{.stage = "trim computed usage",
                            .page_size = kTenantsPerTrimPage,
                            .find = [&](const auto& after) { return store_.Tenants(after, kTenantsPerTrimPage); },
                            .work = [&](const TenantId& tenant) -> Status {
                              const Time before = clock_.Now() - computed_usage_;
                              for (int i = 0; i < kTrimsPerTenant && !stop.stop_requested(); ++i) {
                                ALLOD_TRY(const int count, store_.TrimComputedUsage(tenant, before, kRequestsPerTrim));
                                trimmed += count;
                                if (count == 0) break;
                              }
                              return {};
                            },
                            .stop = stop}));
  return trimmed;
}

}  // namespace allod::billing::analysis
