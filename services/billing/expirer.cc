#include "services/billing/expirer.h"

#include <chrono>

#include "services/common/catching.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"

namespace allod::billing {
namespace {

constexpr std::chrono::seconds kPeriod{1};
constexpr int kReleasedPerTransaction = 500;
constexpr int kTransactionsPerTenant = 20;  // the rest waits for the next round, so that no tenant starves the others

// Adds to `released` as it goes.
Status ReleaseAll(const std::function<Result<int>()>& release, int& released) {
  for (int i = 0; i < kTransactionsPerTenant; ++i) {
    ALLOD_TRY(const int count, release());
    released += count;
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kExpireCommitted));
    if (count < kReleasedPerTransaction) break;
  }
  return {};
}

}  // namespace

void Expirer::Start() {
  // What was not released is found by the next process.
  thread_ = OwnedThread("expirer", [this](const std::stop_token& stop) { Loop(stop); });
}

void Expirer::Stop() { thread_.Stop(); }

Status Expirer::Go(const Stage& stage, const std::stop_token& stop, Round& round) {
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const std::vector<TenantId> tenants, stage.find(after));
    for (const TenantId tenant : tenants) {
      if (stop.stop_requested()) return {};
      const Time now = clock_.Now();
      if (!set_aside_.Waits(tenant, stage.name, now)) {
        const Status done = Catching("release what of a tenant's is due", [&] {
          return ReleaseAll([&] { return stage.release(tenant, kReleasedPerTransaction); }, round.released);
        });
        if (done) continue;
        if (ConcernsEverybody(done.error())) return std::unexpected(done.error());
        set_aside_.Fail(tenant, stage.name, done.error(), now);
      }
      round.aside.insert(tenant);
    }
    if (tenants.size() < kTenantsPerPage) return {};
    after = tenants.back();
  }
}

Result<int> Expirer::RunOnce(const std::stop_token& stop) {
  const Time now = clock_.Now();
  Round round;
  const Stage holds{.name = "expire",
                    .find = [&](auto after) { return store_.TenantsWithDueHolds(now, after, kTenantsPerPage); },
                    .release = [&](auto tenant, int limit) { return store_.ExpireReservations(tenant, now, limit); }};
  const Stage leases{.name = "expire leases",
                     .find = [&](auto after) { return store_.TenantsWithDueLeases(after, kTenantsPerPage); },
                     .release = [&](auto tenant, int limit) { return store_.ExpireLeases(tenant, limit); }};
  for (const Stage& stage : {holds, leases}) {
    ALLOD_CHECK_OK(Go(stage, stop, round));
    if (stop.stop_requested()) return round.released;
  }
  // Whose were released, or settled meanwhile, is in no trouble any more.
  set_aside_.KeepOnly(round.aside);
  return round.released;
}

void Expirer::Loop(const std::stop_token& stop) {
  bool failing = false;
  while (!stop.stop_requested()) {
    const Result<int> released = RunOnce(stop);
    if (!released && !failing) {
      Log(LogLevel::kWarning, "could not release expired holds and leases; trying again every second",
          {{"reason", released.error().reason}, {"message", released.error().message}});
    }
    failing = !released;
    if (released.value_or(0) > 0)
      Log(LogLevel::kInfo, "released expired holds and leases", {{"count", std::to_string(*released)}});
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kPeriod, [] { return false; });
  }
}

}  // namespace allod::billing
