// What a mutation of an instance waits for before it returns: that gateways route accordingly. Thread-safe.
//
// The reconciler, woken by the mutation, publishes a table that shows it in its next pass, before it places anything;
// the table goes to the gateways, and they acknowledge it (services/common/rpc/watchers.h).
#pragma once

#include <chrono>

#include "services/common/rpc/watchers.h"
#include "services/scheduling/broadcast.h"
#include "services/scheduling/domain.h"
#include "services/scheduling/route_table.h"

namespace allod::scheduling {

class RouteVisibility {
 public:
  // Both must outlive it.
  RouteVisibility(const Broadcast<RouteTable>& routes, Watchers& gateways) : routes_(routes), gateways_(gateways) {}

  // Waits until every gateway that keeps up routes as the instance stood after `operation`: to it, of that generation
  // at least, or not to it any more. False when `wait` ran out before.
  bool Await(const Operation& operation, std::chrono::milliseconds wait) const;

 private:
  const Broadcast<RouteTable>& routes_;
  Watchers& gateways_;
};

// Whether a table shows what `operation` made of its instance.
bool Shows(const RouteTable& table, const Operation& operation);

}  // namespace allod::scheduling
