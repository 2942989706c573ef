// How a limit of requests is divided between the bucket that all gateways share and what each may spend of its own
// accord. Pure.
//
// A request must not wait for the shared bucket, so a gateway spends ahead of it: units that it leased before, and when
// it has none, units of an allowance of its own, which it reports afterwards. Both are taken out of the limit:
//
//   shared + gateways x (ahead + chunk) = limit      (a limit below 4 x gateways: up to 2 x gateways + 1)
//
// so that all gateways together admit no more than limit + limit / minute x t in any time t, with Redis and without.
// Without it each goes on with its allowance, which refills at its share of the rate. A single gateway needs no
// allowance: its own bucket is the whole limit.
#pragma once

#include <algorithm>
#include <cstdint>

namespace allod::gateway::access {

struct SharedBudget {
  std::int64_t shared = 0;  // burst of the common bucket
  std::int64_t ahead = 0;   // burst of each gateway's allowance
  std::int64_t chunk = 0;   // what a gateway leases at most in advance
};

constexpr SharedBudget Divide(std::int64_t limit, std::int64_t gateways) {
  if (gateways <= 1) return {limit, limit, std::max<std::int64_t>(1, limit / 60)};
  SharedBudget out;
  out.chunk = std::max<std::int64_t>(1, limit / (8 * gateways));
  out.ahead = std::max<std::int64_t>(1, limit / (2 * gateways) - out.chunk);
  out.shared = std::max<std::int64_t>(1, limit - gateways * (out.ahead + out.chunk));
  return out;
}

}  // namespace allod::gateway::access
