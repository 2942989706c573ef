// The driver for machines of our own: one node agent per machine, which pulls its complete desired set and pushes its
// complete observed set.
//
// The RPC layer calls Join, AwaitSet and Report on behalf of agents; the reconciler calls the Driver side. A session is
// one agent's connection, named by an epoch that the database's clock gave: a newer one ends the older, so that of two
// agents claiming one node only the later is served. Time is passed in. Bounded by kNodesMax and kWorkersMax.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "services/common/change_signal.h"
#include "services/scheduling/drivers/driver.h"

namespace allod::scheduling::drivers {

class ProcessDriver final : public Driver {
 public:
  static constexpr std::size_t kNodesMax = 1000;
  static constexpr std::size_t kWorkersMax = 100'000;
  static constexpr std::size_t kWorkersPerReportMax = 4096;

  // A node that reports nothing for longer than `lost_after` is kLost. `news`, which outlives it, is notified of nodes
  // that join or come back, and of reports that say something new.
  ProcessDriver(std::chrono::milliseconds lost_after, ChangeSignal& news) : lost_after_(lost_after), news_(news) {}

  // Driver.
  scheduler::Plan MakePlan(const scheduler::Snapshot& snapshot) const override;
  Status EnsureTenant(const TenantId&) override { return {}; }  // one machine needs nothing per tenant
  Status Apply(const DesiredWorker& worker) override;
  Status Remove(const Uuid& replica, std::int64_t epoch) override;
  void Synced() override;
  std::vector<WorkerView> List() const override;
  std::vector<WorkerView> Find(std::span<const WorkerKey> keys) const override;
  std::vector<Uuid> TakeChanged() override;
  std::vector<scheduler::Node> Capacity(Time now) const override;

  // A node as an earlier process wrote it down; it has not reported to this one. A node that joined already stays.
  // RESOURCE_EXHAUSTED / TOO_MANY_NODES.
  Status Restore(const scheduler::Node& node, std::int64_t session_epoch);

  // An agent's connection begins. ABORTED / STALE_EPOCH when a newer session is known; RESOURCE_EXHAUSTED /
  // TOO_MANY_NODES.
  Status Join(const scheduler::Node& node, std::int64_t session_epoch, Time now);

  struct SetUpdate {
    bool ended = false;                                 // a newer session took over, or the driver stops
    bool stopped = false;                               // the latter
    std::uint64_t version = 0;                          // to be passed to the next call
    std::optional<std::vector<DesiredWorker>> workers;  // set when there is one that the session has not seen
  };
  // Waits up to `timeout` for a set newer than `seen` (0: none seen). Never gives one before Synced().
  SetUpdate AwaitSet(const std::string& node, std::int64_t session_epoch, std::uint64_t seen,
                     std::chrono::milliseconds timeout);

  // The complete observed set of a node. Workers of an older epoch than is desired are ignored. NOT_FOUND /
  // NODE_NOT_JOINED; RESOURCE_EXHAUSTED / TOO_MANY_WORKERS.
  Status Report(const std::string& node, std::span<const ObservedWorker> workers, Time now);

  // Ends every session and wakes every waiter; nothing starts again.
  void Stop();

 private:
  struct NodeEntry {
    scheduler::Node node;
    std::int64_t session_epoch = 0;
    std::uint64_t set_version = 1;
    std::map<Uuid, DesiredWorker> desired;
    std::map<Uuid, ObservedWorker> observed;
  };
  bool Lost(const NodeEntry& entry, Time now) const { return now - entry.node.last_report > lost_after_; }

  const std::chrono::milliseconds lost_after_;
  ChangeSignal& news_;
  mutable std::mutex mutex_;
  std::condition_variable sets_changed_;
  std::map<std::string, NodeEntry> nodes_;
  std::map<Uuid, std::string> node_of_;  // of desired workers
  std::map<Uuid, std::int64_t> epochs_;  // highest seen, of workers desired or observed
  std::set<Uuid> changed_;               // not taken yet
  bool synced_ = false;
  bool stopped_ = false;
};

}  // namespace allod::scheduling::drivers
