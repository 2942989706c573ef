#include "services/scheduling/route_table.h"

#include <algorithm>

namespace allod::scheduling {

RouteChanges ChangesBetween(const RouteTable& before, const RouteTable& now) {
  RouteChanges out;
  auto old = before.begin();
  for (const Route& route : now) {
    for (; old != before.end() && old->instance < route.instance; ++old) out.removed.push_back(old->instance);
    const bool known = old != before.end() && old->instance == route.instance;
    if (!known || *old != route) out.routes.push_back(&route);
    if (known) ++old;
  }
  for (; old != before.end(); ++old) out.removed.push_back(old->instance);
  return out;
}

const Route* FindRoute(const RouteTable& table, const std::string& instance) {
  const auto found = std::ranges::lower_bound(table, instance, {}, &Route::instance);
  return found == table.end() || found->instance != instance ? nullptr : &*found;
}

}  // namespace allod::scheduling
