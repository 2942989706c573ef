// Keeps the roll-ups of usage up, every two seconds. Reports are exact without it; it keeps what they have to add
// small. A round costs one look at one index, and a transaction for each batch of a tenant that has something new.
//
// Owns one thread from Start() to Stop(). A tenant whose roll-ups cannot be kept up is set aside
// (services/common/set_aside.h) and the others go on. Several processes may do so.
#pragma once

#include "services/billing/analysis/rollup_store.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/set_aside.h"

namespace allod::billing::analysis {

class Roller {
 public:
  // Both outlive it.
  Roller(RollupStore& store, const Clock& clock) : store_(store), clock_(clock) {}
  ~Roller() { Stop(); }

  void Start();
  void Stop();  // joins; idempotent

  // One round over all tenants; returns how many events it added. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  void Loop(const std::stop_token& stop);

  RollupStore& store_;
  const Clock& clock_;
  SetAside set_aside_{"billing"};
  OwnedThread thread_;
};

}  // namespace allod::billing::analysis
