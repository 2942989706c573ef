// What instances count against the quotas of their tenant and of their project. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "services/common/result.h"
#include "services/scheduling/domain.h"

namespace allod::scheduling {

// What some instances have together, or may have; of a limit 0 is none.
struct InstanceTotals {
  std::int64_t instances = 0;
  std::int64_t replicas = 0;
  std::int64_t context_tokens = 0;  // that can be held at once: of each sequence of each replica
  std::int64_t memory_bytes = 0;    // of each replica as if it were alone on its node

  // Saturates.
  InstanceTotals operator+(const InstanceTotals& o) const;
  bool operator==(const InstanceTotals&) const = default;
};

// Of one instance with this spec.
InstanceTotals TotalsOf(const Revision& revision);

// Limits, or what there is.
struct QuotaScopes {
  InstanceTotals in_tenant;
  InstanceTotals in_project;

  bool operator==(const QuotaScopes&) const = default;
};

// Whether an instance of that name may come to be as in `wanted`, beside `others`. `standing` is what it is now; null:
// it is to be made. RESOURCE_EXHAUSTED / TOO_MANY_INSTANCES, QUOTA_EXCEEDED.
Status CheckQuotas(const std::string& instance_name, const QuotaScopes& limits, const QuotaScopes& others,
                   const Revision* standing, const Revision& wanted);

}  // namespace allod::scheduling
