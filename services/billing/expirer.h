// Releases the holds of requests that were never settled, and ends the leases of gateways that do not renew them, once
// their time is over, every second. A round costs one look at one index for each of both, and a transaction for each
// tenant that has something due: idle tenants cost nothing.
//
// Owns one thread from Start() to Stop(). A tenant whose holds or leases cannot be released is set aside
// (services/common/set_aside.h) and the others go on; a round that the database ends is logged and begun again in the
// next second. A hold that a settlement takes at the same moment is released once only (the terminal transfer is
// unique).
#pragma once

#include <stop_token>

#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"

namespace allod::billing {

class Expirer {
 public:
  // Both outlive the expirer.
  Expirer(Store& store, const Clock& clock);

  void Start() { loop_.Start(); }  // what was not released is found by the next process
  void Stop() { loop_.Stop(); }    // joins; idempotent

  // One round over all tenants; returns how many holds and leases it released. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  Store& store_;
  const Clock& clock_;
  SetAside set_aside_{"billing"};
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::billing
