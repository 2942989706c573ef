#include "services/common/quota.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod {

Status CheckQuota(const QuotaCheck& check) {
  const std::int64_t limit = std::max<std::int64_t>(check.limit, 0);
  if (check.limit == 0 || check.after <= limit || check.after <= check.before) return {};
  return Fail(Code::kResourceExhausted, "QUOTA_EXCEEDED",
              fmt::format("{} may have {} {} ({}) and has {}; this would make it {}. Remove some, or ask {} to raise "
                          "the quota",
                          check.owner, limit, check.things, check.field, check.before, check.after, check.raiser));
}

std::int64_t TighterLimit(std::int64_t a, std::int64_t b) {
  if (a == 0) return b;
  return b == 0 ? a : std::min(a, b);
}

std::int64_t LimitLeft(std::int64_t limit, std::int64_t given) {
  if (limit == 0) return 0;
  return given >= limit ? kNothingLeft : limit - given;
}

}  // namespace allod
