#include "services/billing/wallet/balance_watch.h"

#include <set>
#include <string_view>

#include "services/common/catching.h"

namespace allod::billing::wallet {
namespace {

constexpr std::chrono::milliseconds kLookEvery{3000};
constexpr int kTenantsAtOnce = 200;
constexpr std::string_view kTellStage = "tell of a balance";

}  // namespace

BalanceWatch::BalanceWatch(WalletStore& store, const Clock& clock)
    : store_(store), clock_(clock), loop_("low balances", kLookEvery, [this] { return RunOnce(); }) {}

Status BalanceWatch::RunOnce() {
  std::set<TenantId> aside;
  std::optional<TenantId> after;
  while (true) {
    const Time now = clock_.Now();
    ALLOD_TRY(const std::vector<TenantId> crossed, store_.TenantsWithCrossedBalances(after, kTenantsAtOnce));
    for (const TenantId& tenant : crossed) {
      if (!set_aside_.Waits(tenant, kTellStage, now)) {
        const Status told = Catching("tell of a low balance", [&]() -> Status {
          ALLOD_CHECK_OK(store_.TellOfBalance(tenant));
          return {};
        });
        if (told) continue;
        if (ConcernsEverybody(told.error())) return told;
        set_aside_.Fail(tenant, kTellStage, told.error(), now);
      }
      aside.insert(tenant);
    }
    if (crossed.size() < static_cast<std::size_t>(kTenantsAtOnce)) break;
    after = crossed.back();
  }
  set_aside_.KeepOnly(aside);
  return {};
}

}  // namespace allod::billing::wallet
