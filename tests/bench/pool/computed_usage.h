// What the node has told billing of the work it really did: the end of a request in a worker, on this machine's clock,
// without asking anything of the worker while it works. Throws std::runtime_error.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/bench/pool/installation.h"

namespace allod::bench {

struct ComputedEvent {
  std::string request_id;
  std::chrono::system_clock::time_point start;
  std::chrono::system_clock::time_point end;
  std::int64_t sampled_tokens = 0;
  bool cancelled = false;
};

// Of one tenant, in no order. Waits until there are `expected` of them, or none has come for some seconds.
std::vector<ComputedEvent> ComputedUsageOf(const Installation& installation, const TenantAccess& tenant,
                                           std::size_t expected);

}  // namespace allod::bench
