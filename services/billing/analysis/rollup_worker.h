// Keeps the roll-ups of usage up, every two seconds, and without a pause while a tenant has more than one round takes.
// Reports are exact without it; it keeps what they have to add small. A round costs one look at one index, and a
// transaction for each batch of a tenant that has something new.
//
// Owns one thread from Start() to Stop(). A tenant whose roll-ups cannot be kept up is set aside
// (services/common/set_aside.h) and the others go on. Several processes may do so.
#pragma once

#include <stop_token>

#include "services/billing/analysis/rollup_store.h"
#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"

namespace allod::billing::analysis {

class RollupWorker {
 public:
  // Both outlive it.
  RollupWorker(RollupStore& store, const Clock& clock);

  void Start() { loop_.Start(); }  // what was not added is found by the next process
  void Stop() { loop_.Stop(); }    // joins; idempotent

  // One round over all tenants; returns how many events it added. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  RollupStore& store_;
  const Clock& clock_;
  SetAside set_aside_{"billing"};
  bool has_more_ = false;  // after the round: of a tenant that used up what it may have of one
  RefreshLoop loop_;       // last: it uses everything above
};

}  // namespace allod::billing::analysis
