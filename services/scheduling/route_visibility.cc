#include "services/scheduling/route_visibility.h"

#include <algorithm>

namespace allod::scheduling {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

bool Shows(const RouteTable& table, const Operation& operation) {
  const Route* route = FindRoute(table, operation.instance_name);
  const bool routed = route != nullptr && route->id == operation.instance;
  if (operation.kind == OperationKind::kDelete) return !routed;
  return routed && route->generation >= operation.generation;
}

bool RouteVisibility::Await(const Operation& operation, milliseconds wait) const {
  const auto until = steady_clock::now() + wait;
  const auto left = [&] {
    return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(until - steady_clock::now()));
  };
  auto seen = routes_.Await(0, milliseconds(0));
  while (seen.value == nullptr || !Shows(*seen.value, operation)) {
    if (left() == milliseconds(0)) return false;
    seen = routes_.Await(seen.version, left());
  }
  return gateways_.Await(static_cast<std::int64_t>(seen.version), left());
}

}  // namespace allod::scheduling
