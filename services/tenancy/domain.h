// What tenants, projects and API keys are, and which of them are valid. Pure: no I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/api_key_format.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/ip_range.h"
#include "services/common/residency.h"
#include "services/common/result.h"
#include "services/common/roles.h"
#include "services/tenancy/limits.h"
#include "services/tenancy/quota.h"

namespace allod::tenancy {

// What leads from one to another, and what each means: tenant_deletion.h.
enum class TenantState { kActive, kSuspended, kDeleting, kPurging, kDeleted };
// What holds for all keys of a tenant: let in, refused because it or one above is suspended, refused while it can still
// be brought back, gone.
enum class KeysStanding { kInForce, kSuspended, kDeleting, kGone };

struct TenantDeletion {
  Time delete_time;
  Time purge_time;  // until when it can be brought back
  std::string reason;
  TenantState state_before = TenantState::kActive;
  bool from_above = false;  // people of a tenant above did it, and may undo it; else it was an operator
};

struct Tenant {
  std::string id;                            // "ke"
  std::string display_name;                  // 1 to 128 characters
  std::string currency_code;                 // ISO 4217, immutable
  std::vector<std::string> residency;        // ISO 3166-1 alpha-2, lower case; sorted, unique, at least one
  TenantState state = TenantState::kActive;  // its own
  Time create_time;
  int weight = 1;              // share of contended compute, 1 to kWeightMax
  std::string suspend_reason;  // of a tenant that is or was suspended; else empty
  std::int64_t version = 0;    // of its last change; one order for all tenants. Set by the store
  Quota quota = {};
  Limits limits = {};
  std::string parent = {};  // id of the tenant that it is below; empty: none. Immutable
  // tenant_tree.h. Set by the store:
  std::vector<std::string> ancestors = {};                // ids from the top to the parent
  std::string suspended_by = {};                          // the nearest of them that is suspended; empty: none is
  Quota quota_below = {};                                 // what its children have of `quota`
  std::optional<TenantDeletion> deletion = std::nullopt;  // none: it is active or suspended
  ClassResidency residency_rules = {};  // of classes for which `residency` does not hold; in order likewise
  // Of one that is suspended: people of a tenant above did it, and may resume it; else it was an operator.
  bool suspended_from_above = false;

  std::string name() const { return "tenants/" + id; }
  TenantId uid() const { return {Uuid::FromName(name())}; }
};

struct Project {
  std::string tenant;  // tenant's id
  std::string id;
  std::string display_name;
  Time create_time;
  Quota quota = {};
  std::int64_t version = 0;  // grows with each change. Set by the store
  Limits limits = {};
  InstanceLimits instance_limits = {};

  std::string name() const { return "tenants/" + tenant + "/projects/" + id; }
  // Projects go with their tenant only, whose id is never reused, so neither is the name.
  Uuid uid() const { return Uuid::FromName(name()); }
};

enum class Scope { kInference, kPortal };

struct ApiKey {
  std::string tenant;
  std::string project;
  std::string kid;
  std::string display_name;
  std::set<Scope> scopes;  // never empty
  Roles roles;             // through the portal; empty without Scope::kPortal
  ApiKeyDigest digest{};   // HMAC of the secret
  Time create_time;
  std::optional<Time> revoke_time;
  std::optional<Time> expire_time = std::nullopt;     // none: never
  std::vector<IpRange> allowed_ip_ranges = {};        // sorted, each once; empty: every address
  std::vector<std::string> allowed_instances = {};    // ids, sorted, each once; empty: all of the project
  std::optional<Time> last_used_time = std::nullopt;  // whole minutes
  Limits limits = {};

  std::string name() const { return "tenants/" + tenant + "/projects/" + project + "/apiKeys/" + kid; }
  bool HoldsAt(Time now) const { return !revoke_time && (!expire_time || *expire_time > now); }
};

// What a tenant and a project may hold at most, so that what gateways keep in memory is bounded. Keys that are
// revoked or expired do not count.
inline constexpr int kProjectsPerTenantMax = 1000;
inline constexpr int kApiKeysPerProjectMax = 10'000;
inline constexpr int kApiKeysPerTenantMax = 50'000;

inline constexpr int kWeightMax = 1000;
inline constexpr int kSuspendReasonCharsMax = 512;

// Checks what a user gave for a new tenant, puts the residency in order and fills in a weight of 0. INVALID_ARGUMENT
// with INVALID_ID, INVALID_TEXT, UNKNOWN_CURRENCY, UNKNOWN_COUNTRY, RESIDENCY_REQUIRED, DUPLICATE_COUNTRY,
// INVALID_WEIGHT, INVALID_QUOTA, INVALID_LIMITS or INVALID_RESIDENCY_RULE.
Result<Tenant> ValidTenant(Tenant tenant);
// The same of what is to replace a tenant's content; the currency may be left out.
Result<Tenant> ValidTenantContent(Tenant tenant);
// INVALID_ARGUMENT / INVALID_TEXT.
Status CheckSuspendReason(std::string_view reason);

// Changes with each change of the tenant, its state included.
std::string EtagOf(const Tenant& tenant);
std::string EtagOf(const Project& project);
// Of any resource: INVALID_ARGUMENT / ETAG_REQUIRED, ABORTED / ETAG_MISMATCH. `field` is e.g. "workload_rule".
Status CheckEtag(std::string_view field, std::string_view name, std::string_view standing, std::string_view given);
// `standing` with the content of `wanted` (see ValidTenantContent). INVALID_ARGUMENT / ETAG_REQUIRED; ABORTED /
// ETAG_MISMATCH; FAILED_PRECONDITION / IMMUTABLE.
Result<Tenant> Changed(const Tenant& standing, const Tenant& wanted, std::string_view etag);
// Who changes, suspends, resumes, deletes or brings back a tenant: an operator, or people of a tenant above it.
enum class Setter { kOperator, kFromAbove };
// `standing` suspended for `reason`, or active. What an operator suspended is his: FAILED_PRECONDITION /
// SUSPENDED_BY_OPERATOR for people from above who would change anything about it.
Result<Tenant> WithState(const Tenant& standing, TenantState state, const std::string& reason, Setter by);
Result<Project> ValidProject(Project project);
// Whether a project may be made so in its tenant. INVALID_ARGUMENT / INVALID_QUOTA, INVALID_LIMITS.
Status CheckWithinTenant(const Project& project, const Tenant& tenant);
// `standing` with the content of `wanted` (see ValidProject), in its tenant as it is. INVALID_ARGUMENT /
// ETAG_REQUIRED, INVALID_QUOTA, INVALID_LIMITS; ABORTED / ETAG_MISMATCH.
Result<Project> Changed(const Project& standing, const Project& wanted, std::string_view etag, const Tenant& tenant);
bool SameLimits(const Project& a, const Project& b);
// What a key can have at most.
const std::set<Scope>& EveryScope();
// "inference", "portal": how a Caller names them. Nothing for another word.
std::string_view WordOf(Scope scope);
std::optional<Scope> ScopeOf(std::string_view word);
// What the maker of a key may hand on.
struct Held {
  std::set<Scope> scopes = EveryScope();
  Rights roles = {Role::ROLE_OWNER};
  // Of a key for which none is named.
  Roles usual_roles = {Role::ROLE_ADMIN};
};
// No scopes means every scope that its maker may hand on. The display name may be empty. PERMISSION_DENIED /
// SCOPE_NOT_HELD or ROLE_NOT_HELD for what is not the maker's; INVALID_ARGUMENT / INVALID_ROLE.
Result<ApiKey> ValidApiKey(ApiKey key, const Held& held = {});

// Whether a create request asks for what is already there (times, states and versions aside).
bool SameContent(const Tenant& a, const Tenant& b);
bool SameContent(const Project& a, const Project& b);
// ALREADY_EXISTS / ALREADY_EXISTS.
Error TakenByOtherContent(std::string_view name);
// Whether one more may be made beside those that there are; a key in place of `replaced` of them. RESOURCE_EXHAUSTED /
// TOO_MANY_PROJECTS, TOO_MANY_API_KEYS, QUOTA_EXCEEDED.
Status RoomForProject(const Project& project, const QuotaState& state);
Status RoomForApiKey(const ApiKey& key, const QuotaState& state, int replaced = 0);

}  // namespace allod::tenancy
