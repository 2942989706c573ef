// Reconciler: how it removes what tenants have whose grace is over.

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/scheduling/reconciler.h"

namespace allod::scheduling {
namespace {

// Of one step: instances that are marked, or operations that are forgotten, under the tenant's lock.
constexpr int kPurgeBatch = 500;
// Of one tenant in a pass, which takes some tenths of a second then.
constexpr int kPurgeSteps = 10;
constexpr std::chrono::milliseconds kPurgePause{500};

}  // namespace

Status Reconciler::PurgeTenants() {
  const Time now = clock_.Now();
  if (purged_.empty() || now < next_purge_) return {};
  next_purge_ = now + kPurgePause;
  const std::set<TenantId> todo = purged_;
  for (const TenantId& tenant : todo) {
    if (set_aside_.Waits(tenant, Stage::kPurge, now)) continue;
    PurgeStep step;
    const Status purged = Catching("purge a tenant", [&]() -> Status {
      for (int i = 0; i < kPurgeSteps && !step.marked && !step.waits && !step.gone; ++i) {
        ALLOD_TRY(step, store_.PurgeTenant(tenant, kPurgeBatch));
      }
      return {};
    });
    if (!purged) {
      if (ConcernsEverybody(purged.error())) return purged;
      NoteTrouble(tenant, Stage::kPurge, purged.error());
      continue;
    }
    set_aside_.Succeed(tenant, Stage::kPurge);
    if (step.marked) stale_[tenant].all = true;
    if (step.gone) DropTenant(tenant);
  }
  return {};
}

void Reconciler::DropTenant(const TenantId& tenant) {
  Log(LogLevel::kInfo, "what scheduling had of a deleted tenant is gone", {{"tenant", tenant.ToString()}});
  purged_.erase(tenant);
  stale_.erase(tenant);
  pending_.erase(tenant);
  alarms_.erase(tenant);
  const auto known = tenants_.find(tenant);
  if (known == tenants_.end()) return;
  ForgetReplicas(known->second.rows);
  for (const auto& [replica, epoch] : known->second.shown) (void)driver_.Remove(replica, epoch);
  rerouted_ = rerouted_ || !known->second.routes.empty();
  tenants_.erase(known);
}

}  // namespace allod::scheduling
