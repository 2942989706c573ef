// What somebody may ask for: of a key, a project, a tenant or a model.
#pragma once

#include <cstdint>

namespace allod::gateway::access {

// 0: none of its kind.
struct RateLimits {
  std::int64_t requests_per_minute = 0;
  std::int64_t tokens_per_minute = 0;
  int concurrency = 0;
  bool shadow = false;  // what would be refused is counted, and let pass

  bool any() const { return requests_per_minute > 0 || tokens_per_minute > 0 || concurrency > 0; }
  bool operator==(const RateLimits&) const = default;
};

}  // namespace allod::gateway::access
