#include "gateway/access/principal.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace allod::gateway::access {

bool Principal::Reaches(const std::string& instance) const {
  return !instances || std::ranges::binary_search(*instances, instance);
}

Caller Principal::caller() const {
  std::vector<std::string> scopes;
  if (inference) scopes.emplace_back("inference");
  if (portal) scopes.emplace_back("portal");
  return Caller::Key(tenant_id, project.substr(project.rfind('/') + 1), std::move(scopes), roles, id);
}

}  // namespace allod::gateway::access
