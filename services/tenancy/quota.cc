#include "services/tenancy/quota.h"

#include <fmt/format.h>

namespace allod::tenancy {

Status CheckQuotaValues(std::string_view field, const Quota& quota) {
  for (const QuotaField& each : kQuotaFields) {
    if (quota.*each.value >= 0) continue;
    return InvalidArgument("INVALID_QUOTA", fmt::format("{}.{} is {}; give a number, or 0 for no quota of its own",
                                                        field, each.name, quota.*each.value));
  }
  return {};
}

Status CheckWithinTenant(const Quota& project, const Quota& tenant) {
  if (project.projects != 0) {
    return InvalidArgument("INVALID_QUOTA", "project.quota.projects: a project has no projects; leave it out");
  }
  for (const QuotaField& each : kQuotaFields) {
    const std::int64_t wanted = project.*each.value;
    const std::int64_t outer = tenant.*each.value;
    if (outer == 0 || wanted <= outer) continue;
    return InvalidArgument("INVALID_QUOTA",
                           fmt::format("project.quota.{} is {} and could never be reached: the tenant's quota is {}; "
                                       "give at most that, or 0 for no quota of its own",
                                       each.name, wanted, outer));
  }
  return {};
}

}  // namespace allod::tenancy
