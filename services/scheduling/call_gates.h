// How much of what scheduling does one tenant may have at once, so that its crowd leaves threads and connections to
// nodes, gateways and everybody else. Together the gates hold less than the server's threads (kThreadsMax in main.cc).
#pragma once

#include "services/common/rpc/call_gate.h"

namespace allod::scheduling {

struct CallGates {
  // Until gateways have acknowledged what was changed, which may take 2 s with nothing to do for this service: a
  // pipeline that applies 16 manifests at once is not held up, and ten such crowds leave the others room.
  CallGate mutations{{.what = "changes of instances", .per_key_max = 20, .total_max = 200}};
  // Of those, what is with the peers and at the database: changes of a tenant are made one after another under its
  // lock, so that more than one waiting for it would only sit on connections. All calls of `mutations` may wait here.
  CallGate writes{{.what = "changes of instances",
                   .per_key_max = 2,
                   .total_max = 4,
                   .waiting_per_key_max = 20,
                   .waiting_max = 200,
                   .wait_max = std::chrono::milliseconds(5000)}};
  // A list reads thousands of rows. As many wait as a page of a portal asks for at once.
  CallGate reads{{.what = "reads",
                  .per_key_max = 2,
                  .total_max = 4,
                  .waiting_per_key_max = 32,
                  .waiting_max = 64,
                  .wait_max = std::chrono::milliseconds(2000)}};
  // For operations. Who finds no place is answered at once, which WaitOperation allows.
  CallGate waits{{.what = "waits", .per_key_max = 32, .total_max = 64}};
};

}  // namespace allod::scheduling
