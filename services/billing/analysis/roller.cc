#include "services/billing/analysis/roller.h"

#include <set>
#include <string_view>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod::billing::analysis {
namespace {

constexpr std::chrono::milliseconds kRollerPeriod{2000};
constexpr std::string_view kRollUpStage = "roll up usage";
constexpr int kTenantsPerRollUpPage = 200;
constexpr int kEventsPerRollUp = 50;   // each of at most as many requests as a gateway settles at once
constexpr int kRollUpsPerTenant = 20;  // the rest waits for the next round, so that no tenant starves the others

}  // namespace

void Roller::Start() {
  // What was not added is found by the next process.
  thread_ = OwnedThread("roller", [this](const std::stop_token& stop) { Loop(stop); });
}

void Roller::Stop() { thread_.Stop(); }

Result<int> Roller::RunOnce(const std::stop_token& stop) {
  int added = 0;
  std::set<TenantId> aside;
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const std::vector<TenantId> tenants, store_.TenantsBehind(after, kTenantsPerRollUpPage));
    for (const TenantId tenant : tenants) {
      if (stop.stop_requested()) return added;
      const Time now = clock_.Now();
      if (!set_aside_.Waits(tenant, kRollUpStage, now)) {
        const Status done = Catching("roll up a tenant's usage", [&]() -> Status {
          for (int i = 0; i < kRollUpsPerTenant; ++i) {
            ALLOD_TRY(const int events, store_.RollUp(tenant, kEventsPerRollUp));
            added += events;
            if (events < kEventsPerRollUp) break;
          }
          return {};
        });
        if (done) continue;
        if (ConcernsEverybody(done.error())) return std::unexpected(done.error());
        set_aside_.Fail(tenant, kRollUpStage, done.error(), now);
      }
      aside.insert(tenant);
    }
    if (tenants.size() < kTenantsPerRollUpPage) break;
    after = tenants.back();
  }
  set_aside_.KeepOnly(aside);
  return added;
}

void Roller::Loop(const std::stop_token& stop) {
  bool failing = false;
  do {
    const Result<int> added = RunOnce(stop);
    if (!added && !failing) {
      Log(LogLevel::kWarning, "could not roll up usage; trying again every two seconds",
          {{"reason", added.error().reason}, {"message", added.error().message}});
    }
    failing = !added;
  } while (SleepFor(stop, kRollerPeriod));
}

}  // namespace allod::billing::analysis
