// What a worker's and a job's sandbox has beyond those of other processes: what `strict` demands.
#pragma once

#include "services/common/result.h"
#include "services/common/sandbox/layers.h"

namespace allod::inference::sandbox {

// The layers and their parts that every process of the platform uses.
using namespace allod::sandbox;  // NOLINT(google-build-using-namespace)

// Of what `strict` demands, that is all but what a kernel or host may lack for good (Landlock, cgroups).
// FAILED_PRECONDITION / SANDBOX_INCOMPLETE names what is missing.
Status RequireStrict(const Layers& layers);

}  // namespace allod::inference::sandbox
