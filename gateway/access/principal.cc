#include "gateway/access/principal.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace allod::gateway::access {

bool Principal::Reaches(const std::string& instance) const {
  return !instances || std::ranges::binary_search(*instances, instance);
}

Caller Principal::caller() const {
  if (!session.empty()) {
    Caller out = Caller::Person(tenant_id, session, roles, project_roles);
    if (!roles.Has(Role::ROLE_OWNER)) return out;
    // Nothing is permitted by a custom role that an owner has not; the call need not carry it.
    out.roles.ForgetCustom();
    for (ProjectRoles& at : out.project_roles) at.roles.ForgetCustom();
    std::erase_if(out.project_roles, [](const ProjectRoles& at) { return at.roles.empty(); });
    return out;
  }
  std::vector<std::string> scopes;
  if (inference) scopes.emplace_back("inference");
  if (portal) scopes.emplace_back("portal");
  std::string project_id = project.substr(project.rfind('/') + 1);
  if (!rule.empty()) return Caller::Workload(tenant_id, std::move(project_id), rule, std::move(scopes), roles);
  return Caller::Key(tenant_id, std::move(project_id), std::move(scopes), roles, kid);
}

}  // namespace allod::gateway::access
