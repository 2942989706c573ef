// Where the scheduling service keeps its rows. Each method is one whole transaction; all are thread-safe and may block.
//
// Implemented by PgStore and, for tests, FakeStore; tests/contract/scheduling_store*_test.cc holds both to what is
// written here. Every method may fail with UNAVAILABLE.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/common/page_token.h"
#include "services/common/request_id.h"
#include "services/scheduling/domain.h"
#include "services/scheduling/quota.h"

namespace allod::scheduling {

struct NewInstance {
  TenantId tenant;
  std::string tenant_name;  // `tenants/{tenant}`
  Uuid id;
  Uuid operation;
  std::string name;
  Revision revision;              // generation is set by the store
  QuotaScopes quotas = {};        // what tenant and project may have
  bool only_if_standing = false;  // it was not judged, because it stood already
};

struct InstanceChange {
  TenantId tenant;
  Uuid operation;
  std::string name;
  std::string etag;
  Revision revision;
  QuotaScopes quotas = {};  // as above
};

// What the reconciler found out about one replica.
struct Observation {
  Uuid replica;
  std::int64_t epoch = 0;
  scheduler::ReplicaState state = scheduler::ReplicaState::kPending;
  std::string target;
  std::string message;
  int start_count = 0;
};

struct NewReplica {
  Uuid id;
  scheduler::CreateReplica create;
};

struct StatusChange {
  Uuid instance;
  std::int64_t version = 0;
  InstanceStatus status;
};

struct OperationChange {
  Uuid operation;
  std::string phase;
  bool done = false;
  std::optional<Error> error = std::nullopt;  // only when done
};

// One tenant's part of a plan.
struct Changes {
  std::vector<NewReplica> creates;
  std::vector<Observation> observations;
  std::vector<scheduler::StopReplica> stops;
  std::vector<scheduler::RemoveReplica> removes;
  std::vector<StatusChange> statuses;
  std::vector<OperationChange> operations;
  std::vector<Uuid> gone;  // deleting instances without replicas

  bool empty() const {
    return creates.empty() && observations.empty() && stops.empty() && removes.empty() && statuses.empty() &&
           operations.empty() && gone.empty();
  }
};

struct Applied {
  int created = 0;
  int dropped = 0;                      // changes that no longer held
  std::map<Uuid, std::int64_t> epochs;  // of the replicas that were made
  std::int64_t version = 0;             // of the tenant's rows afterwards
};

struct TenantState {
  TenantId tenant;
  std::int64_t version = 0;         // grows with each transaction that changes rows of the tenant
  std::vector<Instance> instances;  // by creation
  std::vector<Operation> open_operations;
};

// A page of operations as it was at one moment, with what answers for them.
struct OperationPage {
  std::vector<Operation> operations;
  // Those that operations which succeeded made or changed and that still are; whole or not (CheckWhole).
  std::map<Uuid, Instance> instances;
};

struct TenantVersion {
  TenantId tenant;
  std::int64_t version = 0;
  bool operator==(const TenantVersion&) const = default;
};

struct PurgeStep {
  bool marked = false;  // instances, which are to be loaded anew
  bool waits = false;   // for instances that are still being deleted
  bool gone = false;    // nothing is left
};

struct TenantChanges {
  std::vector<TenantVersion> tenants;  // by id
  std::string mark;                    // of this look
};

class Store {
 public:
  virtual ~Store() = default;

  // Request ids are those of a project: the same id is another one in another project of the tenant.
  //
  // The operation that an earlier request with this id got; NOT_FOUND when there was none; ALREADY_EXISTS /
  // REQUEST_ID_REUSED. `project` is its id.
  virtual Result<Operation> FindRequest(const TenantId& tenant, const std::string& project,
                                        const RequestId& request) = 0;

  // Inserts instance, revision 1 and an open operation. The same content again answers with the newest operation of
  // that instance, or a new one if that was forgotten or has failed: what was asked for then may be there now.
  // ALREADY_EXISTS for other content or REQUEST_ID_REUSED; ABORTED / INSTANCE_DELETING, INSTANCE_DELETED if it
  // does not stand and is not to be made then; RESOURCE_EXHAUSTED / TOO_MANY_INSTANCES, QUOTA_EXCEEDED.
  virtual Result<Operation> CreateInstance(const NewInstance& instance, const RequestId& request) = 0;
  // NOT_FOUND; ABORTED / ETAG_MISMATCH, INSTANCE_DELETING; RESOURCE_EXHAUSTED / QUOTA_EXCEEDED. An equal spec changes
  // nothing and answers with the newest operation of the instance; an operation is made only if that was forgotten or
  // has failed.
  virtual Result<Operation> UpdateInstance(const InstanceChange& change, const RequestId& request) = 0;
  // Marks it; the reconciler does the rest. Again: the open operation. NOT_FOUND.
  virtual Result<Operation> DeleteInstance(const TenantId& tenant, const std::string& name, const Uuid& operation,
                                           const RequestId& request) = 0;

  // NOT_FOUND; INTERNAL / ROWS_BROKEN.
  virtual Result<Instance> GetInstance(const TenantId& tenant, const std::string& name) = 0;
  // What all instances of the tenant, and those of the project of that name (`tenants/{tenant}/projects/{project}`;
  // empty: none), have together, also those that are being deleted; without the instance named `except`.
  virtual Result<QuotaScopes> ReadUse(const TenantId& tenant, const std::string& project,
                                      const std::string& except) = 0;
  // Names that begin with `prefix`, in order; one more than the page's size if there is. Whole or not (CheckWhole): one
  // that is broken keeps nobody from the others.
  virtual Result<std::vector<Instance>> ListInstances(const TenantId& tenant, const std::string& prefix,
                                                      const PageRequest& page) = 0;
  virtual Result<Operation> GetOperation(const TenantId& tenant, const Uuid& id) = 0;
  // Newest first; one more than the page's size if there is. Of the project with that id; of all if it is empty. Costs
  // as many statements whatever the page's size.
  virtual Result<OperationPage> ListOperations(const TenantId& tenant, const std::string& project,
                                               const PageRequest& page) = 0;

  // A node's agent connects; answers with the epoch of its session, greater than any before. RESOURCE_EXHAUSTED /
  // TOO_MANY_NODES for a new one beyond kNodesMax.
  virtual Result<std::int64_t> JoinNode(const scheduler::Node& node) = 0;
  // Notes when nodes reported last.
  virtual Status TouchNodes(const std::vector<std::string>& ids) = 0;
  // With what leases take; by id. All of them: there are never more than kNodesMax.
  virtual Result<std::vector<Node>> ListNodes() = 0;

  // Tenants whose rows changed since the look that gave the mark `since`; with an empty one, all that have rows. By id,
  // those after `after`, at most `count`: ask for the next page with the same `since`, and for the next look with the
  // mark of this one's first page. Nothing that was committed after that look is missed; what was committed shortly
  // before may come again, with a version that is known.
  virtual Result<TenantChanges> ListChanged(const std::string& since, const std::optional<TenantId>& after,
                                            int count) = 0;
  // What the reconciler decides on, as it was at one moment. NOT_FOUND never: an unknown tenant has nothing. INTERNAL /
  // ROWS_BROKEN when the rows do not fit together.
  virtual Result<TenantState> LoadTenant(const TenantId& tenant) = 0;
  // The same of one instance alone; without any when it is gone. The version is the tenant's.
  virtual Result<TenantState> LoadInstance(const TenantId& tenant, const std::string& name) = 0;
  // Applies what still holds and drops the rest: a create whose instance has another version by now or whose node has
  // no room left, and anything of an older epoch. Gives each new replica an epoch of the database's clock. Ends the
  // operations of instances that are gone.
  virtual Result<Applied> Apply(const TenantId& tenant, const Changes& changes) = 0;

  // What tenancy said of tenants last, as SaveTerms() wrote it; of tenants without instances too.
  virtual Result<std::vector<TenantTerms>> ListTerms() = 0;
  // All of it or nothing.
  virtual Status SaveTerms(const std::vector<TenantTerms>& changed, const std::vector<TenantId>& gone) = 0;

  // Tenants that have operations which ended before `before`: by id, those after `after`, at most `count` of them.
  virtual Result<std::vector<TenantId>> ListForgettable(Time before, const std::optional<TenantId>& after,
                                                        int count) = 0;
  // Forgets operations that ended before `before`, the oldest first, at most `count`; before them their request ids, at
  // most as many. Answers with how many; fewer than `count`: there are no more.
  virtual Result<int> ForgetOperations(const TenantId& tenant, Time before, int count) = 0;

  // The next step of removing all that a tenant has here but its audit log: marks up to `count` instances as deleting,
  // for the reconciler, or, when none are left, forgets up to `count` operations, then their tenant. Again and again,
  // until nothing is left.
  virtual Result<PurgeStep> PurgeTenant(const TenantId& tenant, int count) = 0;
};

}  // namespace allod::scheduling
