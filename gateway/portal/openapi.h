// Writes the OpenAPI 3.1 document: the portal API from the transcoder's descriptors, and the paths under /v1.
#pragma once

#include <string>

#include "gateway/portal/transcoder.h"

namespace allod::gateway::portal {

// The portal is served under this prefix, because /v1 itself belongs to the OpenAI-compatible API.
inline constexpr const char* kPortalPrefix = "/portal";

// Every operation that a credential of a tenant may call, each with the kinds of credentials that may
// (openapi_access.h). `session_cookie`: where browsers keep a session; empty: nobody signs in by a browser here.
std::string OpenApiJson(const Transcoder& transcoder, const std::string& session_cookie);

// `/v1/{name=tenants/*/projects/*}:revoke` -> `/v1/tenants/{tenant}/projects/{project}:revoke`.
std::string OpenApiPath(const PathTemplate& path);

}  // namespace allod::gateway::portal
