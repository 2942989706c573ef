#include "services/billing/expirer.h"

#include <chrono>
#include <set>
#include <string_view>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::billing {
namespace {

constexpr std::chrono::seconds kPeriod{1};
constexpr int kHoldsPerTransaction = 500;
constexpr std::string_view kStage = "expire";
constexpr int kTransactionsPerTenant = 20;  // the rest waits for the next round, so that no tenant starves the others

}  // namespace

void Expirer::Start() {
  // Holds that were not released are found by the next process.
  thread_ = OwnedThread("expirer", [this](const std::stop_token& stop) { Loop(stop); });
}

void Expirer::Stop() { thread_.Stop(); }

Status Expirer::Release(TenantId tenant, Time now, int& released) {
  for (int i = 0; i < kTransactionsPerTenant; ++i) {
    ALLOD_TRY(const int count, store_.ExpireReservations(tenant, now, kHoldsPerTransaction));
    released += count;
    if (count < kHoldsPerTransaction) break;
  }
  return {};
}

Result<int> Expirer::RunOnce(const std::stop_token& stop) {
  int released = 0;
  std::set<TenantId> aside;
  std::optional<TenantId> after;
  while (true) {
    const Time now = clock_.Now();
    ALLOD_TRY(const std::vector<TenantId> tenants, store_.TenantsWithDueHolds(now, after, kTenantsPerPage));
    for (const TenantId tenant : tenants) {
      if (stop.stop_requested()) return released;
      if (!set_aside_.Waits(tenant, kStage, now)) {
        const Status done =
            Catching("release a tenant's expired holds", [&] { return Release(tenant, now, released); });
        if (done) continue;
        if (ConcernsEverybody(done.error())) return std::unexpected(done.error());
        set_aside_.Fail(tenant, kStage, done.error(), now);
      }
      aside.insert(tenant);
    }
    if (tenants.size() < kTenantsPerPage) break;
    after = tenants.back();
  }
  // Whose holds were released, or settled meanwhile, is in no trouble any more.
  set_aside_.KeepOnly(aside);
  return released;
}

void Expirer::Loop(const std::stop_token& stop) {
  bool failing = false;
  while (!stop.stop_requested()) {
    const Result<int> released = RunOnce(stop);
    if (!released && !failing) {
      Log(LogLevel::kWarning, "could not release expired holds; trying again every second",
          {{"reason", released.error().reason}, {"message", released.error().message}});
    }
    failing = !released;
    if (released.value_or(0) > 0)
      Log(LogLevel::kInfo, "released expired holds", {{"count", std::to_string(*released)}});
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kPeriod, [] { return false; });
  }
}

}  // namespace allod::billing
