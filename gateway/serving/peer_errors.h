// What a peer says went wrong, as the client of the request is told. A 4xx says "it is you": only for the reasons that
// a caller can have caused does a peer's word become one. Whatever else it says is ours, a 5xx, and never billed.
#pragma once

#include <span>
#include <string_view>

#include "services/common/result.h"

namespace allod::gateway::serving {

// The reasons for which a worker refuses what the caller asked.
std::span<const std::string_view> RefusalsOfWorkers();
// Whether the request ended with what its caller asked: a refusal of a worker, or money that is not there.
bool IsCallersDoing(const Error& error);

// UNAVAILABLE where another try may help.
Error OfWorker(Error error);
Error OfBilling(Error error);

}  // namespace allod::gateway::serving
