#include "services/tenancy/domain.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/country_code.h"
#include "services/common/money.h"
#include "services/common/text_check.h"

namespace allod::tenancy {
namespace {

// Stricter than other ids, because the tenant's id also names directories, system users and DNS labels.
Status CheckTenantId(std::string_view id) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (id.size() >= 2 && id.size() <= 32 && id.front() >= 'a' && id.front() <= 'z' && id.back() != '-' &&
      std::ranges::all_of(id, allowed)) {
    return {};
  }
  return InvalidArgument("INVALID_ID",
                         fmt::format("tenant_id: '{}' is not 2 to 32 characters of [a-z0-9-] that start with a "
                                     "letter and do not end with '-'",
                                     id.substr(0, 64)));
}

}  // namespace

Result<Tenant> ValidTenant(Tenant tenant) {
  ALLOD_CHECK_OK(CheckTenantId(tenant.id));
  ALLOD_CHECK_OK(CheckDisplayName("tenant.display_name", tenant.display_name));
  ALLOD_CHECK_OK(MinorUnitDecimals("tenant.currency_code", tenant.currency_code));
  if (tenant.residency.empty()) {
    return InvalidArgument("RESIDENCY_REQUIRED",
                           "tenant.residency: name at least one country in which the tenant's data may be processed");
  }
  for (std::size_t i = 0; i < tenant.residency.size(); ++i) {
    ALLOD_CHECK_OK(CheckCountryCode(fmt::format("tenant.residency[{}]", i), tenant.residency[i]));
  }
  std::ranges::sort(tenant.residency);
  if (const auto twice = std::ranges::adjacent_find(tenant.residency); twice != tenant.residency.end()) {
    return InvalidArgument("DUPLICATE_COUNTRY", fmt::format("tenant.residency: '{}' stands there twice", *twice));
  }
  return tenant;
}

Result<Project> ValidProject(Project project) {
  ALLOD_CHECK_OK(CheckId("project_id", project.id));
  ALLOD_CHECK_OK(CheckDisplayName("project.display_name", project.display_name));
  return project;
}

Result<ApiKey> ValidApiKey(ApiKey key) {
  ALLOD_CHECK_OK(CheckText("api_key.display_name", key.display_name, 0, 128));
  if (key.scopes.empty()) key.scopes = {Scope::kInference, Scope::kPortal};
  return key;
}

bool SameContent(const Tenant& a, const Tenant& b) {
  return a.id == b.id && a.display_name == b.display_name && a.currency_code == b.currency_code &&
         a.residency == b.residency;
}

bool SameContent(const Project& a, const Project& b) {
  return a.tenant == b.tenant && a.id == b.id && a.display_name == b.display_name;
}

Error TakenByOtherContent(std::string_view name) {
  return {Code::kAlreadyExists, "ALREADY_EXISTS",
          fmt::format("{} exists with other content; choose another id, or ask for exactly what is there", name)};
}

Error TooManyApiKeys(const ApiKey& key) {
  return {Code::kResourceExhausted, "TOO_MANY_API_KEYS",
          fmt::format("tenants/{}/projects/{} has {} API keys, the most that a project may have; use another project",
                      key.tenant, key.project, kApiKeysPerProjectMax)};
}

}  // namespace allod::tenancy
