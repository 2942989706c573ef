// How much of what the catalog does one tenant may have at once: the marketplace is open to every tenant, and jobs of
// nodes and admission in scheduling need the same threads and connections.
#pragma once

#include "services/common/rpc/gate_limits.h"

namespace allod::catalog {

struct CallGates {
  // A page holds up to 4 MiB of texts and reports.
  CallGate reads{ReadLimits()};
};

}  // namespace allod::catalog
