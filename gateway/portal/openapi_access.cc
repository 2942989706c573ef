#include "gateway/portal/openapi_access.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "services/common/rpc/access.h"

namespace allod::gateway::portal {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kApiKey[] = "apiKey";
constexpr char kWorkloadToken[] = "workloadToken";
constexpr char kSessionToken[] = "sessionToken";
constexpr char kSessionCookie[] = "sessionCookie";

// A name that the path's variable for `field` takes.
std::string SampleName(const PathTemplate& path, const std::string& field) {
  const auto variable = std::ranges::find(path.variables(), field, &PathTemplate::Variable::field);
  if (variable == path.variables().end()) return "";
  std::string out;
  for (std::size_t i = variable->begin; i < variable->end; ++i) {
    const PathTemplate::Segment& segment = path.segments()[i];
    out += (out.empty() ? "" : "/") + (segment.kind == PathTemplate::Kind::kLiteral ? segment.literal : "x");
  }
  return out;
}

Result<Method> MethodOfRoute(const PortalRoute& route) {
  return route.operations_of == nullptr ? DescribeMethod(*route.method)
                                        : DescribeOperationsMethod(*route.operations_of, *route.method);
}

Json Required(const char* scheme) {
  Json out;
  out[scheme] = Json::array();
  return out;
}

Json Bearer(const char* description) { return {{"type", "http"}, {"scheme", "bearer"}, {"description", description}}; }

}  // namespace

Json SecuritySchemes(const std::string& session_cookie) {
  Json out;
  out[kApiKey] = Bearer(
      "An API key of a project (`allod create-key`). It acts in its project only, by its roles; the portal takes it if "
      "it has the scope `portal`, /v1 if it has `inference`.");
  out[kWorkloadToken] = Bearer(
      "What POST /oauth/token gave a pipeline for its platform's own token (RFC 8693), by a workload rule of the "
      "project. It acts in its project only, for minutes.");
  out[kSessionToken] =
      Bearer("The session of a person who signed in with `allod login` (POST /auth/session). Not taken under /v1.");
  if (session_cookie.empty()) return out;
  out[kSessionCookie] = {
      {"type", "apiKey"},
      {"in", "cookie"},
      {"name", session_cookie},
      {"description",
       "The session of a person who signed in with a browser (GET /auth/sign-in). It counts where there is no "
       "Authorization header. What changes anything is taken of pages of this gateway's own origin only, by "
       "Sec-Fetch-Site or Origin; others get 403 / OTHER_ORIGIN. Not taken under /v1."}};
  return out;
}

Json InferenceSecurity() { return Json::array({Required(kApiKey), Required(kWorkloadToken)}); }

bool AddAccess(const PortalRoute& route, const std::string& session_cookie, Json& operation) {
  const Result<Method> method = MethodOfRoute(route);
  if (!method) return false;
  const std::string resource = SampleName(route.path, method->access.resource());
  const auto admits = [&](const Caller& caller) { return CheckAccess(*method, caller, resource).has_value(); };
  Json security = Json::array();
  Json callers = Json::array();
  if (admits(Caller::Key("x", "x", {}, kRolesOfKeys))) {
    security.push_back(Required(kApiKey));
    callers.push_back("api_key");
  }
  if (admits(Caller::Workload("x", "x", "x", {}, kRolesOfKeys))) {
    security.push_back(Required(kWorkloadToken));
    callers.push_back("workload");
  }
  const bool is_for_people_only = callers.empty();
  const Caller from_above = Caller::Below(Caller::Person("above", "x", {Role::ROLE_OWNER}), "x");
  const bool is_for_those_above_only = !admits(Caller::Person("x", "x", {Role::ROLE_OWNER}));
  if (!is_for_those_above_only || admits(from_above)) {
    security.push_back(Required(kSessionToken));
    if (!session_cookie.empty()) security.push_back(Required(kSessionCookie));
    callers.push_back("person");
  }
  if (callers.empty()) return false;
  if (is_for_those_above_only) {
    operation["description"] =
        "For people who have signed in and have a role at a tenant above this one only: the tenant's own people, API "
        "keys and workloads may not do it themselves (403 / NOT_ALLOWED).";
  } else if (is_for_people_only) {
    operation["description"] =
        "For people who have signed in only: this is the tenant's as a whole, and API keys and workloads act in one "
        "project (403 / PROJECT_KEY).";
  }
  Json roles = Json::array();
  for (const Role role : method->roles.List()) {
    if (role != Role::ROLE_OPERATOR) roles.push_back(WordOfRole(role));
  }
  operation["security"] = std::move(security);
  operation["x-callers"] = std::move(callers);
  operation["x-permission"] = method->access.permission();
  operation["x-roles"] = std::move(roles);
  return true;
}

}  // namespace allod::gateway::portal
