// Tells tenants that asked for it when their wallets get low: looks every few seconds, over those tenants alone.
//
// Owns one thread from Start() to Stop(). Several processes may do it at once: each crossing is told of once. A tenant
// who cannot be told is set aside (services/common/set_aside.h) and the others go on.
#pragma once

#include "services/billing/wallet/wallet_store.h"
#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"

namespace allod::billing::wallet {

class BalanceWatch {
 public:
  // Both outlive it.
  BalanceWatch(WalletStore& store, const Clock& clock);

  void Start() { loop_.Start(); }
  void Stop() { loop_.Stop(); }  // joins; idempotent

  // One round over all tenants; the error is the database's.
  Status RunOnce(const std::stop_token& stop = {});

 private:
  WalletStore& store_;
  const Clock& clock_;
  SetAside set_aside_{"billing_balances"};
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::billing::wallet
