#include "gateway/portal/acting.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "services/common/ids.h"

namespace allod::gateway::portal {
namespace {

// What the path names of a tenant's; empty: nothing.
std::string AskedAbout(const Transcoder::Match& match) {
  for (const auto& [field, value] : match.bindings) {
    if (value.starts_with("tenants/")) return value;
  }
  return "";
}

Result<Caller> WithRolesAt(Caller person, const std::string& project) {
  if (!project.empty()) {
    std::erase_if(person.project_roles, [&](const ProjectRoles& at) { return at.project != project; });
  }
  if (person.project_roles.size() <= Caller::kProjectsMax) return person;
  return Fail(Code::kPermissionDenied, "PROJECT_NEEDED",
              fmt::format("you have roles at more than {} projects: name one in the header x-allod-project",
                          Caller::kProjectsMax));
}

// As whom, without looking at whether it can be stated.
Result<Caller> WhoActs(const access::Principal& principal, const Transcoder::Match& match, std::string_view project,
                       const access::LimitTable& tenants) {
  Caller caller = principal.caller();
  if (!caller.is_person()) return caller;
  const std::string asked = AskedAbout(match);
  const std::string tenant = TenantOf(asked);
  if (!tenant.empty() && tenant != principal.tenant && !caller.roles.empty()) {
    ALLOD_TRY(const bool is_below, tenants.IsBelow(tenant, principal.tenant));
    if (is_below) return Caller::Below(caller, tenant.substr(tenant.find('/') + 1));
  }
  const std::string in_path = ProjectIdOf(asked);
  if (!in_path.empty() && in_path != "-") return WithRolesAt(std::move(caller), in_path);
  return WithRolesAt(std::move(caller), project.starts_with("tenants/") ? ProjectIdOf(project) : std::string(project));
}

}  // namespace

Result<Caller> ActingCaller(const access::Principal& principal, const Transcoder::Match& match,
                            std::string_view project, const access::LimitTable& tenants) {
  ALLOD_TRY(Caller caller, WhoActs(principal, match, project, tenants));
  ALLOD_CHECK_OK(caller.CheckStatable());
  return caller;
}

}  // namespace allod::gateway::portal
