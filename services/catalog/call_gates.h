// How much of what the catalog does one tenant may have at once: the marketplace is open to every tenant, and jobs of
// nodes and admission in scheduling need the same threads and connections.
#pragma once

#include "services/common/rpc/call_gate.h"

namespace allod::catalog {

struct CallGates {
  // A page holds up to 4 MiB of texts and reports. As many wait as a page of a portal asks for at once.
  CallGate reads{{.what = "reads",
                  .per_key_max = 2,
                  .total_max = 4,
                  .waiting_per_key_max = 32,
                  .waiting_max = 64,
                  .wait_max = std::chrono::milliseconds(2000)}};
};

}  // namespace allod::catalog
