#include "services/billing/wallet/balance_watch.h"

#include "services/common/tenant_round.h"

namespace allod::billing::wallet {
namespace {

constexpr std::chrono::milliseconds kLookEvery{3000};
constexpr int kTenantsAtOnce = 200;

}  // namespace

BalanceWatch::BalanceWatch(WalletStore& store, const Clock& clock)
    : store_(store),
      clock_(clock),
      loop_("tell of low balances", kLookEvery, [this](const std::stop_token& stop) { return RunOnce(stop); }) {}

Status BalanceWatch::RunOnce(const std::stop_token& stop) {
  return GoRound(
      set_aside_, clock_,
      TenantRound<TenantId>{
          .stage = "tell of a balance",
          .page_size = kTenantsAtOnce,
          .find = [&](const auto& after) { return store_.TenantsWithCrossedBalances(after, kTenantsAtOnce); },
          .work = [&](const TenantId& tenant) -> Status {
            ALLOD_CHECK_OK(store_.TellOfBalance(tenant));
            return {};
          },
          .stop = stop});
}

}  // namespace allod::billing::wallet
