#include "services/common/quota.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod {

Status CheckQuota(const QuotaCheck& check) {
  if (check.limit == 0 || check.after <= check.limit || check.after <= check.before) return {};
  return Fail(
      Code::kResourceExhausted, "QUOTA_EXCEEDED",
      fmt::format("{} may have {} {} ({}) and has {}; this would make it {}. Remove some, or ask {} to raise "
                  "the quota",
                  check.owner, check.limit, check.things, check.field, check.before, check.after, check.raiser));
}

std::int64_t TighterLimit(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

}  // namespace allod
