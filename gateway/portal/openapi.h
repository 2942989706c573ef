// Writes the OpenAPI 3.1 document: the portal API from the transcoder's descriptors, and the paths under /v1.
#pragma once

#include <string>

#include "gateway/portal/transcoder.h"

namespace allod::gateway::portal {

// The portal is served under this prefix, because /v1 itself belongs to the OpenAI-compatible API.
inline constexpr const char* kPortalPrefix = "/portal";

// Only what some key may call: a method whose access rule admits none is no part of the tenants' API.
std::string OpenApiJson(const Transcoder& transcoder);

// `/v1/{name=tenants/*/projects/*}:revoke` -> `/v1/tenants/{tenant}/projects/{project}:revoke`.
std::string OpenApiPath(const PathTemplate& path);

}  // namespace allod::gateway::portal
