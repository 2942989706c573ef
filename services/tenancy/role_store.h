// The storage port of custom roles: every method is one whole transaction, under the lock that all changes of a
// tenant's providers, rules, members and sessions take. Implementations: PgRoleStore, FakeIdentityStore; the suite in
// tests/contract/role_store_test.cc runs on both. Thread-safe.
//
// Request ids and versions are as in identity_store.h; the request id is the tenant's. `held` is what who asks has at
// the tenant.
#pragma once

#include <string>

#include "services/common/page_token.h"
#include "services/common/request_id.h"
#include "services/tenancy/role.h"

namespace allod::tenancy {

class RoleStore {
 public:
  virtual ~RoleStore() = default;

  // ALREADY_EXISTS / ALREADY_EXISTS with other content; NOT_FOUND for the tenant; TOO_MANY_ROLES.
  virtual Result<TenantRole> CreateRole(const TenantRole& role, const RequestId& request) = 0;
  virtual Result<TenantRole> GetRole(const std::string& tenant, const std::string& id) = 0;
  // Ordered by id, up to page.size items.
  virtual Result<Page<TenantRole>> ListRoles(const std::string& tenant, const PageRequest& page) = 0;
  // Replaces what has `etag`; keeps uid and create_time. ABORTED / ETAG_MISMATCH; PERMISSION_DENIED / ROLE_NOT_HELD for
  // what stands.
  virtual Result<TenantRole> UpdateRole(const TenantRole& role, const std::string& etag, const Rights& held,
                                        const RequestId& request) = 0;
  // The version from which on it is gone. ROLE_NOT_HELD; FAILED_PRECONDITION / ROLE_IN_USE.
  virtual Result<std::int64_t> DeleteRole(const std::string& tenant, const std::string& id, const Rights& held,
                                          const RequestId& request) = 0;
};

}  // namespace allod::tenancy
