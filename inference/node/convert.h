// Between the protos of scheduling and what the node agent computes with.
#pragma once

#include <optional>
#include <string>

#include "allod/scheduling/v1/node.pb.h"
#include "inference/node/supervisor.h"
#include "services/common/result.h"

namespace allod::inference::node {

// INVALID_ARGUMENT names the field: paths and command lines are made of these. FAILED_PRECONDITION / RESIDENCY where
// the tenant's weights, KV cache or prompts may not be in `jurisdiction`, in which this machine stands.
Result<pool::DesiredWorker> FromProto(const scheduling::v1::Assignment& assignment, const std::string& jurisdiction);
// An assignment that FromProto() refused, so that it can be reported as failed; nothing when it does not even say whose
// it is.
std::optional<pool::DesiredWorker> Unusable(const scheduling::v1::Assignment& assignment, const Error& why);
// The whole report; pooled replicas get no figures of their own, because their worker's are those of others too.
scheduling::v1::ReportWorkersRequest ToReport(const std::string& node_name, const Supervisor::Snapshot& snapshot);

}  // namespace allod::inference::node
