// Who may call what, in the words of an OpenAPI document: security schemes, and of each operation who is admitted, by
// the access rule of its method. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "gateway/portal/transcoder.h"

namespace allod::gateway::portal {

// `session_cookie`: the cookie in which browsers keep a session here; empty: nobody signs in by a browser, and there is
// no such scheme.
nlohmann::ordered_json SecuritySchemes(const std::string& session_cookie);

// What keys and workloads may call under /v1.
nlohmann::ordered_json InferenceSecurity();

// Adds `security`, `x-callers`, `x-permission` and `x-roles` to the operation; a description to one that API keys and
// workloads may not call. False: no tenant's credential may call it, and it is no part of the tenants' API.
bool AddAccess(const PortalRoute& route, const std::string& session_cookie, nlohmann::ordered_json& operation);

}  // namespace allod::gateway::portal
