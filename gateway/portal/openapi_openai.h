// The part of the API's description that no proto has: OpenAI's endpoints, as this gateway takes them.
#pragma once

#include <nlohmann/json.hpp>

namespace allod::gateway::portal {

// Adds the paths under /v1, and what they refer to.
void AddOpenAiPaths(nlohmann::ordered_json& paths, nlohmann::ordered_json& schemas);

}  // namespace allod::gateway::portal
