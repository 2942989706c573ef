// The storage port of tenancy: every method is one whole transaction. Implementations: PgStore, FakeStore; the suite in
// tests/contract/tenancy_store_test.cc runs on both. Thread-safe.
//
// Of a tenant whose grace is over nothing is made or changed: FAILED_PRECONDITION / TENANT_DELETED (tenant_deletion.h).
// Creating what is there with the same content returns it; ALREADY_EXISTS / ALREADY_EXISTS with other content, and
// ALREADY_EXISTS / REQUEST_ID_REUSED when the request id stands for another request. NOT_FOUND for a missing parent.
// The request id of a key is its project's: the same id is another one in another project of the tenant, and for the
// tenant's own requests, which make projects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/common/page_token.h"
#include "services/common/request_id.h"
#include "services/tenancy/domain.h"
#include "services/tenancy/key_rules.h"
#include "services/tenancy/tenant_deletion.h"
#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {

struct ApiKeyCreation {
  ApiKey key;
  bool created = false;      // false: this is the key that an earlier request with the same id made
  std::int64_t version = 0;  // of the keys from which on it is there
};

// The kid of the key that asks for another; none: who asks is no key.
using Maker = std::optional<std::string>;

struct KeyUse {
  std::string kid;
  Time minute;  // whole

  bool operator==(const KeyUse&) const = default;
};

struct TenantStateChange {
  Tenant tenant;
  // From which on its keys and workload tokens and those of all below it hold, or do not.
  std::int64_t keys_version = 0;
  std::int64_t identity_version = 0;
  // The last of them and it that became another.
  std::int64_t tenants_version = 0;
};

// Versions of the keys: one order for all changes of all tenants. Whoever has read up to one has read all before it.
struct TenantKeysVersion {
  std::string tenant;
  std::string currency_code;
  KeysStanding standing = KeysStanding::kGone;  // KeysStandingOf()
  std::int64_t version = 0;                     // of its last change
  // Of the last change of its limits, those of its projects and models included; 0: there was none.
  std::int64_t limits_version = 0;

  bool operator==(const TenantKeysVersion&) const = default;
};

struct TenantChanges {
  std::vector<Tenant> tenants;  // by version
  std::int64_t version = 0;     // up to which they were read
  bool more = false;            // there may be some after it
};

class Store {
 public:
  virtual ~Store() = default;

  // ALREADY_EXISTS / TENANT_ID_USED. Below its parent, whose row is locked meanwhile, with the errors of PlacedBelow(),
  // CheckRoomBelow() and CheckWithinParent() (tenant_tree.h).
  virtual Result<Tenant> CreateTenant(const Tenant& tenant, const RequestId& request) = 0;
  virtual Result<Tenant> GetTenant(const std::string& tenant) = 0;
  // Ordered by id, as are the other lists. Up to page.size items. `within`: that tenant and those below it only.
  virtual Result<Page<Tenant>> ListTenants(const PageRequest& page,
                                           const std::optional<std::string>& within = std::nullopt) = 0;
  // Those whose parent it is, ordered by id; there are kTenantsBelowMax at most.
  virtual Result<std::vector<Tenant>> ChildrenOf(const std::string& tenant) = 0;
  // How many are below each from the top to this one, as CheckRoomBelow() wants it. NOT_FOUND.
  virtual Result<std::vector<int>> CountBelow(const std::string& tenant) = 0;

  // Replaces the content by that of `wanted` if `etag` is that of the tenant as it stands (Changed() in domain.h).
  // Equal content changes nothing, its version neither. A request id that was answered before gets the tenant as it is.
  // With the errors of CheckWithinParent(), CheckHolds() and CheckGivenBack().
  virtual Result<Tenant> UpdateTenant(const Tenant& wanted, const std::string& etag, const RequestId& request,
                                      Setter by = Setter::kOperator) = 0;
  // The same for the state, active or suspended, which holds for all below it; `reason` is for a suspension.
  // FAILED_PRECONDITION / TENANT_DELETING, TENANT_DELETED, SUSPENDED_BY_OPERATOR.
  virtual Result<TenantStateChange> SetTenantState(const std::string& tenant, TenantState state,
                                                   const std::string& reason, const RequestId& request,
                                                   Setter by = Setter::kOperator) = 0;
  // The errors of Deleted() and Undeleted() (tenant_deletion.h), at `now`. A request id that was answered before gets
  // the tenant as it is.
  virtual Result<TenantStateChange> DeleteTenant(const std::string& tenant, const TenantDeletionRequest& deletion,
                                                 const RequestId& request) = 0;
  virtual Result<TenantStateChange> UndeleteTenant(const std::string& tenant, Time now, const RequestId& request,
                                                   Setter by = Setter::kOperator) = 0;
  // Tenants that were made or changed after the version `after` (0: all), at most `limit`. Whoever has read up to a
  // version has read all before it. A tenant whose row cannot be read is left out, with a line in the log.
  virtual Result<TenantChanges> TenantsChanged(std::int64_t after, int limit) = 0;

  // RESOURCE_EXHAUSTED / TOO_MANY_PROJECTS past kProjectsPerTenantMax, QUOTA_EXCEEDED; INVALID_ARGUMENT /
  // INVALID_QUOTA, INVALID_LIMITS past the tenant's.
  virtual Result<Project> CreateProject(const Project& project, const RequestId& request) = 0;
  virtual Result<Project> GetProject(const std::string& tenant, const std::string& project) = 0;
  // As UpdateTenant (Changed() in domain.h), with the tenant as it is then.
  virtual Result<Project> UpdateProject(const Project& wanted, const std::string& etag, const RequestId& request) = 0;
  // Of a tenant, or of a project too if it is not empty; keys that hold at `now`.
  virtual Result<QuotaState> ReadQuotas(const std::string& tenant, const std::string& project, Time now) = 0;
  virtual Result<Page<Project>> ListProjects(const std::string& tenant, const PageRequest& page) = 0;

  // What `key` leaves open is its maker's (HandOn), as the maker is in the same transaction; with its errors, and
  // PERMISSION_DENIED / MAKER_NOT_VALID for one that is not in the project. RESOURCE_EXHAUSTED / TOO_MANY_API_KEYS past
  // kApiKeysPerProjectMax or kApiKeysPerTenantMax that hold when it is made, QUOTA_EXCEEDED past a quota;
  // INVALID_ARGUMENT / INVALID_LIMITS past those of its project or tenant.
  virtual Result<ApiKeyCreation> CreateApiKey(const ApiKey& key, const RequestId& request,
                                              const Maker& maker = std::nullopt) = 0;
  // Makes the successor and shortens the present key's life in one transaction; with the errors of Rotate() and the
  // limits of CreateApiKey.
  virtual Result<ApiKeyCreation> RotateApiKey(const KeyRotation& rotation, const RequestId& request,
                                              const Maker& maker = std::nullopt) = 0;
  // Revoked or not.
  virtual Result<ApiKey> GetApiKey(const std::string& tenant, const std::string& project, const std::string& kid) = 0;
  virtual Result<Page<ApiKey>> ListApiKeys(const std::string& tenant, const std::string& project,
                                           const PageRequest& page) = 0;
  // Keeps the time of the first revocation. The version of the keys from which on it does not hold.
  virtual Result<std::int64_t> RevokeApiKey(const std::string& tenant, const std::string& project,
                                            const std::string& kid, Time now) = 0;

  // One statement; moves last_used_time forwards only, and is no change of a key. Keys that there are not are passed
  // over.
  virtual Status RecordKeyUse(const std::string& tenant, const std::vector<KeyUse>& uses) = 0;

  // Tenants whose keys, limits or state changed after `after` (0: all that ever had a key or a limit), by version, at
  // most `limit`. A version changes in the transaction of what it stands for.
  virtual Result<std::vector<TenantKeysVersion>> KeysVersions(std::int64_t after, int limit) = 0;
  // Neither revoked nor expired by then, of all projects.
  virtual Result<std::vector<ApiKey>> ValidKeys(const std::string& tenant, Time then) = 0;
  // As they are at the tenant's limits_version, or later.
  virtual Result<TenantLimits> LimitsOf(const std::string& tenant) = 0;
  // From which on gateways that have read the tenant's keys have its limits as they are; 0: it never had any.
  // NOT_FOUND.
  virtual Result<std::int64_t> LimitsVersion(const std::string& tenant) = 0;
  // Made, shortened or revoked after the version `after`; those that were revoked have a revoke_time.
  virtual Result<std::vector<ApiKey>> KeysChanged(const std::string& tenant, std::int64_t after) = 0;
};

}  // namespace allod::tenancy
