// What tenants, projects and API keys are, and which of them are valid. Pure: no I/O, no clock.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/api_key_format.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::tenancy {

enum class TenantState { kActive, kSuspended };

struct Tenant {
  std::string id;                      // "ke"
  std::string display_name;            // 1 to 128 characters
  std::string currency_code;           // ISO 4217, immutable
  std::vector<std::string> residency;  // ISO 3166-1 alpha-2, lower case; sorted, unique, at least one
  TenantState state = TenantState::kActive;
  Time create_time;

  std::string name() const { return "tenants/" + id; }
  TenantId uid() const { return {Uuid::FromName(name())}; }
};

struct Project {
  std::string tenant;  // tenant's id
  std::string id;
  std::string display_name;
  Time create_time;

  std::string name() const { return "tenants/" + tenant + "/projects/" + id; }
  // Projects are never deleted, so the name is never reused.
  Uuid uid() const { return Uuid::FromName(name()); }
};

enum class Scope { kInference, kPortal };

struct ApiKey {
  std::string tenant;
  std::string project;
  std::string kid;
  std::string display_name;
  std::set<Scope> scopes;  // never empty
  ApiKeyDigest digest{};   // HMAC of the secret
  Time create_time;
  std::optional<Time> revoke_time;

  std::string name() const { return "tenants/" + tenant + "/projects/" + project + "/apiKeys/" + kid; }
};

// What a project may hold at most, so that what gateways keep in memory is bounded.
inline constexpr int kApiKeysPerProjectMax = 10'000;

// Checks what a user gave for a new tenant and puts the residency in order. INVALID_ARGUMENT with INVALID_ID,
// INVALID_TEXT, UNKNOWN_CURRENCY, UNKNOWN_COUNTRY, RESIDENCY_REQUIRED or DUPLICATE_COUNTRY.
Result<Tenant> ValidTenant(Tenant tenant);
Result<Project> ValidProject(Project project);
// No scopes means every scope. The display name may be empty.
Result<ApiKey> ValidApiKey(ApiKey key);

// Whether a create request asks for what is already there (times and states aside).
bool SameContent(const Tenant& a, const Tenant& b);
bool SameContent(const Project& a, const Project& b);
// ALREADY_EXISTS / ALREADY_EXISTS.
Error TakenByOtherContent(std::string_view name);
// RESOURCE_EXHAUSTED / TOO_MANY_API_KEYS.
Error TooManyApiKeys(const ApiKey& key);

}  // namespace allod::tenancy
