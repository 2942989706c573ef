#include "gateway/access/principal.h"

#include <utility>
#include <vector>

namespace allod::gateway::access {

Caller Principal::caller() const {
  std::vector<std::string> scopes;
  if (inference) scopes.emplace_back("inference");
  if (portal) scopes.emplace_back("portal");
  return Caller::Key(tenant_id, project.substr(project.rfind('/') + 1), std::move(scopes), roles, id);
}

}  // namespace allod::gateway::access
