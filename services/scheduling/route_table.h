// The table that gateways route by, and what became of it from one version to the next. Pure.
#pragma once

#include <string>
#include <vector>

#include "services/scheduling/observe.h"

namespace allod::scheduling {

using RouteTable = std::vector<Route>;  // by instance name, each once

struct RouteChanges {
  std::vector<const Route*> routes;  // new or different; they live in the newer table
  std::vector<std::string> removed;  // names of instances
};

RouteChanges ChangesBetween(const RouteTable& before, const RouteTable& now);

// Null if the instance is not routed to. Takes the logarithm of the table's size.
const Route* FindRoute(const RouteTable& table, const std::string& instance);

}  // namespace allod::scheduling
