// The Store in memory, for tests: behaves as PgStore does, held to it by the contract suite. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "scheduler/occupancy.h"
#include "services/common/clock.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class FakeStore : public Store {
 public:
  explicit FakeStore(const Clock& clock) : clock_(clock) {}

  Result<Operation> FindRequest(const TenantId& tenant, const std::string& project, const RequestId& request) override;
  Result<Operation> CreateInstance(const NewInstance& instance, const RequestId& request) override;
  Result<Operation> UpdateInstance(const InstanceChange& change, const RequestId& request) override;
  Result<Operation> DeleteInstance(const TenantId& tenant, const std::string& name, const Uuid& operation,
                                   const RequestId& request) override;
  Result<Instance> GetInstance(const TenantId& tenant, const std::string& name) override;
  Result<QuotaScopes> ReadUse(const TenantId& tenant, const std::string& project, const std::string& except) override;
  Result<std::vector<Instance>> ListInstances(const TenantId& tenant, const std::string& prefix,
                                              const PageRequest& page) override;
  Result<Operation> GetOperation(const TenantId& tenant, const Uuid& id) override;
  Result<OperationPage> ListOperations(const TenantId& tenant, const std::string& project,
                                       const PageRequest& page) override;
  Result<std::int64_t> JoinNode(const scheduler::Node& node) override;
  Status TouchNodes(const std::vector<std::string>& ids) override;
  Result<std::vector<Node>> ListNodes() override;
  Result<TenantChanges> ListChanged(const std::string& since, const std::optional<TenantId>& after, int count) override;
  Result<TenantState> LoadTenant(const TenantId& tenant) override;
  Result<TenantState> LoadInstance(const TenantId& tenant, const std::string& name) override;
  Result<Applied> Apply(const TenantId& tenant, const Changes& changes) override;
  Result<std::vector<TenantTerms>> ListTerms() override;
  Status SaveTerms(const std::vector<TenantTerms>& changed, const std::vector<TenantId>& gone) override;
  Result<std::vector<TenantId>> ListForgettable(Time before, const std::optional<TenantId>& after, int count) override;
  Result<int> ForgetOperations(const TenantId& tenant, Time before, int count) override;
  Result<PurgeStep> PurgeTenant(const TenantId& tenant, int count) override;

  // While set, every method fails with UNAVAILABLE, as if the database were away.
  void SetUnavailable(bool unavailable);
  // What LoadTenant gives for this tenant goes through `spoil` first: broken rows, an error, an exception.
  void Spoil(const TenantId& tenant, std::function<Status(TenantState&)> spoil);
  // Apply and ForgetOperations fail with it.
  void RefuseChanges(const TenantId& tenant, std::optional<Error> error);
  // The tenant has rows, and nothing in them.
  void CreateTenantRows(const TenantId& tenant);
  // Loses the row of the instance's current revision.
  void Break(const TenantId& tenant, const std::string& name);
  // As the IntervalStore does: the credit for the instance is used up, or there is some again.
  void SetStoppedForCredit(const TenantId& tenant, const std::string& name, bool stopped_for_credit);
  // All its operations are forgotten, open ones too.
  void ForgetAllOperations(const TenantId& tenant);
  // Calls of its methods so far: what a database would have had to do.
  int calls() const;

 private:
  struct Request {
    std::string payload_sha256;
    Uuid operation;
  };
  struct Rows {
    std::int64_t version = 0;  // 0: has none
    std::int64_t changed_in = 0;
    std::map<std::string, Instance> instances;  // by name
    std::map<Uuid, Operation> operations;
    std::map<Uuid, Time> done_times;
    std::map<std::pair<std::string, Uuid>, Request> requests;  // by project
    std::set<std::string> broken;                              // instances
  };
  Status CheckAvailable();
  void CountChange(Rows& rows);
  static QuotaScopes UseOf(const Rows& rows, const std::string& project, const std::string& except);
  // With every revision.
  TenantState StateOf(const TenantId& tenant);
  Result<Operation> EarlierRequest(const Rows& rows, const std::string& project, const RequestId& request) const;
  void Remember(Rows& rows, const std::string& instance_name, const RequestId& request, const Uuid& operation);
  // What answers for an instance that stands as it is asked for.
  Operation Standing(Rows& rows, const Instance& instance, const Uuid& id, OperationKind kind);
  Result<Operation> Insert(Rows& rows, const Operation& operation, const RequestId& request);
  std::optional<Operation> Newest(const Rows& rows, const Uuid& instance) const;
  // What replicas hold of a node; `newer` stands for its tenant's rows.
  scheduler::Occupancy Held(const std::string& node, const TenantState* newer) const;
  // As rows give it: with the revisions that count, or without the one that is lost.
  Instance Trimmed(const Rows& rows, const Instance& instance) const;

  const Clock& clock_;
  mutable std::mutex mutex_;
  bool unavailable_ = false;
  std::int64_t epoch_ = 0;
  std::int64_t transactions_ = 0;
  int calls_ = 0;
  std::map<TenantId, std::function<Status(TenantState&)>> spoilt_;
  std::map<TenantId, Error> refused_;
  std::map<TenantId, Rows> rows_;
  std::map<TenantId, TenantTerms> terms_;
  std::map<std::string, Node> nodes_;
};

}  // namespace allod::scheduling
