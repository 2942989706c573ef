// What the rows should say about what is seen: pure functions from instances, replicas and reports to their status.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/scheduling/drivers/driver.h"
#include "services/scheduling/permit.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

// What a driver sees, indexed. A worker counts only on the node that its replica is assigned to.
class Sight {
 public:
  Sight() = default;
  Sight(std::vector<scheduler::Node> nodes, const std::vector<drivers::WorkerView>& workers);

  const scheduler::Node* FindNode(const std::string& id) const;
  bool Reports(const std::string& node) const;
  // Null when the node does not name it.
  const drivers::ObservedWorker* FindWorker(const Uuid& replica, const std::string& node) const;
  const std::vector<scheduler::Node>& nodes() const { return nodes_; }

 private:
  std::vector<scheduler::Node> nodes_;
  std::map<std::pair<Uuid, std::string>, drivers::ObservedWorker> workers_;
};

// The replica as it is seen now. Nothing is concluded from the silence of a node that is lost or has not reported to
// this process yet.
Replica Observe(const Replica& replica, const Sight& sight, Time now);

// Answers requests now, or wakes to answer them.
bool Answers(const Replica& replica, const Sight& sight);

// Is starting, but its socket listens already: requests sent there wait for it.
bool Listens(const Replica& replica, const Sight& sight);

// Whether the tenant's terms, or the want of credit of its instance (Permit::For), forbid it: where it is, or at all.
// On a node that is not seen nothing is forbidden; nothing is known to run there either.
bool IsForbidden(const Replica& replica, const Sight& sight, const Permit& permit);

// `unplaced` is why the scheduler could not place what is missing; empty otherwise.
InstanceStatus StatusOf(const Instance& instance, const Sight& sight, const Permit& permit,
                        const std::string& unplaced);

// Where an open operation of `instance` stands. One that a rule keeps from being carried out has failed.
OperationChange ProgressOf(const Operation& operation, const Instance& instance, const InstanceStatus& status);

// One row of the route table.
struct Route {
  std::string instance;
  std::string variant;
  std::string price_book;
  int context_tokens = 0;
  int max_concurrency = 0;
  std::vector<std::string> targets;  // those that answer, then those that listen; each sorted
  Time create_time;
  IsolationClass isolation_class = IsolationClass::kIsolated;
  int ready_target_count = 0;   // of the targets, how many answer
  Uuid id{};                    // the instance's
  std::int64_t generation = 0;  // its newest
  bool stopped = false;         // nothing of it may run: no targets, and what runs on them ends now
  std::vector<std::string> target_jurisdictions = {};  // where the node of each target stands
  ResidencyRules residency = {};                       // the tenant's
  bool operator==(const Route&) const = default;
};

// The newest generation that answers, else the newest that listens, else the newest one; without replicas that are
// forbidden; stopped if nothing of it may run. Nothing for an instance that is being deleted.
std::optional<Route> RouteOf(const Instance& instance, const Sight& sight, const Permit& permit);

// Unset for a replica that shall not run.
std::optional<drivers::DesiredWorker> DesiredOf(const Instance& instance, const Replica& replica);

}  // namespace allod::scheduling
