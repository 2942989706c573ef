#include "gateway/portal/openapi_problems.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

#include "gateway/http/error.h"

namespace allod::gateway::portal {
namespace {

using Json = nlohmann::ordered_json;

struct Refusal {
  Code code;
  const char* reason;
  const char* when;
};

// What comes of the gateway and of access rules, whichever the method; what a method refuses beside, its own reasons
// say.
constexpr Refusal kRefusals[] = {
    {Code::kInvalidArgument, "INVALID_REQUEST",
     "a field, parameter or path does not fit the method; `detail` names it"},
    {Code::kInvalidArgument, "INVALID_JSON", "the body is no JSON object, or has a member twice"},
    {Code::kInvalidArgument, "INVALID_NAME", "a resource name is malformed"},
    {Code::kInvalidArgument, "INVALID_PAGE_TOKEN", "the page token is another list's"},
    {Code::kUnauthenticated, "INVALID_API_KEY", "there is no credential, or none that is known"},
    {Code::kUnauthenticated, "API_KEY_EXPIRED", "the API key has expired"},
    {Code::kUnauthenticated, "INVALID_TOKEN",
     "what looks like a workload's or a person's token is none of this gateway's"},
    {Code::kUnauthenticated, "TOKEN_EXPIRED", "the workload's token has expired: exchange another"},
    {Code::kUnauthenticated, "TOKEN_REVOKED", "the rule of the workload's token was changed or deleted"},
    {Code::kUnauthenticated, "SESSION_EXPIRED", "the session is over: sign in again"},
    {Code::kUnauthenticated, "SESSION_ENDED", "the session was ended, or gives no role any more"},
    {Code::kPermissionDenied, "PERMISSION_MISSING", "no role of the caller has `x-permission`"},
    {Code::kPermissionDenied, "PROJECT_KEY", "the tenant's as a whole to do: not for keys and workloads"},
    {Code::kPermissionDenied, "PROJECT_NEEDED", "name the project in the header x-allod-project"},
    {Code::kPermissionDenied, "SCOPE_MISSING", "the key or token has no scope for the portal"},
    {Code::kPermissionDenied, "ADDRESS_NOT_ALLOWED", "the key may not be used from this address"},
    {Code::kPermissionDenied, "TENANT_SUSPENDED", "the tenant of the key is suspended or being deleted"},
    {Code::kPermissionDenied, "OTHER_ORIGIN", "a page of another origin asked for a change with a session's cookie"},
    {Code::kNotFound, "NOT_FOUND", "it does not exist, or the caller may not know of it"},
    {Code::kAborted, "ETAG_MISMATCH", "it is no longer what `etag` names: read it again"},
    {Code::kAlreadyExists, "ALREADY_EXISTS", "the id is taken by other content"},
    {Code::kResourceExhausted, "RATE_LIMIT_EXCEEDED", "too many requests of this credential; see retry-after"},
    {Code::kResourceExhausted, "TOO_MANY_CALLS", "too many calls of the tenant at once; see retry-after"},
    {Code::kUnavailable, "RPC_FAILED", "the service that answers this is away; see retry-after"},
    {Code::kUnavailable, "KEYS_NOT_SYNCED", "the gateway has just started; see retry-after"},
    {Code::kUnavailable, "DATABASE_UNAVAILABLE", "see retry-after"},
};

std::string NameOfStatus(int status) {
  switch (status) {
    case 400:
      return "Invalid";
    case 401:
      return "Unauthenticated";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 409:
      return "Conflict";
    case 429:
      return "TooMany";
    default:
      return "Unavailable";
  }
}

std::map<int, Json> ReasonsByStatus() {
  std::map<int, Json> out;
  for (const Refusal& refusal : kRefusals) {
    Json& reasons =
        out.try_emplace(http::ProblemStatusOf({refusal.code, refusal.reason, ""}), Json::object()).first->second;
    reasons[refusal.reason] = refusal.when;
  }
  return out;
}

Json Content() {
  Json out;
  out["application/problem+json"]["schema"]["$ref"] = "#/components/schemas/Problem";
  return out;
}

}  // namespace

Json ProblemSchema() {
  const Json text = {{"type", "string"}};
  const auto said = [](const char* what) { return Json{{"type", "string"}, {"description", what}}; };
  return {{"type", "object"},
          {"required", {"type", "title", "status", "detail", "code", "reason"}},
          {"properties",
           {{"type", text},
            {"title", text},
            {"status", {{"type", "integer"}}},
            {"detail", said("What was wrong, where, and what to do; for people.")},
            {"code", said("The canonical gRPC code, for example NOT_FOUND.")},
            {"reason", said("Stable, in UPPER_SNAKE_CASE: what programs may test.")},
            {"param", said("The parameter that it is about.")}}}};
}

Json ProblemResponses() {
  Json out = Json::object();
  for (auto& [status, reasons] : ReasonsByStatus()) {
    Json response;
    response["description"] =
        fmt::format("{}; x-reasons has what every method may say, beside which it has reasons of its own",
                    http::StatusPhrase(status));
    response["content"] = Content();
    response["x-reasons"] = std::move(reasons);
    out[NameOfStatus(status)] = std::move(response);
  }
  return out;
}

Json ProblemsOf(const PortalRoute& route) {
  Json out = Json::object();
  for (const auto& [status, reasons] : ReasonsByStatus()) {
    if (status == 409 && route.http_method == "GET") continue;
    out[std::to_string(status)]["$ref"] = "#/components/responses/" + NameOfStatus(status);
  }
  out["default"]["description"] = "Refused or failed";
  out["default"]["content"] = Content();
  return out;
}

}  // namespace allod::gateway::portal
