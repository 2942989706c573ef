// Quotas: what a tenant may have at most, and its projects within that. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod::tenancy {

// 0: none of its own.
struct Quota {
  std::int64_t instances = 0;
  std::int64_t replicas = 0;
  std::int64_t context_tokens = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t api_keys = 0;
  std::int64_t projects = 0;  // of a tenant only

  bool operator==(const Quota&) const = default;
};

struct QuotaField {
  std::string_view name;  // as the API has it
  std::int64_t Quota::*value;
};
inline constexpr std::array<QuotaField, 6> kQuotaFields{{{"instances", &Quota::instances},
                                                         {"replicas", &Quota::replicas},
                                                         {"context_tokens", &Quota::context_tokens},
                                                         {"memory_bytes", &Quota::memory_bytes},
                                                         {"api_keys", &Quota::api_keys},
                                                         {"projects", &Quota::projects}}};

// INVALID_ARGUMENT / INVALID_QUOTA for a negative one. `field` is e.g. "tenant.quota".
Status CheckQuotaValues(std::string_view field, const Quota& quota);
// The same for one of a project that is more than its tenant's, or about projects.
Status CheckWithinTenant(const Quota& project, const Quota& tenant);

// What there is beside what there may be, of what is made here.
struct QuotaState {
  Quota of_tenant;   // that it may have itself: OwnQuota() (tenant_tree.h)
  Quota of_project;  // empty if no project is asked about
  std::int64_t projects = 0;
  std::int64_t keys_in_tenant = 0;  // that hold, as below
  std::int64_t keys_in_project = 0;
};

}  // namespace allod::tenancy
