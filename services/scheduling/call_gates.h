// How much of what scheduling does one tenant may have at once, so that its crowd leaves threads and connections to
// nodes, gateways and everybody else. Together the gates hold less than the server's threads (kThreadsMax in main.cc).
#pragma once

#include "services/common/rpc/gate_limits.h"

namespace allod::scheduling {

struct CallGates {
  // Until gateways have acknowledged what was changed.
  CallGate mutations{ChangeLimits("changes of instances")};
  // Of those, what is with the peers and at the database: changes of a tenant are made one after another under its
  // lock, so that more than one waiting for it would only sit on connections.
  CallGate writes{WriteLimits("changes of instances", 2, 4)};
  CallGate reads{ReadLimits()};
  // For operations. Who finds no place is answered at once, which WaitOperation allows.
  CallGate waits{{.what = "waits", .per_key_max = 32, .total_max = 64}};
};

}  // namespace allod::scheduling
