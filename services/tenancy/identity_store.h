// The storage port of identity providers and workload rules, and of what gateways are told of these, of members
// (member_store.h) and of sessions (session_store.h): every method is one whole transaction. Implementations:
// PgIdentityStore, FakeIdentityStore; the suite in tests/contract/identity_store_test.cc runs on both. Thread-safe.
//
// A request id belongs to the tenant for providers and to the project for rules: the same one again with the same
// request gives what stands now (NOT_FOUND if it was deleted); ALREADY_EXISTS / REQUEST_ID_REUSED with another. What
// changes has the version that gateways acknowledge when it is in force; a deletion that is repeated has that of the
// tenant's last change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/common/page_token.h"
#include "services/common/request_id.h"
#include "services/tenancy/identity.h"
#include "services/tenancy/member.h"
#include "services/tenancy/role.h"

namespace allod::tenancy {

// Of a tenant that has or had providers. Versions are one order over all tenants, as those of keys (store.h).
struct TenantIdentityVersion {
  std::string tenant;
  bool active = false;  // IsInForce() (tenant_tree.h)
  std::int64_t version = 0;

  bool operator==(const TenantIdentityVersion&) const = default;
};

// All that a tenant trusts and grants.
struct TenantIdentity {
  std::vector<IdentityProvider> providers;
  std::vector<WorkloadRule> rules;
  std::vector<Member> members;
  // That were ended before their time, and are not over yet.
  std::vector<Uuid> ended_sessions;
  std::vector<TenantRole> roles = {};
};

class IdentityStore {
 public:
  virtual ~IdentityStore() = default;

  // ALREADY_EXISTS / ALREADY_EXISTS with other content, or ISSUER_TAKEN; TOO_MANY_IDENTITY_PROVIDERS; NOT_FOUND for the
  // tenant.
  virtual Result<IdentityProvider> CreateProvider(const IdentityProvider& provider, const RequestId& request) = 0;
  virtual Result<IdentityProvider> GetProvider(const std::string& tenant, const std::string& id) = 0;
  // Ordered by id, up to page.size items, as are rules.
  virtual Result<Page<IdentityProvider>> ListProviders(const std::string& tenant, const PageRequest& page) = 0;
  // Replaces what has `etag` (Changed() in identity.h). ABORTED / ETAG_MISMATCH, INVALID_ARGUMENT / ISSUER_IMMUTABLE;
  // FAILED_PRECONDITION / IDENTITY_PROVIDER_IN_USE for a sign-in that is taken away from members, LAST_OWNER;
  // PERMISSION_DENIED / ROLE_NOT_HELD. `held` is what who asks has at the tenant.
  virtual Result<IdentityProvider> UpdateProvider(const IdentityProvider& provider, const std::string& etag,
                                                  const Rights& held, const RequestId& request) = 0;
  // FAILED_PRECONDITION / IDENTITY_PROVIDER_IN_USE. The version from which on it is gone.
  virtual Result<std::int64_t> DeleteProvider(const std::string& tenant, const std::string& id,
                                              const RequestId& request) = 0;

  // NOT_FOUND for the project, the provider or a custom role; ABORTED / ROLE_CHANGED, as UpdateRule.
  virtual Result<WorkloadRule> CreateRule(const WorkloadRule& rule, const RequestId& request) = 0;
  virtual Result<WorkloadRule> GetRule(const std::string& tenant, const std::string& project,
                                       const std::string& id) = 0;
  virtual Result<Page<WorkloadRule>> ListRules(const std::string& tenant, const std::string& project,
                                               const PageRequest& page) = 0;
  // Keeps uid and create_time.
  virtual Result<WorkloadRule> UpdateRule(const WorkloadRule& rule, const std::string& etag,
                                          const RequestId& request) = 0;
  virtual Result<std::int64_t> DeleteRule(const std::string& tenant, const std::string& project, const std::string& id,
                                          const RequestId& request) = 0;

  // Tenants whose providers, rules, members, ended sessions or state changed after `after` (0: all that ever had a
  // provider), by version, at most `limit`.
  virtual Result<std::vector<TenantIdentityVersion>> IdentityVersions(std::int64_t after, int limit) = 0;
  // The tenant's custom roles (role_store.h), ordered by id.
  virtual Result<std::vector<TenantRole>> ReadRoles(const std::string& tenant) = 0;
  // As it is at one moment.
  virtual Result<TenantIdentity> ReadIdentity(const std::string& tenant, Time now) = 0;
};

}  // namespace allod::tenancy
