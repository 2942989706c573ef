#include "services/billing/analysis/retention.h"

#include <set>
#include <string>
#include <string_view>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::billing::analysis {
namespace {

constexpr std::chrono::hours kRetentionPeriod{1};
constexpr std::string_view kTrimStage = "trim computed usage";
constexpr int kTenantsPerTrimPage = 200;
constexpr int kRequestsPerTrim = 500;
constexpr int kTrimsPerTenant = 200;  // the rest waits for the next hour

}  // namespace

void Retention::Start() {
  if (computed_usage_.count() == 0) return;
  thread_ = OwnedThread("retention", [this](const std::stop_token& stop) { Loop(stop); });
}

void Retention::Stop() { thread_.Stop(); }

Result<int> Retention::RunOnce(const std::stop_token& stop) {
  int trimmed = 0;
  std::set<TenantId> aside;
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const std::vector<TenantId> tenants, store_.Tenants(after, kTenantsPerTrimPage));
    for (const TenantId tenant : tenants) {
      const Time now = clock_.Now();
      const Status done = Catching("trim a tenant's computed usage", [&]() -> Status {
        for (int i = 0; i < kTrimsPerTenant && !stop.stop_requested(); ++i) {
          ALLOD_TRY(const int count, store_.TrimComputedUsage(tenant, now - computed_usage_, kRequestsPerTrim));
          trimmed += count;
          if (count == 0) break;
        }
        return {};
      });
      if (stop.stop_requested()) return trimmed;
      if (done) continue;
      if (ConcernsEverybody(done.error())) return std::unexpected(done.error());
      set_aside_.Fail(tenant, kTrimStage, done.error(), now);
      aside.insert(tenant);
    }
    if (tenants.size() < kTenantsPerTrimPage) break;
    after = tenants.back();
  }
  set_aside_.KeepOnly(aside);
  return trimmed;
}

void Retention::Loop(const std::stop_token& stop) {
  do {
    const Result<int> trimmed = RunOnce(stop);
    if (!trimmed) {
      Log(LogLevel::kWarning, "could not trim computed usage; trying again in an hour",
          {{"reason", trimmed.error().reason}, {"message", trimmed.error().message}});
    } else if (*trimmed > 0) {
      Log(LogLevel::kInfo, "trimmed computed usage", {{"requests", std::to_string(*trimmed)}});
    }
  } while (SleepFor(stop, kRetentionPeriod));
}

}  // namespace allod::billing::analysis
