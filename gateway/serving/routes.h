// The route table: which replicas answer for an instance, fed by WatchRoutes of the scheduling service: every route,
// then each change, each acknowledged. Thread-safe.
//
// Where the tenant's KV cache and prompts may not be nothing is sent, whatever the table names as targets: these are
// left out here, with a line in the log, and counted in allod_gateway_targets_outside_residency_total.
//
// Readers get immutable entries. A replica object lives across table updates as long as its target is routed to, so
// that its channel and its count of outstanding tokens do too. While the stream is broken the last table stands, and an
// instance that is not in it may be a new one. What a look-up or a change costs grows with the logarithm of the number
// of instances only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "allod/scheduling/v1/node.pb.h"
#include "gateway/serving/worker_channel.h"
#include "services/common/residency.h"
#include "services/common/rpc/watch_loop.h"

namespace allod::gateway::serving {

struct Replica {
  explicit Replica(std::string target_text) : target(std::move(target_text)), channel(target) {}
  const std::string target;
  WorkerChannel channel;
  // Completion tokens that running requests may still produce, by this gateway's knowledge.
  std::atomic<std::int64_t> outstanding_tokens{0};
};

struct InstanceRoute {
  std::string instance;  // full resource name
  std::string variant;
  std::string price_book;
  std::int32_t context_tokens = 0;
  std::int32_t max_concurrency = 0;  // 0: not said
  std::string isolation_class;       // as billing names it: "pooled", "isolated", "dedicated", or empty
  std::int64_t create_time = 0;      // seconds since the epoch
  std::string revision;              // another one after each change that the tenant made
  std::vector<std::shared_ptr<Replica>> replicas;
  std::vector<std::string> made_in;  // of each replica: the revision in which it came
  std::size_t ready_count = 0;       // that many of them, from the front, are ready or asleep; the others are starting
  bool stopped = false;              // a rule forbids it to run
  ResidencyRules residency;          // where its tenant's data may be
};

class RouteTable {
 public:
  // A new stream begins: what follows up to `synced` replaces what was known.
  void BeginSnapshot();
  // The next message of the stream. One without a version, of a service that sends no changes, is a complete table.
  void Apply(const scheduling::v1::WatchRoutesResponse& message);
  // The stream broke: from now on there may be instances that are not known here.
  void EndStream();
  bool synced() const;   // there was a complete table
  bool current() const;  // and the stream that brought it is not broken, as far as is known

  // null if there is no such instance, or if it is stopped.
  std::shared_ptr<const InstanceRoute> Find(const std::string& instance) const;
  // A rule came to forbid it to run: what runs of it is to end.
  bool IsStopped(const std::string& instance) const;
  // Instances of `tenants/{tenant}/projects/{project}`, by name.
  std::vector<std::shared_ptr<const InstanceRoute>> List(const std::string& project) const;

  // Targets that a replica object is remembered for: those that are routed to, and for a while some others.
  std::size_t targets_remembered() const;

  // Calls `wake` once, from any thread, at the next change of the table. Forget() afterwards in any case.
  std::uint64_t OnNextChange(std::function<void()> wake);
  // Calls `end` once, from any thread, when the instance is stopped; now if it is. Forget() afterwards in any case.
  std::uint64_t OnStopped(const std::string& instance, std::function<void()> end);
  void Forget(std::uint64_t id);

 private:
  using Routes = std::map<std::string, std::shared_ptr<const InstanceRoute>>;  // by instance
  // With the lock held:
  std::shared_ptr<const InstanceRoute> EntryOf(const scheduling::v1::Route& route);
  void ReapReplicas();
  bool IsStoppedLocked(const std::string& instance) const;

  mutable std::mutex mutex_;
  bool synced_ = false;
  bool current_ = false;
  bool in_snapshot_ = false;
  Routes routes_;
  Routes snapshot_;                                                   // being received
  std::unordered_map<std::string, std::weak_ptr<Replica>> replicas_;  // by target; of entries that somebody still has
  std::size_t reap_at_ = 0;
  std::uint64_t next_waiter_ = 1;
  std::unordered_map<std::uint64_t, std::function<void()>> waiters_;
  struct Run {
    std::string instance;
    std::function<void()> end;
  };
  std::unordered_map<std::uint64_t, Run> runs_;  // that end when their instance is stopped
};

// Whether `now`, the route of today or null, is without the replica that `then` had because the tenant changed or
// deleted the instance since that replica came. `was_ended`: it said that it is ended, so that it did not fail.
bool EndedByChange(const InstanceRoute& then, const std::string& target, const InstanceRoute* now, bool was_ended);

// The replica with the fewest outstanding tokens that is not in `excluded`, a ready one before one that is starting;
// null if there is none.
std::shared_ptr<Replica> PickReplica(const InstanceRoute& route, std::span<const std::string> excluded);

// Feeds `table`, which must outlive the loop.
std::unique_ptr<WatchLoop> WatchRoutes(std::shared_ptr<grpc::Channel> scheduling, RouteTable& table);

}  // namespace allod::gateway::serving
