// The store of identity providers and workload rules in PostgreSQL, schema `tenancy` (migrations/tenancy).
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/identity_store.h"

namespace allod::tenancy {

class PgIdentityStore final : public IdentityStore {
 public:
  explicit PgIdentityStore(PgPool& pool) : pool_(pool) {}

  Result<IdentityProvider> CreateProvider(const IdentityProvider& provider, const RequestId& request) override;
  Result<IdentityProvider> GetProvider(const std::string& tenant, const std::string& id) override;
  Result<Page<IdentityProvider>> ListProviders(const std::string& tenant, const PageRequest& page) override;
  Result<IdentityProvider> UpdateProvider(const IdentityProvider& provider, const std::string& etag, const Rights& held,
                                          const RequestId& request) override;
  Result<std::int64_t> DeleteProvider(const std::string& tenant, const std::string& id,
                                      const RequestId& request) override;
  Result<WorkloadRule> CreateRule(const WorkloadRule& rule, const RequestId& request) override;
  Result<WorkloadRule> GetRule(const std::string& tenant, const std::string& project, const std::string& id) override;
  Result<Page<WorkloadRule>> ListRules(const std::string& tenant, const std::string& project,
                                       const PageRequest& page) override;
  Result<WorkloadRule> UpdateRule(const WorkloadRule& rule, const std::string& etag, const RequestId& request) override;
  Result<std::int64_t> DeleteRule(const std::string& tenant, const std::string& project, const std::string& id,
                                  const RequestId& request) override;
  Result<std::vector<TenantIdentityVersion>> IdentityVersions(std::int64_t after, int limit) override;
  Result<std::vector<TenantRole>> ReadRoles(const std::string& tenant) override;
  Result<TenantIdentity> ReadIdentity(const std::string& tenant, Time now) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
