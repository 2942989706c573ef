#include "services/billing/analysis/rollup_worker.h"

#include <chrono>

#include "services/common/tenant_round.h"

namespace allod::billing::analysis {
namespace {

constexpr std::chrono::milliseconds kRollUpPeriod{2000};
constexpr int kTenantsPerRollUpPage = 200;
constexpr int kEventsPerRollUp = 50;   // each of at most as many requests as a gateway settles at once
constexpr int kRollUpsPerTenant = 20;  // the rest waits for the next round, so that no tenant starves the others

}  // namespace

RollupWorker::RollupWorker(RollupStore& store, const Clock& clock)
    : store_(store),
      clock_(clock),
      loop_("roll up usage", kRollUpPeriod, [this](const std::stop_token& stop) -> Status {
        ALLOD_CHECK_OK(RunOnce(stop));
        if (has_more_) loop_.Notify();
        return {};
      }) {}

Result<int> RollupWorker::RunOnce(const std::stop_token& stop) {
  int added = 0;
  has_more_ = false;
  ALLOD_CHECK_OK(
      GoRound(set_aside_, clock_,
              TenantRound<TenantId>{
                  .stage = "roll up usage",
                  .page_size = kTenantsPerRollUpPage,
                  .find = [&](const auto& after) { return store_.TenantsBehind(after, kTenantsPerRollUpPage); },
                  .work = [&](const TenantId& tenant) -> Status {
                    for (int i = 0; i < kRollUpsPerTenant; ++i) {
                      ALLOD_TRY(const int events, store_.RollUp(tenant, kEventsPerRollUp));
                      added += events;
                      if (events < kEventsPerRollUp) return {};
                    }
                    has_more_ = true;
                    return {};
                  },
                  .stop = stop}));
  return added;
}

}  // namespace allod::billing::analysis
