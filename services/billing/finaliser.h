// Finalises ended months by themselves, once a minute, of the accounts that want it so: three looks at an index for
// each of those, and a transaction for each tenant that has something to invoice.
//
// Owns one thread from Start() to Stop(). Several processes may do it at once: a period is finalised once. A tenant
// whose month cannot be finalised (yet) is set aside (services/common/set_aside.h) and the others go on.
#pragma once

#include <condition_variable>
#include <mutex>

#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/set_aside.h"

namespace allod::billing {

class Finaliser {
 public:
  // Both outlive it. `grace`: how long after its end a month is finalised.
  Finaliser(Store& store, const Clock& clock, std::chrono::seconds grace)
      : store_(store), clock_(clock), grace_(grace) {}
  ~Finaliser() { Stop(); }

  void Start();
  void Stop();  // joins; idempotent

  // One round over all tenants; returns how many invoices there are now that it asked for. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  void Loop(const std::stop_token& stop);

  Store& store_;
  const Clock& clock_;
  const std::chrono::seconds grace_;
  SetAside set_aside_{"billing_invoices"};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  OwnedThread thread_;
};

}  // namespace allod::billing
