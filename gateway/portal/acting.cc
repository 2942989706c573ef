#include "gateway/portal/acting.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "services/common/ids.h"
#include "services/common/log.h"

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

// Once a minute: it goes on as long as somebody has so many.
void LogLeftOut(const Caller& held, const Caller& stated) {
  using std::chrono::steady_clock;
  static std::atomic<steady_clock::duration::rep> next{0};
  const auto now = steady_clock::now().time_since_epoch();
  auto due = next.load();
  if (now.count() < due || !next.compare_exchange_strong(due, (now + std::chrono::minutes(1)).count())) return;
  const auto count = [](const Caller& caller) {
    Rights all = caller.roles;
    for (const ProjectRoles& at : caller.project_roles) all.Add(at.roles);
    return std::to_string(all.custom().size());
  };
  Log(LogLevel::kWarning, "somebody has more custom roles than a call can carry; some of them do not count",
      {{"tenant", "tenants/" + held.own_tenant()},
       {"session", held.session},
       {"custom_roles", count(held)},
       {"stated", count(stated)}});
}

}  // namespace

Result<Caller> ActingCaller(const access::Principal& principal, const Transcoder::Match& match,
                            std::string_view project, const access::LimitTable& tenants) {
  ALLOD_TRY(Caller caller, WhoActs(principal, match, project, tenants));
  if (caller.CheckStatable()) return caller;
  Caller stated = caller.Statable();
  LogLeftOut(caller, stated);
  ALLOD_CHECK_OK(stated.CheckStatable());
  return stated;
}

}  // namespace allod::gateway::portal
