#include "gateway/sign_in/endpoints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/http/await_answer.h"
#include "gateway/http/client_address.h"
#include "gateway/http/cookie.h"
#include "gateway/http/error.h"
#include "gateway/sign_in/oidc.h"
#include "gateway/sign_in/page.h"
#include "services/common/log.h"
#include "services/common/percent.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::sign_in {
namespace {

using nlohmann::ordered_json;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kEndTimeout{5000};
constexpr std::chrono::milliseconds kCodeTimeout{9000};
constexpr int kConcurrencyPerAddress = 32;
// Codes of one tenant's people that its providers are asked about at the same time.
constexpr int kCodesPerTenant = 8;

using http::Fields;
using http::ValueOf;

// Those that are known, each once.
Result<Fields> ReadFields(std::string_view text, const std::vector<std::string_view>& known) {
  ALLOD_TRY(Fields out, http::ParseFields(text));
  for (const auto& [name, value] : out) {
    if (std::ranges::find(known, name) == known.end()) {
      return InvalidArgument("UNKNOWN_PARAMETER",
                             fmt::format("{} is not taken here; {} are", name, fmt::join(known, ", ")));
    }
  }
  return out;
}

// "ke" or "tenants/ke".
Result<std::string> TenantNamed(const std::string& text) {
  if (text.empty()) {
    return InvalidArgument("TENANT_NEEDED",
                           "say whose people sign in: .../auth/sign-in?tenant=TENANT, for example ?tenant=ke");
  }
  const std::string name = text.starts_with("tenants/") ? text : "tenants/" + text;
  ALLOD_CHECK_OK(MatchName("tenant", name, "tenants/*"));
  return name;
}

Error NobodySignsIn(const std::string& tenant) {
  return {Code::kNotFound, "NO_SIGN_IN",
          fmt::format(
              "nobody signs in to {} here: there is no such tenant, or it has no identity provider with sign-in, or "
              "none of the name in `provider`",
              tenant)};
}

http::Response Json(const ordered_json& body) {
  http::Response out;
  out.headers = {{"cache-control", "no-store"}};
  out.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  return out;
}

http::Response SeeOther(std::string location) {
  http::Response out;
  out.status = 303;
  out.content_type = "text/plain";
  out.headers = {{"location", std::move(location)}, {"cache-control", "no-store"}, {"referrer-policy", "no-referrer"}};
  return out;
}

// The one that is named, or the only one.
Result<const federation::Provider*> ChooseProvider(const federation::Trust* trust, const std::string& tenant,
                                                   const std::string& id) {
  const federation::Provider* out = nullptr;
  int count = 0;
  if (trust != nullptr) {
    for (const auto& [name, provider] : trust->providers) {
      if (!provider.sign_in || provider.disabled) continue;
      if (!id.empty() && name != tenant + "/identityProviders/" + id) continue;
      out = &provider;
      ++count;
    }
  }
  if (count == 0) return std::unexpected(NobodySignsIn(tenant));
  if (count == 1) return out;
  return InvalidArgument("PROVIDER_NEEDED",
                         "the tenant's people sign in with several identity providers: name one in `provider`");
}

ordered_json RoleWords(const Rights& roles) {
  ordered_json out = ordered_json::array();
  for (const Role role : roles.built_in().List()) out.push_back(std::string(WordOfRole(role)));
  for (const auto& role : roles.custom()) out.push_back("roles/" + role->id);
  return out;
}

const char* KindOf(const access::Principal& principal) {
  if (!principal.session.empty()) return "person";
  return principal.rule.empty() ? "api_key" : "workload";
}

}  // namespace

access::BrowserCredential BrowserCredentialOf(const std::string& public_url, SessionTimes times) {
  if (public_url.empty()) return {};
  const bool secure = public_url.starts_with("https://");
  return {.cookie = secure ? "__Host-allod-session" : "allod-session",
          .origin = public_url,
          .secure = secure,
          .max_age = times.absolute};
}

Endpoints::Endpoints(EndpointsConfig config, const std::shared_ptr<grpc::Channel>& tenancy,
                     const federation::TrustTable& table, federation::TokenVerifier& verifier, Fetcher& fetcher,
                     SessionStarter& starter, Refusals& refusals, const SessionSealer& sessions,
                     const AttemptSealer& attempts, const Clock& clock, SessionTimes times)
    : config_(std::move(config)),
      browser_(BrowserCredentialOf(config_.public_url, times)),
      stub_(tenancy::v1::SessionService::NewStub(tenancy)),
      table_(table),
      verifier_(verifier),
      fetcher_(fetcher),
      starter_(starter),
      refusals_(refusals),
      sessions_(sessions),
      attempts_(attempts),
      clock_(clock),
      addresses_({.requests_per_minute = config_.per_address_per_minute,
                  .tokens_per_minute = std::numeric_limits<std::int32_t>::max(),
                  .concurrency = kConcurrencyPerAddress},
                 "this address"),
      codes_({.requests_per_minute = std::numeric_limits<std::int32_t>::max(),
              .tokens_per_minute = std::numeric_limits<std::int32_t>::max(),
              .concurrency = kCodesPerTenant},
             "this tenant") {}

Result<access::RateLimiter::Permit> Endpoints::Admit(const http::Request& request) {
  access::Standing ignored;
  const std::string address = request.client ? http::LimitedAddress(*request.client) : request.ClientText();
  return addresses_.Admit(address, steady_clock::now(), ignored);
}

http::Awaitable<void> Endpoints::Providers(http::Request& request, http::ResponseWriter& out) {
  const auto list = [&]() -> Result<http::Response> {
    ALLOD_TRY(const auto permit, Admit(request));
    ALLOD_TRY(const Fields fields, ReadFields(request.query, {"tenant"}));
    ALLOD_TRY(const std::string tenant, TenantNamed(ValueOf(fields, "tenant")));
    ALLOD_TRY(const auto trust, table_.Find(tenant));
    ordered_json providers = ordered_json::array();
    if (trust) {
      for (const auto& [name, provider] : trust->providers) {
        if (!provider.sign_in || provider.disabled) continue;
        providers.push_back({{"name", name},
                             {"displayName", provider.display_name},
                             {"issuer", provider.issuer},
                             {"clientId", provider.sign_in->client_id},
                             {"scopes", provider.sign_in->scopes}});
      }
    }
    return Json({{"identityProviders", providers}});
  };
  Result<http::Response> answer = list();
  http::Response response =
      answer ? *std::move(answer) : http::ErrorResponse(http::ErrorStyle::kProblem, answer.error());
  co_await out.Send(std::move(response));
}

http::Awaitable<Result<http::Response>> Endpoints::Redirect(const http::Request& request, http::ResponseWriter& out) {
  const auto permit = Admit(request);
  if (!permit) co_return std::unexpected(permit.error());
  const auto fields = ReadFields(request.query, {"tenant", "provider", "return_to"});
  if (!fields) co_return std::unexpected(fields.error());
  if (config_.public_url.empty()) {
    co_return FailedPrecondition(
        "NO_PUBLIC_URL",
        "nobody signs in by a browser here: the operator has not set public_url, what browsers "
        "know this gateway as");
  }
  const auto tenant = TenantNamed(ValueOf(*fields, "tenant"));
  if (!tenant) co_return std::unexpected(tenant.error());
  // Somebody else's page would put who is signed in into another session unseen.
  if (request.Header("sec-fetch-site") == "cross-site" && !http::CookieOf(request, browser_.cookie).empty()) {
    co_return Fail(
        Code::kPermissionDenied, "OTHER_ORIGIN",
        fmt::format("you are signed in already, and another site asks you to sign in to {}; begin again if that "
                    "is what you want",
                    *tenant));
  }
  const auto trust = table_.Find(*tenant);
  if (!trust) co_return std::unexpected(trust.error());
  const auto provider = ChooseProvider(trust->get(), *tenant, ValueOf(*fields, "provider"));
  if (!provider) co_return std::unexpected(provider.error());
  const auto issuer = co_await verifier_.Find((*provider)->issuer, *tenant, out);
  if (!issuer) co_return std::unexpected(issuer.error());
  const Attempt attempt = NewAttempt((*provider)->name, SafePath(ValueOf(*fields, "return_to")), clock_.Now());
  const auto url = AuthorizationUrl(**issuer, *(*provider)->sign_in, attempt, RedirectUri());
  if (!url) co_return std::unexpected(url.error());
  http::Response response = SeeOther(*url);
  response.headers.emplace_back("set-cookie",
                                http::SetCookie({AttemptCookie(), attempts_.Seal(attempt), kAttemptLife, secure()}));
  co_return response;
}

http::Awaitable<void> Endpoints::SignIn(http::Request& request, http::ResponseWriter& out) {
  Result<http::Response> answer = co_await Redirect(request, out);
  if (!answer) LogRefusal(answer.error(), "", request, out);
  const bool may_go_on = !answer && answer.error().reason == "OTHER_ORIGIN";
  http::Response response =
      answer ? *std::move(answer) : FailurePage(answer.error(), may_go_on ? "/auth/sign-in?" + request.query : "");
  co_await out.Send(std::move(response));
}

http::Awaitable<Result<std::string>> Endpoints::Fetch(FetchRequest request, http::ResponseWriter& out) {
  const std::function<void(Fetcher::Done)> start = [&](Fetcher::Done done) {
    fetcher_.Fetch(std::move(request), std::move(done));
  };
  const auto answer = co_await http::AwaitAnswer<std::string>(start, kCodeTimeout, out);
  if (answer && !*answer && answer->error().reason == "FORM_REFUSED") {
    // The words of the provider are for the log of who runs the gateway.
    Log(LogLevel::kInfo, "an identity provider refused a code",
        {{"error", answer->error().message}, {"trace", out.trace().trace_id}});
    co_return Fail(
        Code::kUnauthenticated, "SIGN_IN_FAILED",
        "the identity provider does not take the code, or does not know this installation: begin again, and if "
        "that does not help have client and secret looked at");
  }
  if (answer) co_return *answer;
  co_return Fail(Code::kUnavailable, "ISSUER_UNAVAILABLE", "the identity provider did not answer in time; try again");
}

http::Awaitable<Result<http::Response>> Endpoints::Return(const http::Request& request, const Attempt& attempt,
                                                          http::ResponseWriter& out) {
  const std::string tenant = TenantOf(attempt.provider);
  const auto trust = table_.Find(tenant);
  if (!trust) co_return std::unexpected(trust.error());
  const federation::Provider* provider = *trust ? (*trust)->ProviderNamed(attempt.provider) : nullptr;
  if (provider == nullptr || provider->disabled || !provider->sign_in) {
    co_return std::unexpected(NobodySignsIn(tenant));
  }
  const auto issuer = co_await verifier_.Find(provider->issuer, tenant, out);
  if (!issuer) co_return std::unexpected(issuer.error());
  const auto refuse = [&](const Error& error) {
    refusals_.Tell({attempt.provider, "", request.ClientText()}, error, out.trace());
    return std::unexpected(error);
  };
  const auto code = ReadCode(request.query, attempt, *provider, **issuer);
  if (!code) co_return refuse(code.error());
  auto asked = CodeRequest(**issuer, *provider->sign_in, attempt, *code, RedirectUri());
  if (!asked) co_return std::unexpected(asked.error());
  // A tenant's provider that is slow keeps no others' waiting.
  access::Standing ignored;
  const auto place = codes_.Admit(tenant, steady_clock::now(), ignored);
  if (!place) co_return std::unexpected(place.error());
  const auto answer = co_await Fetch(*std::move(asked), out);
  if (!answer) co_return refuse(answer.error());
  auto id_token = IdTokenOf(*answer);
  if (!id_token) co_return refuse(id_token.error());
  SessionStarter::Request start{.provider = attempt.provider,
                                .id_token = *std::move(id_token),
                                .nonce = attempt.nonce,
                                .client = tenancy::v1::Session::CLIENT_BROWSER,
                                .address = request.ClientText(),
                                .user_agent = std::string(request.Header("user-agent"))};
  const auto session = co_await starter_.Start(std::move(start), out);
  if (!session) co_return std::unexpected(session.error());
  const auto sealed = sessions_.Seal(*session);
  if (!sealed) co_return std::unexpected(sealed.error());
  http::Response response = SeeOther(attempt.return_to);
  response.headers.emplace_back("set-cookie",
                                http::SetCookie({browser_.cookie, *sealed, browser_.max_age, browser_.secure}));
  co_return response;
}

http::Awaitable<void> Endpoints::Callback(http::Request& request, http::ResponseWriter& out) {
  const auto permit = Admit(request);
  Result<Attempt> attempt = std::unexpected(permit ? Error() : permit.error());
  if (permit) attempt = attempts_.Open(http::CookieOf(request, AttemptCookie()), clock_.Now());
  Result<http::Response> answer = std::unexpected(attempt ? Error() : attempt.error());
  if (attempt) answer = co_await Return(request, *attempt, out);
  http::Response response;
  if (answer) {
    response = *std::move(answer);
  } else {
    std::string again;
    if (attempt) {
      const auto ids = MatchName("provider", attempt->provider, "tenants/*/identityProviders/*");
      if (ids) {
        again = "/auth/sign-in?" +
                FormOf({{"tenant", ids->at(0)}, {"provider", ids->at(1)}, {"return_to", attempt->return_to}});
      }
    }
    LogRefusal(answer.error(), attempt ? attempt->provider : "", request, out);
    response = FailurePage(answer.error(), again);
  }
  // One attempt, one answer; what somebody else's page brings about ends nobody's.
  if (answer || (attempt && answer.error().reason != "OTHER_ATTEMPT")) {
    response.headers.emplace_back("set-cookie", http::SetCookie({AttemptCookie(), "", seconds(0), secure()}));
  }
  co_await out.Send(std::move(response));
}

void Endpoints::LogRefusal(const Error& error, const std::string& provider, const http::Request& request,
                           const http::ResponseWriter& out) {
  // Not those that are asked too often: a flood of them would push everything else out of the log.
  if (error.code == Code::kResourceExhausted) return;
  Log(LogLevel::kInfo, "refused a sign-in",
      {{"reason", error.reason},
       {"identity_provider", provider},
       {"address", request.ClientText()},
       {"trace", out.trace().trace_id}});
}

http::Awaitable<Result<http::Response>> Endpoints::SessionOf(const http::Request& request, http::ResponseWriter& out) {
  const auto permit = Admit(request);
  if (!permit) co_return std::unexpected(permit.error());
  const std::string_view type = request.Header("content-type");
  if (!http::SameToken(type.substr(0, type.find(';')), "application/x-www-form-urlencoded")) {
    co_return InvalidArgument("UNSUPPORTED_MEDIA_TYPE", "the body must be application/x-www-form-urlencoded");
  }
  const auto fields = ReadFields(request.body, {"identity_provider", "id_token"});
  if (!fields) co_return std::unexpected(fields.error());
  SessionStarter::Request start{.provider = ValueOf(*fields, "identity_provider"),
                                .id_token = ValueOf(*fields, "id_token"),
                                .nonce = "",
                                .client = tenancy::v1::Session::CLIENT_COMMAND_LINE,
                                .address = request.ClientText(),
                                .user_agent = std::string(request.Header("user-agent"))};
  const std::string provider = start.provider;
  if (const auto named = MatchName("identity_provider", provider, "tenants/*/identityProviders/*"); !named) {
    co_return std::unexpected(named.error());
  }
  const auto session = co_await starter_.Start(std::move(start), out);
  if (!session) {
    LogRefusal(session.error(), provider, request, out);
    co_return std::unexpected(session.error());
  }
  const auto sealed = sessions_.Seal(*session);
  if (!sealed) co_return std::unexpected(sealed.error());
  const auto left = std::chrono::duration_cast<seconds>(session->expire_time - clock_.Now());
  co_return Json({{"session", TenantOf(provider) + "/sessions/" + session->id.ToString()},
                  {"accessToken", *sealed},
                  {"tokenType", "Bearer"},
                  {"expiresIn", left.count()}});
}

http::Awaitable<void> Endpoints::BeginSession(http::Request& request, http::ResponseWriter& out) {
  Result<http::Response> answer = co_await SessionOf(request, out);
  http::Response response =
      answer ? *std::move(answer) : http::ErrorResponse(http::ErrorStyle::kProblem, answer.error());
  co_await out.Send(std::move(response));
}

http::Awaitable<void> Endpoints::SignOut(const access::Principal& principal, http::Request& request,
                                         http::ResponseWriter& out) {
  Status done;
  const auto fields = ReadFields(request.query, {"everywhere"});
  if (!fields) {
    done = std::unexpected(fields.error());
  } else if (principal.session.empty()) {
    done = InvalidArgument("NO_SESSION", "an API key and a workload's token are not signed in; revoke the key instead");
  } else if (const std::string everywhere = ValueOf(*fields, "everywhere");
             !everywhere.empty() && everywhere != "true" && everywhere != "false") {
    done = InvalidArgument("INVALID_PARAMETER", "everywhere is true or false");
  } else if (everywhere == "true" && principal.subject.empty()) {
    done = FailedPrecondition("TENANT_SUSPENDED",
                              "the tenant is suspended or deleted: only this session can be ended now; leave "
                              "`everywhere` out");
  } else {
    tenancy::v1::EndSessionsRequest end;
    end.set_parent(principal.tenant);
    if (everywhere == "true") {
      end.mutable_person()->set_identity_provider(principal.identity_provider);
      end.mutable_person()->set_subject(principal.subject);
    } else {
      end.set_session(principal.name);
    }
    // In the gateway's name: what ends one's own session needs no role.
    const auto rpc = MakeContext(Caller::Service("gateway"), kEndTimeout, &out.trace());
    tenancy::v1::EndSessionsResponse response;
    const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> ready) {
      stub_->async()->EndSessions(rpc.get(), &end, &response, std::move(ready));
    };
    const grpc::Status status = co_await http::AwaitRpc(start);
    if (!status.ok()) done = std::unexpected(FromGrpc(status));
  }
  http::Response response;
  if (done) {
    response.status = 204;
    if (!browser_.cookie.empty()) {
      response.headers.emplace_back("set-cookie", http::SetCookie({browser_.cookie, "", seconds(0), browser_.secure}));
    }
  } else {
    response = http::ErrorResponse(http::ErrorStyle::kProblem, done.error());
  }
  co_await out.Send(std::move(response));
}

http::Awaitable<void> Endpoints::WhoAmI(const access::Principal& principal, http::Request& /*request*/,
                                        http::ResponseWriter& out) {
  ordered_json body{{"kind", KindOf(principal)}, {"name", principal.name}, {"tenant", principal.tenant}};
  if (!principal.project.empty()) body["project"] = principal.project;
  ordered_json scopes = ordered_json::array();
  if (principal.inference) scopes.push_back("inference");
  if (principal.portal) scopes.push_back("portal");
  body["scopes"] = std::move(scopes);
  body["roles"] = RoleWords(principal.roles);
  if (!principal.session.empty()) {
    body["displayName"] = principal.display_name;
    body["identityProvider"] = principal.identity_provider;
    ordered_json projects = ordered_json::array();
    for (const auto& [project, roles] : principal.project_roles) {
      projects.push_back({{"project", principal.tenant + "/projects/" + project}, {"roles", RoleWords(roles)}});
    }
    body["projectRoles"] = std::move(projects);
  }
  co_await out.Send(Json(body));
}

}  // namespace allod::gateway::sign_in
