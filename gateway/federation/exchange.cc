#include "gateway/federation/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "gateway/http/message.h"
#include "services/common/ids.h"

namespace allod::gateway::federation {
namespace {

using std::chrono::seconds;

constexpr char kGrantType[] = "urn:ietf:params:oauth:grant-type:token-exchange";
constexpr char kAccessTokenType[] = "urn:ietf:params:oauth:token-type:access_token";
// An access token that is a JWT is one, too (RFC 9068).
constexpr std::string_view kSubjectTokenTypes[] = {"urn:ietf:params:oauth:token-type:jwt",
                                                   "urn:ietf:params:oauth:token-type:id_token", kAccessTokenType};
constexpr char kInferenceScope[] = "inference";
constexpr char kPortalScope[] = "portal";

using http::ValueOf;
using Form = http::Fields;

std::unexpected<Error> BadRequest(std::string message) {
  return InvalidArgument("INVALID_REQUEST", std::move(message));
}

Result<Form> ParseForm(std::string_view text) {
  Result<Form> out = http::ParseFields(text);
  if (!out) return BadRequest("the form cannot be read: " + out.error().message);
  return out;
}

Status ReadTarget(const Form& form, ExchangeRequest& out) {
  const std::string resource = ValueOf(form, "resource");
  const std::string audience = ValueOf(form, "audience");
  const std::string& target = resource.empty() ? audience : resource;
  if (target.empty() || (!audience.empty() && audience != target)) {
    return InvalidArgument(
        "INVALID_TARGET",
        "name the project in `resource` or `audience`: tenants/TENANT/projects/PROJECT, or one of its "
        "workload rules");
  }
  if (const auto rule = MatchName("resource", target, "tenants/*/projects/*/workloadRules/*")) {
    out.rule = target;
    out.tenant = "tenants/" + rule->at(0);
    out.project = out.tenant + "/projects/" + rule->at(1);
    return {};
  }
  const auto project = MatchName("resource", target, "tenants/*/projects/*");
  if (!project) return InvalidArgument("INVALID_TARGET", project.error().message);
  out.tenant = "tenants/" + project->at(0);
  out.project = target;
  return {};
}

Status ReadScope(std::string_view scope, ExchangeRequest& out) {
  if (scope.empty()) return {};
  out.inference = out.portal = false;
  while (!scope.empty()) {
    // Blanks come as '+' in forms.
    const std::size_t end = std::min(scope.find_first_of(" +"), scope.size());
    const std::string_view word = scope.substr(0, end);
    scope.remove_prefix(std::min(end + 1, scope.size()));
    if (word == kInferenceScope) {
      out.inference = true;
    } else if (word == kPortalScope) {
      out.portal = true;
    } else if (!word.empty()) {
      return InvalidArgument("INVALID_SCOPE", "the scopes are \"inference\" and \"portal\"");
    }
  }
  return {};
}

// The one that is asked for.
Result<const Rule*> FindRule(const ExchangeRequest& request, const Trust& trust, const Provider& provider,
                             const jose::Claims& claims) {
  const Rule* out = nullptr;
  for (const auto& [name, rule] : trust.rules) {
    const bool is_meant = request.rule.empty() ? rule.project == request.project : name == request.rule;
    if (!is_meant || rule.disabled || rule.provider != provider.name || !HasAll(rule.claims, claims)) continue;
    if (out != nullptr) {
      return InvalidArgument(
          "SEVERAL_RULES_MATCH",
          fmt::format("several workload rules match this token, {} and {} among them: name the one that "
                      "is meant in `resource`",
                      out->name, name));
    }
    out = &rule;
  }
  if (out != nullptr) return out;
  return InvalidArgument("NO_RULE_MATCHES",
                         fmt::format("the token is genuine, but no workload rule at {} matches its claims",
                                     request.rule.empty() ? request.project : request.rule));
}

std::string ScopeText(const WorkloadToken& token) {
  std::string out = token.inference ? kInferenceScope : "";
  if (token.portal) out += std::string(out.empty() ? "" : " ") + kPortalScope;
  return out;
}

}  // namespace

Result<ExchangeRequest> ParseExchangeRequest(std::string_view text) {
  ALLOD_TRY(const Form form, ParseForm(text));
  if (ValueOf(form, "grant_type") != kGrantType) {
    return InvalidArgument("UNSUPPORTED_GRANT_TYPE", fmt::format("grant_type must be {}", kGrantType));
  }
  for (const char* name : {"actor_token", "actor_token_type"}) {
    if (form.contains(name)) return BadRequest(fmt::format("{} is not taken here", name));
  }
  const std::string type = ValueOf(form, "subject_token_type");
  if (std::ranges::find(kSubjectTokenTypes, type) == std::end(kSubjectTokenTypes)) {
    return BadRequest(fmt::format("subject_token_type must be {} or {}", kSubjectTokenTypes[0], kSubjectTokenTypes[1]));
  }
  const std::string wanted = ValueOf(form, "requested_token_type");
  if (!wanted.empty() && wanted != kAccessTokenType) {
    return BadRequest(fmt::format("requested_token_type can only be {}", kAccessTokenType));
  }
  ExchangeRequest out;
  out.subject_token = ValueOf(form, "subject_token");
  if (out.subject_token.empty())
    return BadRequest("subject_token is missing: the token that the workload's platform made");
  ALLOD_CHECK_OK(ReadTarget(form, out));
  ALLOD_CHECK_OK(ReadScope(ValueOf(form, "scope"), out));
  return out;
}

std::unexpected<Error> NothingTakesIt() {
  return InvalidArgument(
      "NO_SUCH_TRUST",
      "nothing at this target takes this token: there is no such project, or no identity provider of "
      "its tenant vouches for the token");
}

Result<WorkloadToken> Grant(const ExchangeRequest& request, const Trust& trust, const Provider& provider,
                            const jose::Claims& claims, Time now) {
  ALLOD_TRY(const Rule* rule, FindRule(request, trust, provider, claims));
  WorkloadToken out;
  out.id = Uuid::V7(now);
  out.rule = rule->name;
  out.grounds = rule->grounds;
  out.provider = provider.name;
  out.subject = claims.subject();
  out.inference = request.inference && rule->inference;
  out.portal = request.portal && rule->portal;
  if (!out.inference && !out.portal) {
    return InvalidArgument("SCOPE_NOT_GRANTED",
                           fmt::format("{} grants none of the scopes that are asked for", rule->name));
  }
  if (out.portal) {
    out.roles = rule->roles.built_in();
    for (const auto& role : rule->roles.custom()) out.custom_roles.push_back(role->id);
  }
  out.issue_time = std::chrono::floor<seconds>(now);
  out.expire_time = out.issue_time + rule->lifetime;
  return out;
}

std::string ErrorJson(const Error& error) {
  static const std::map<std::string_view, const char*> codes = {
      {"UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type"},
      {"INVALID_TARGET", "invalid_target"},
      {"NO_RULE_MATCHES", "invalid_target"},
      {"SEVERAL_RULES_MATCH", "invalid_target"},
      {"INVALID_SCOPE", "invalid_scope"},
      {"SCOPE_NOT_GRANTED", "invalid_scope"},
  };
  const auto found = codes.find(error.reason);
  const int status = ErrorStatus(error);
  const char* code = found != codes.end() ? found->second
                     : status == 400      ? "invalid_request"
                                          : "temporarily_unavailable";
  return nlohmann::ordered_json{{"error", status == 500 ? "server_error" : code}, {"error_description", error.message}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int ErrorStatus(const Error& error) {
  switch (error.code) {
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kFailedPrecondition:  // an issuer that cannot be asked
      return 503;
    case Code::kInternal:
      return 500;
    default:
      return 400;  // RFC 8693 section 2.2.2: also for a token that is not believed
  }
}

std::string AnswerJson(const std::string& access_token, const WorkloadToken& token) {
  return nlohmann::ordered_json{
      {"access_token", access_token},
      {"issued_token_type", kAccessTokenType},
      {"token_type", "Bearer"},
      {"expires_in", std::chrono::duration_cast<seconds>(token.expire_time - token.issue_time).count()},
      {"scope", ScopeText(token)}}
      .dump();
}

}  // namespace allod::gateway::federation
