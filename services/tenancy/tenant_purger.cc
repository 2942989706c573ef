#include "services/tenancy/tenant_purger.h"

#include <string_view>
#include <utility>
#include <vector>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::tenancy {
namespace {

// Graces are days.
constexpr std::chrono::seconds kPurgeInterval{2};
constexpr int kTenantsPerLook = 100;
constexpr std::string_view kPurgeStage = "purge";

TenantId UidOfDue(const std::string& tenant) { return {Uuid::FromName("tenants/" + tenant)}; }

}  // namespace

TenantPurger::TenantPurger(PurgeStore& store, const Clock& clock, std::function<void()> on_change)
    : store_(store),
      clock_(clock),
      on_change_(std::move(on_change)),
      loop_("tenants to purge", kPurgeInterval, [this] { return RunOnce(); }) {}

void TenantPurger::Stop() {
  stopped_ = true;
  loop_.Stop();
}

Status TenantPurger::RunOnce() {
  unfinished_ = false;
  std::string after;
  std::vector<std::string> due;
  do {
    const Time now = clock_.Now();
    ALLOD_TRY(due, store_.DueForPurge(now, after, kTenantsPerLook));
    for (const std::string& tenant : due) {
      if (stopped_) return {};
      after = tenant;
      if (set_aside_.Waits(UidOfDue(tenant), kPurgeStage, now)) continue;
      const Status purged = Catching("purge a tenant", [&] { return Purge(tenant, now); });
      if (purged) {
        set_aside_.Succeed(UidOfDue(tenant), kPurgeStage);
      } else if (ConcernsEverybody(purged.error())) {
        return purged;
      } else {
        set_aside_.Fail(UidOfDue(tenant), kPurgeStage, purged.error(), now, "tenants/" + tenant);
      }
    }
  } while (due.size() == kTenantsPerLook);
  if (unfinished_) loop_.Notify();
  return {};
}

Status TenantPurger::Purge(const std::string& tenant, Time now) {
  for (int i = 0; i < kStepsPerRound && !stopped_; ++i) {
    ALLOD_TRY(const PurgeStep step, store_.Purge(tenant, now, kBatch));
    if (step.changed) on_change_();
    if (step.state == TenantState::kDeleted && step.changed) {
      Log(LogLevel::kInfo, "what tenancy had of a deleted tenant is gone", {{"tenant", "tenants/" + tenant}});
    }
    if (step.state != TenantState::kPurging) return {};
  }
  unfinished_ = true;
  return {};
}

}  // namespace allod::tenancy
