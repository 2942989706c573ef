// The refusals that every operation of the portal API may answer with, in the words of an OpenAPI document: RFC 9457
// problem details, and the reasons that programs may test. Pure.
#pragma once

#include <nlohmann/json.hpp>

#include "gateway/portal/transcoder.h"

namespace allod::gateway::portal {

nlohmann::ordered_json ProblemSchema();
// For `components.responses`: one for each status.
nlohmann::ordered_json ProblemResponses();
// Those of the route, for `responses`: references into the components, and `default` for all others.
nlohmann::ordered_json ProblemsOf(const PortalRoute& route);

}  // namespace allod::gateway::portal
