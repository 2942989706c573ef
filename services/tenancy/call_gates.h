// How much of what tenancy does one tenant may have at once, so that its crowd leaves threads and connections to
// gateways, services and everybody else. Together the gates hold less than the server's threads (kThreadsMax in
// main.cc).
#pragma once

#include "services/common/rpc/gate_limits.h"

namespace allod::tenancy {

struct CallGates {
  // Until gateways have acknowledged what was changed.
  CallGate mutations{ChangeLimits("changes of projects and keys")};
  // Of those, what is at the database: all changes of keys of all tenants are made one after another under the lock of
  // the clock's row, so that more than the next one would only sit on connections; and no tenant takes both places.
  CallGate writes{WriteLimits("changes of projects and keys", 1, 2)};
  CallGate reads{ReadLimits()};
};

}  // namespace allod::tenancy
