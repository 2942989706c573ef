// The Store on PostgreSQL: schema `scheduling`, migrations/scheduling. Mutations of one tenant are serialised by
// locking its row in scheduling.tenants; the room of a node by locking the node's row while its leases are added up.
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

class PgStore final : public Store {
 public:
  explicit PgStore(PgPool& pool) : pool_(pool) {}

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

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"scheduling"};
};

}  // namespace allod::scheduling
