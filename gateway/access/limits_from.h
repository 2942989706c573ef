// The limits that tenancy pushes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "allod/tenancy/v1/limits.pb.h"
#include "gateway/access/rate_limits.h"

namespace allod::gateway::access {

// One that makes no sense is the tightest there is, so that none is left out.
inline RateLimits LimitsFrom(const tenancy::v1::Limits& limits) {
  const auto read = [](auto value) { return value < 0 ? decltype(value){1} : value; };
  return {read(limits.requests_per_minute()), read(limits.tokens_per_minute()), read(limits.concurrency()),
          limits.shadow()};
}

}  // namespace allod::gateway::access
