// The reconciler: drives what is observed to what is desired, and publishes routes.
//
// Level-triggered, and its work is proportional to change. A pass looks at the tenants of which something is new: their
// rows (others say so with Wake(); whoever forgot to is found by ListChanged() every `look_every`), what nodes report
// of their workers, the state of a node that they are on, or time that was waited for. For these it loads the rows,
// shows the driver the complete desired state, compares what nodes report with what the rows say, makes a plan and
// applies it in a checked transaction for each tenant; then it looks at them again, until nothing is left to do. What a
// transaction of its own did is known without loading it, unless some of it no longer held. A crash between any two
// steps is healed by the next process, which begins by reading everything. While the database is away, routes still
// follow what nodes report; nothing else changes.
//
// What tenancy says of tenants (their state, where their data may be processed, their weight) comes through the inbox,
// is kept in rows, and holds until something newer is said, so that tenancy may be away. What it forbids is not routed
// to from the same pass on, is told to stop, and is not placed again until it is allowed. Of a tenant that is not known
// nothing runs; but before anything was ever said of any tenant, nothing is decided at all. What regions there are is
// on the board; a change of them is a look at every tenant. Before they were read nothing is decided either.
//
// What a tenant has whose grace is over is removed: its instances are deleted as any are, and when the last is gone its
// operations and what else there was, in bounded steps. Whatever dies between two of them, the next process goes on.
//
// One tenant's data never stops another's: what cannot be read, looked at, planned or applied of a tenant is logged,
// counted (services/common/set_aside.h) and tried again later; its routes and workers stay as they were last known.
//
// Start() runs passes on a thread of its own, woken by the driver's news and by Wake(); Stop() joins it. RunOnce()
// is for that thread, or for tests instead of it. Wake() is thread-safe.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string_view>

#include "services/common/change_signal.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/set_aside.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/drivers/driver.h"
#include "services/scheduling/mirror.h"
#include "services/scheduling/observe.h"
#include "services/scheduling/region_board.h"
#include "services/scheduling/route_table.h"
#include "services/scheduling/store.h"
#include "services/scheduling/terms_inbox.h"

namespace allod::scheduling {

struct ReconcilerConfig {
  scheduler::Policy policy;
  std::chrono::milliseconds tick{1000};
  std::chrono::milliseconds look_every{10'000};
  std::chrono::milliseconds touch_nodes_every{5000};
  std::chrono::hours keep_operations{24 * 30};
  // Before anything is read, again until it succeeds: what a driver must know of rows first. None for most.
  std::function<Status()> prepare;
};

class Reconciler {
 public:
  // All must outlive it. `news` is the signal that the driver, the inbox and the board were made with.
  Reconciler(Store& store, drivers::Driver& driver, TermsInbox& inbox, RegionBoard& board, ChangeSignal& news,
             const Clock& clock, ReconcilerConfig config);
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
  // Notified whenever rows were changed by a pass; for those who wait for operations.
  const ChangeSignal& progress() const { return progress_; }

 private:
  // What is to be loaded of a tenant.
  struct Stale {
    bool all = false;
    std::set<std::string> instances;
  };
  struct Known {
    TenantState rows;                     // version 0: that of a part only
    std::vector<Route> routes;            // by instance name
    std::map<Uuid, std::int64_t> shown;   // workers that the driver was told, and their epochs
    std::map<Uuid, std::string> refused;  // instances of which it refused one, and why
    std::set<Uuid> forbidden;             // replicas that were found forbidden: no longer routed to
    bool looked_at = false;
    bool unplaced = false;  // waits for room
  };
  // Of the work on a tenant, as logs and metrics name them.
  struct Stage {
    static constexpr std::string_view kLoad = "load", kLook = "look", kDecide = "decide", kPurge = "purge";
  };
  using Sightings = std::map<TenantId, Sighting>;

  void Loop(const std::stop_token& stop);

  // Tenants' terms.
  Permit PermitOf(const TenantId& tenant) const;
  // The error while they were never read.
  Status TakeRegions();
  void TakeTerms();
  Status SaveTerms();

  // Rows.
  Status Prepare();
  Status Load();
  Status LookForChanges(Time now);
  Status LoadStale(const TenantId& tenant, const Stale& stale);
  void Adopt(Known& known, TenantState rows);
  void IndexReplicas(const TenantState& rows);
  void ForgetReplicas(const TenantState& rows);

  // What is new, into pending_.
  void NoticeNodes(Time now);
  void NoticeNews(Time now);
  void RetryUnplaced();

  // One step; true when rows were changed, so that another look is due.
  Result<bool> Step();
  void ShowDesired(const TenantId& tenant, Known& known, const Sight& sight);
  // Nothing of the tenant is routed to any more.
  void CutOff(const TenantId& tenant);
  // Those of `tenants` that could be looked at.
  Sightings LookAtAll(const std::set<TenantId>& tenants, const Sight& sight, Time now);
  void PublishRoutes();
  scheduler::Plan MakePlan(const Sightings& sightings, Time now) const;
  // Takes those out of `sightings` for whom none can be made.
  scheduler::Plan PlanAround(Sightings& sightings, Time now);
  // Notes what the plan leaves waiting, for room or for time, and why.
  std::map<Uuid, std::string> NoteObstacles(const scheduler::Plan& plan, const Sightings& sightings);
  Status EnsureTenant(const TenantId& tenant, const Sighting& sighting);
  Result<bool> CarryOut(const TenantId& tenant, const Sight& sight, const std::map<Uuid, std::string>& obstacles,
                        Time now, Sighting& sighting);
  void NoteTrouble(const TenantId& tenant, std::string_view stage, const Error& error);

  Status TouchNodes();
  // A batch of them, every now and then; while there are more, with the passes that follow.
  Status ForgetOldOperations();
  // Some steps for each of those whose grace is over, every now and then.
  Status PurgeTenants();
  // Nothing is left of it.
  void DropTenant(const TenantId& tenant);

  Store& store_;
  drivers::Driver& driver_;
  TermsInbox& inbox_;
  RegionBoard& board_;
  ChangeSignal& news_;
  const Clock& clock_;
  const ReconcilerConfig config_;
  Broadcast<RouteTable> routes_;
  ChangeSignal progress_;

  std::mutex dirty_mutex_;
  std::map<TenantId, Stale> dirty_;

  // Of the thread that runs passes.
  std::map<TenantId, Known> tenants_;
  std::map<Uuid, TenantId> owners_;     // of replicas
  std::map<TenantId, Stale> stale_;     // to be loaded
  std::set<TenantId> pending_;          // to be looked at
  std::map<TenantId, Time> alarms_;     // to be looked at then
  std::vector<scheduler::Node> nodes_;  // as they were seen last, by id
  SetAside set_aside_{"scheduling"};
  std::map<TenantId, TenantTerms> terms_;                   // of every tenant that tenancy named
  std::map<TenantId, std::optional<TenantTerms>> unsaved_;  // what rows do not say yet; nothing: it is gone
  std::uint64_t mail_ = 0;                                  // the last that was taken out of the inbox
  bool terms_known_ = false;
  std::vector<scheduler::Region> regions_;
  std::uint64_t regions_number_ = 0;  // of what the board says
  std::string mark_;                  // of the last look for changes
  bool prepared_ = false;
  bool looked_ = false;
  bool loaded_ = false;
  bool rerouted_ = false;
  Time next_look_{};
  Time next_touch_{};
  Time next_forget_{};
  std::optional<TenantId> forgotten_to_;  // where the round over the tenants that have old operations is
  bool forget_again_ = false;             // it left some
  std::set<TenantId> purged_;             // have rows, and their grace is over
  Time next_purge_{};

  OwnedThread thread_;  // last: it uses everything above
};

}  // namespace allod::scheduling
