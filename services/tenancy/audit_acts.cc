#include "services/tenancy/audit_acts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace allod::tenancy {

audit::Act CreationOf(const Tenant& tenant) {
  std::string residency = fmt::format("{}", fmt::join(tenant.residency, ","));
  return {.action = "tenancy.tenants.create",
          .resource = tenant.name(),
          .details = {{"currency_code", tenant.currency_code},
                      {"residency", std::move(residency)},
                      audit::Personal("display_name", tenant.display_name)}};
}

audit::Act CreationOf(const Project& project) {
  return {.action = "tenancy.projects.create",
          .resource = project.name(),
          .details = {audit::Personal("display_name", project.display_name)}};
}

audit::Act CreationOf(const ApiKey& key) {
  std::vector<std::string_view> scopes;
  for (const Scope scope : key.scopes) scopes.push_back(WordOf(scope));
  return {.action = "tenancy.apiKeys.create",
          .resource = key.name(),
          .details = {{"scopes", fmt::format("{}", fmt::join(scopes, ","))},
                      {"roles", key.roles.ToString()},
                      audit::Personal("display_name", key.display_name)}};
}

audit::Act RevocationOf(const ApiKey& key) { return {.action = "tenancy.apiKeys.revoke", .resource = key.name()}; }

}  // namespace allod::tenancy
