// What nodes tell of their workers, their compute gates and the models they hold, as Prometheus text. Pure.
//
// Per replica, with labels `instance` (full name), `node`, `replica` and `class` ("pooled", "isolated", "dedicated"):
// allod_worker_*. Per node: allod_node_up, allod_node_gate_*. Per node, artifact (12 digits of its digest) and whether
// it is held for a dedicated replica: allod_node_resident_model*, summed over dedicated copies.
#pragma once

#include <string>

#include "allod/scheduling/v1/node.pb.h"

namespace allod::gateway::telemetry {

// Text exposition format 0.0.4. Figures that a node has not told are left out.
std::string PoolMetricsText(const scheduling::v1::ListNodesResponse& nodes,
                            const scheduling::v1::ListWorkersResponse& workers);

}  // namespace allod::gateway::telemetry
