// The store of custom roles in PostgreSQL, schema `tenancy` (migrations/tenancy).
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/role_store.h"

namespace allod::tenancy {

class PgRoleStore final : public RoleStore {
 public:
  explicit PgRoleStore(PgPool& pool) : pool_(pool) {}

  Result<TenantRole> CreateRole(const TenantRole& role, const RequestId& request) override;
  Result<TenantRole> GetRole(const std::string& tenant, const std::string& id) override;
  Result<Page<TenantRole>> ListRoles(const std::string& tenant, const PageRequest& page) override;
  Result<TenantRole> UpdateRole(const TenantRole& role, const std::string& etag, const Rights& held,
                                const RequestId& request) override;
  Result<std::int64_t> DeleteRole(const std::string& tenant, const std::string& id, const Rights& held,
                                  const RequestId& request) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
