// Finalises ended months by themselves, once a minute, of the accounts that want it so: three looks at an index for
// each of those, and a transaction for each tenant that has something to invoice.
//
// Owns one thread from Start() to Stop(). Several processes may do it at once: a period is finalised once. A tenant
// whose month cannot be finalised (yet) is set aside (services/common/set_aside.h) and the others go on.
#pragma once

#include <chrono>
#include <stop_token>

#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"

namespace allod::billing {

class Finaliser {
 public:
  // Both outlive it. `grace`: how long after its end a month is finalised.
  Finaliser(Store& store, const Clock& clock, std::chrono::seconds grace);

  void Start() { loop_.Start(); }  // what was not finalised is found by the next process
  void Stop() { loop_.Stop(); }    // joins; idempotent

  // One round over all tenants; returns how many invoices there are now that it asked for. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  Store& store_;
  const Clock& clock_;
  const std::chrono::seconds grace_;
  SetAside set_aside_{"billing_invoices"};
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::billing
