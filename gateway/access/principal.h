// Who a request acts for, whatever showed it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/access/rate_limits.h"
#include "services/common/rpc/caller.h"

namespace allod::gateway::access {

// What a principal may use.
enum class Scope { kInference, kPortal };

struct Principal {
  std::string id;         // what its limits are counted by; of an API key its kid
  std::string name;       // full name, which usage is accounted to, e.g. that of an API key
  std::string tenant;     // `tenants/{tenant}`
  std::string tenant_id;  // `{tenant}`
  std::string project;    // `tenants/{tenant}/projects/{project}`; empty: a person
  std::string kid;        // of an API key; empty: it is none
  std::string rule;       // id of the workload rule that a workload's token is by; empty: it is none
  bool inference = false;
  bool portal = false;
  Rights roles;       // in the project, through the portal; of a person at the tenant
  RateLimits limits;  // of its own
  // Of a person.
  std::string session = {};                      // id of the session, a UUID; empty: it is no person
  std::vector<ProjectRoles> project_roles = {};  // beside `roles`; ordered by project
  std::string identity_provider = {};            // full name
  std::string subject = {};                      // `sub` there
  std::string display_name = {};                 // as the provider told
  // What takes the place of the credential from now on; empty: it stays.
  std::string renewed_credential = {};
  // Full names, sorted, of the instances of the project that there are for it under /v1; null: all.
  std::shared_ptr<const std::vector<std::string>> instances = nullptr;
  // Full names of the tenant's own roles that an API key has; null: none. What they permit is in `roles` when the key
  // was let in (federation/keys_with_roles.h).
  std::shared_ptr<const std::vector<std::string>> custom_roles = nullptr;

  bool Has(Scope scope) const { return scope == Scope::kInference ? inference : portal; }
  // `instance`: full name, of the project.
  bool Reaches(const std::string& instance) const;
  // Whose request ids are its own: those of a project are not another's, nor those of a person.
  const std::string& request_ids_of() const { return project.empty() ? id : project; }
  // As the services are told of it.
  Caller caller() const;
};

}  // namespace allod::gateway::access
