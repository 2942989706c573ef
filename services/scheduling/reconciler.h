// The reconciler: drives what is observed to what is desired, and publishes routes.
//
// Level-triggered. A pass loads the rows that others changed (all rows every `reload_every`), shows the
// driver the complete desired state, compares what nodes report with what the rows say, makes a plan and applies it
// tenant by tenant in checked transactions; then looks again, until nothing is left to do. What a transaction of its
// own did is known without loading it, unless some of it no longer held. A crash between any two steps is healed by the
// next pass. While the database is away, routes still follow what nodes report; nothing else changes.
//
// Start() runs passes on a thread of its own, woken by the driver's changes and by Wake(); Stop() joins it. RunOnce()
// is for that thread, or for tests instead of it. Wake() is thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "scheduler/driver.h"
#include "services/common/clock.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/observe.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

struct ReconcilerConfig {
  std::vector<scheduler::Region> regions;
  scheduler::Policy policy;
  std::chrono::milliseconds tick{1000};
  std::chrono::milliseconds reload_every{10'000};
  std::chrono::milliseconds touch_nodes_every{5000};
  std::chrono::hours keep_operations{24 * 30};
  // Shares of contended compute; 1 for tenants that are not named.
  std::map<TenantId, int> weights;
};

using RouteTable = std::vector<Route>;  // by instance name

class Reconciler {
 public:
  // All must outlive it.
  Reconciler(Store& store, scheduler::Driver& driver, const Clock& clock, ReconcilerConfig config);
  ~Reconciler();

  void Start();
  void Stop();

  // Rows of this tenant changed, or of one of its instances.
  void Wake(const TenantId& tenant);
  void Wake(const TenantId& tenant, const std::string& instance);

  // One pass. The error is the database's; what could be done without it was done.
  Status RunOnce();

  // Published for the first time when everything was loaded.
  const Broadcast<RouteTable>& routes() const { return routes_; }
  // Changes whenever rows were changed by a pass; for those who wait for operations.
  const Broadcast<std::uint64_t>& progress() const { return progress_; }

 private:
  // What is to be loaded of a tenant.
  struct Stale {
    bool all = false;
    std::set<std::string> instances;
  };
  void Loop();
  Status LoadStale(const TenantId& tenant, const Stale& stale);
  Status RestoreNodes();
  Status Load();
  Status TouchNodes();
  Status ForgetOldOperations();
  void ShowDesired();
  // One step; true when rows were changed, so that another look is due.
  Result<bool> Step();

  Store& store_;
  scheduler::Driver& driver_;
  const Clock& clock_;
  const ReconcilerConfig config_;
  Broadcast<RouteTable> routes_;
  Broadcast<std::uint64_t> progress_;

  std::mutex dirty_mutex_;
  std::map<TenantId, Stale> dirty_;

  // Of the thread that runs passes.
  std::map<TenantId, TenantState> tenants_;
  bool restored_ = false;
  bool loaded_ = false;
  Time next_reload_{};
  Time next_touch_{};
  Time next_forget_{};
  std::uint64_t applied_ = 0;

  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace allod::scheduling
