// Removes what tenancy has of tenants whose grace is over, in bounded steps, and marks them DELETED when nothing is
// left (tenant_deletion.h). What to do is in rows alone: a process that is killed between any two steps is followed by
// one that goes on, and several that do it at once get in nobody's way. Work is proportional to what is due: every look
// is one query of an index.
//
// What other services have of such a tenant they remove themselves, as soon as they are told of its state.
//
// A tenant that cannot be purged is logged, counted and tried again later (services/common/set_aside.h), and keeps no
// other waiting. Has a thread from Start() to Stop(). Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"
#include "services/tenancy/purge_store.h"

namespace allod::tenancy {

class TenantPurger {
 public:
  // Both outlive it. `on_change`: the state of a tenant became another.
  TenantPurger(PurgeStore& store, const Clock& clock, std::function<void()> on_change);
  ~TenantPurger() { Stop(); }
  TenantPurger(const TenantPurger&) = delete;

  void Start() { loop_.Start(); }
  // Ends a round between two steps.
  void Stop();

  // One round, of all that is due. The error is the database's.
  Status RunOnce();

  static constexpr int kBatch = 500;  // rows of one step
  // Of one tenant in one round, so that a great one keeps the others waiting for seconds at most.
  static constexpr int kStepsPerRound = 50;

 private:
  Status Purge(const std::string& tenant, Time now);

  PurgeStore& store_;
  const Clock& clock_;
  const std::function<void()> on_change_;
  SetAside set_aside_{"tenancy"};  // of the thread that runs rounds
  bool unfinished_ = false;        // the round left some
  std::atomic<bool> stopped_ = false;
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::tenancy
