// As whom the services are told of a principal: by what the request is about.
#pragma once

#include <string_view>

#include "gateway/access/limit_table.h"
#include "gateway/access/principal.h"
#include "gateway/portal/transcoder.h"
#include "services/common/result.h"
#include "services/common/rpc/caller.h"

namespace allod::gateway::portal {

// A key and a workload as they are. A person with roles at a tenant above the one that the path names acts there, with
// these roles; any other is told of with the roles that can matter, those at the project that the path names, or else
// `project` ("services", or the project's full name; empty: all of them). Whether he may, the services decide: what is
// not below his own tenant is not there for him.
//
// Of more custom roles than a call can carry those count that fit (Caller::Statable()), and the log says so.
//
// UNAVAILABLE / KEYS_NOT_SYNCED while it is not known what is below what; PERMISSION_DENIED / PROJECT_NEEDED for roles
// at more projects than a call can tell of.
Result<Caller> ActingCaller(const access::Principal& principal, const Transcoder::Match& match,
                            std::string_view project, const access::LimitTable& tenants);

}  // namespace allod::gateway::portal
