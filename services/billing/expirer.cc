#include "services/billing/expirer.h"

#include <chrono>
#include <functional>
#include <string>

#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/tenant_round.h"

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

Expirer::Expirer(Store& store, const Clock& clock)
    : store_(store),
      clock_(clock),
      loop_("release expired holds and leases", kPeriod, [this](const std::stop_token& stop) -> Status {
        ALLOD_TRY(const int released, RunOnce(stop));
        if (released > 0)
          Log(LogLevel::kInfo, "released expired holds and leases", {{"count", std::to_string(released)}});
        return {};
      }) {}

Result<int> Expirer::RunOnce(const std::stop_token& stop) {
  const Time now = clock_.Now();
  int released = 0;
  TenantRound<TenantId> holds{
      .stage = "expire",
      .page_size = kTenantsPerPage,
      .find = [&](const auto& after) { return store_.TenantsWithDueHolds(now, after, kTenantsPerPage); },
      .work =
          [&](const TenantId& tenant) {
            return ReleaseAll([&] { return store_.ExpireReservations(tenant, now, kReleasedPerTransaction); },
                              released);
          },
      .stop = stop};
  TenantRound<TenantId> leases{
      .stage = "expire leases",
      .page_size = kTenantsPerPage,
      .find = [&](const auto& after) { return store_.TenantsWithDueLeases(after, kTenantsPerPage); },
      .work =
          [&](const TenantId& tenant) {
            return ReleaseAll([&] { return store_.ExpireLeases(tenant, kReleasedPerTransaction); }, released);
          },
      .stop = stop};
  for (const auto& round : {holds, leases}) ALLOD_CHECK_OK(GoRound(set_aside_, clock_, round));
  return released;
}

}  // namespace allod::billing
