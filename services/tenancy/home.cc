#include "services/tenancy/home.h"

#include <fmt/format.h>

#include "services/common/log.h"

namespace allod::tenancy {

ResidencyRules ResidencyOf(const Tenant& tenant) { return {tenant.residency, tenant.residency_rules}; }

Status CheckHome(const Tenant& tenant, const std::string& home) {
  const std::string why = WhyOutside(ResidencyOf(tenant), kClassesAtHome, home);
  if (why.empty()) return {};
  return FailedPrecondition(
      "RESIDENCY",
      fmt::format("tenant.residency: this installation stands in jurisdiction {}, {}; it stores usage, invoices, logs "
                  "and what is copied of them where it stands: allow that by a rule for each of these classes "
                  "(residency_rules), or make the tenant in an installation that stands where they may be",
                  home, why));
}

void LogTenantsOutside(Store& store, const std::string& home) {
  PageRequest page{.scope = "tenants", .size = kPageSizeMax};
  while (true) {
    const auto tenants = store.ListTenants(page);
    if (!tenants) {
      Log(LogLevel::kWarning, "cannot tell whether all tenants may be stored here",
          {{"reason", tenants.error().reason}});
      return;
    }
    for (const Tenant& tenant : tenants->items) {
      if (const Status may = CheckHome(tenant, home); !may) {
        Log(LogLevel::kError, "a tenant's data is stored outside its residency",
            {{"tenant", tenant.name()}, {"message", may.error().message}});
      }
    }
    if (tenants->next_page_token.empty()) return;
    page.after = tenants->items.back().id;
  }
}

}  // namespace allod::tenancy
