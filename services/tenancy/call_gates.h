// How much of what tenancy does one tenant may have at once, so that its crowd leaves threads and connections to
// gateways, services and everybody else. Together the gates hold less than the server's threads (kThreadsMax in
// main.cc).
#pragma once

#include "services/common/rpc/call_gate.h"

namespace allod::tenancy {

struct CallGates {
  // Until gateways have acknowledged what was changed, which may take 2 s with nothing to do for this service. A
  // pipeline that makes 16 keys at once is not held up, and ten such crowds leave the others room.
  CallGate mutations{{.what = "changes of projects and keys", .per_key_max = 20, .total_max = 200}};
  // Of those, what is at the database: all changes of keys of all tenants are made one after another under the lock of
  // the clock's row, so that more than the next one would only sit on connections; and no tenant takes both places. All
  // calls of `mutations` may wait here.
  CallGate writes{{.what = "changes of projects and keys",
                   .per_key_max = 1,
                   .total_max = 2,
                   .waiting_per_key_max = 20,
                   .waiting_max = 200,
                   .wait_max = std::chrono::milliseconds(5000)}};
  // A list reads hundreds of rows. As many wait as a page of a portal asks for at once.
  CallGate reads{{.what = "reads",
                  .per_key_max = 2,
                  .total_max = 3,
                  .waiting_per_key_max = 32,
                  .waiting_max = 64,
                  .wait_max = std::chrono::milliseconds(2000)}};
};

}  // namespace allod::tenancy
