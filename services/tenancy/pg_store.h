// The tenancy store in PostgreSQL, schema `tenancy` (migrations/tenancy).
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class PgStore final : public Store {
 public:
  explicit PgStore(PgPool& pool) : pool_(pool) {}

  Result<Tenant> CreateTenant(const Tenant& tenant, const RequestId& request) override;
  Result<Tenant> GetTenant(const std::string& tenant) override;
  Result<Page<Tenant>> ListTenants(const PageRequest& page, const std::optional<std::string>& within) override;
  Result<std::vector<Tenant>> ChildrenOf(const std::string& tenant) override;
  Result<std::vector<int>> CountBelow(const std::string& tenant) override;
  Result<Tenant> UpdateTenant(const Tenant& wanted, const std::string& etag, const RequestId& request,
                              Setter by = Setter::kOperator) override;
  Result<TenantStateChange> SetTenantState(const std::string& tenant, TenantState state, const std::string& reason,
                                           const RequestId& request, Setter by = Setter::kOperator) override;
  Result<TenantStateChange> DeleteTenant(const std::string& tenant, const TenantDeletionRequest& deletion,
                                         const RequestId& request) override;
  Result<TenantStateChange> UndeleteTenant(const std::string& tenant, Time now, const RequestId& request,
                                           Setter by = Setter::kOperator) override;
  Result<TenantChanges> TenantsChanged(std::int64_t after, int limit) override;
  Result<Project> CreateProject(const Project& project, const RequestId& request) override;
  Result<Project> GetProject(const std::string& tenant, const std::string& project) override;
  Result<Project> UpdateProject(const Project& wanted, const std::string& etag, const RequestId& request) override;
  Result<QuotaState> ReadQuotas(const std::string& tenant, const std::string& project, Time now) override;
  Result<Page<Project>> ListProjects(const std::string& tenant, const PageRequest& page) override;
  Result<ApiKeyCreation> CreateApiKey(const ApiKey& key, const RequestId& request,
                                      const Maker& maker = std::nullopt) override;
  Result<ApiKeyCreation> RotateApiKey(const KeyRotation& rotation, const RequestId& request,
                                      const Maker& maker = std::nullopt) override;
  Result<ApiKey> GetApiKey(const std::string& tenant, const std::string& project, const std::string& kid) override;
  Result<Page<ApiKey>> ListApiKeys(const std::string& tenant, const std::string& project,
                                   const PageRequest& page) override;
  Result<std::int64_t> RevokeApiKey(const std::string& tenant, const std::string& project, const std::string& kid,
                                    Time now) override;
  Status RecordKeyUse(const std::string& tenant, const std::vector<KeyUse>& uses) override;
  Result<std::vector<TenantRole>> RolesOf(const std::string& tenant) override;
  Result<std::vector<TenantKeysVersion>> KeysVersions(std::int64_t after, int limit) override;
  Result<std::vector<ApiKey>> ValidKeys(const std::string& tenant, Time then) override;
  Result<TenantLimits> LimitsOf(const std::string& tenant) override;
  Result<std::int64_t> LimitsVersion(const std::string& tenant) override;
  Result<std::vector<ApiKey>> KeysChanged(const std::string& tenant, std::int64_t after) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
