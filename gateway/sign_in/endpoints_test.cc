// Signing in from a browser's and a command line's first request to the session, with an issuer and a tenancy service
// that do what the test wants.
#include "gateway/sign_in/endpoints.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "gateway/http/cookie.h"
#include "gateway/http/fake_response_writer.h"
#include "gateway/sign_in/sessions.h"
#include "services/common/digest.h"
#include "services/common/jose/base64url.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"
#include "tests/support/token_issuer.h"

namespace allod::gateway::sign_in::endpoints_test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr char kIssuer[] = "https://id.example";
constexpr char kProvider[] = "tenants/ke/identityProviders/staff";
constexpr char kTokenUrl[] = "https://id.example/token";

// An issuer that gives the ID token it was told to give, to whom has the code and its verifier.
class FakeIssuer final : public Fetcher {
 public:
  FakeIssuer() { keys.AddKey("k", TokenIssuer::Kind::kP256); }
  void Fetch(FetchRequest request, Done done) override {
    if (request.url.ends_with("/openid-configuration")) {
      return done(json{
          {"issuer", kIssuer},
          {"jwks_uri", "https://id.example/keys"},
          {"authorization_endpoint", "https://id.example/authorize"},
          {"token_endpoint",
           kTokenUrl}}.dump());
    }
    if (request.url != kTokenUrl) return done(keys.KeySetJson());
    codes.push_back(std::move(request));
    if (away) return done(Fail(Code::kUnavailable, "FETCH_FAILED", "away"));
    const auto form = Fields(codes.back().form);
    Sha256 digest;
    digest.Update(form.at("code_verifier").data(), form.at("code_verifier").size());
    const Digest256 bytes = digest.Finish();
    const bool is_right =
        form.at("code") == "the code" &&
        jose::EncodeBase64Url({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) == challenge;
    if (!is_right) return done(Fail(Code::kUnauthenticated, "FORM_REFUSED", "it refused: invalid_grant"));
    done(json{{"access_token", "opaque"}, {"token_type", "Bearer"}, {"id_token", id_token}}.dump());
  }
  static std::map<std::string, std::string> Fields(std::string_view form) {
    std::map<std::string, std::string> out;
    const auto pairs = http::ParseQuery(form).value();
    for (const auto& [name, value] : pairs) out[name] = value;
    return out;
  }
  TokenIssuer keys;
  std::vector<FetchRequest> codes;
  std::string challenge;
  std::string id_token;
  bool away = false;
};

class FakeSessions final : public tenancy::v1::SessionService::Service {
 public:
  grpc::Status BeginSession(grpc::ServerContext* context, const tenancy::v1::BeginSessionRequest* request,
                            tenancy::v1::Session* response) override {
    return Handle(context, request, response, [&](const Call&) -> Result<tenancy::v1::Session> {
      if (!refusal.empty()) return Fail(Code::kUnauthenticated, refusal, "refused");
      begun = *request;
      tenancy::v1::Session out = request->session();
      out.set_name("tenants/ke/sessions/" + Uuid::V7().ToString());
      if (leaves_out_a_member) out.mutable_members()->RemoveLast();
      return out;
    });
  }
  grpc::Status ReportRefusedSignIn(grpc::ServerContext* context, const tenancy::v1::ReportRefusedSignInRequest* request,
                                   tenancy::v1::ReportRefusedSignInResponse* response) override {
    return Handle(context, request, response, [&](const Call&) -> Result<tenancy::v1::ReportRefusedSignInResponse> {
      const std::scoped_lock lock(mutex);
      refused.push_back(*request);
      return tenancy::v1::ReportRefusedSignInResponse();
    });
  }
  // The next that was told of; empty if none is within seconds.
  tenancy::v1::ReportRefusedSignInRequest NextRefused() {
    for (int i = 0; i < 500; ++i) {
      {
        const std::scoped_lock lock(mutex);
        if (!refused.empty()) {
          const auto out = refused.front();
          refused.erase(refused.begin());
          return out;
        }
      }
      std::this_thread::sleep_for(10ms);
    }
    return {};
  }
  grpc::Status EndSessions(grpc::ServerContext* context, const tenancy::v1::EndSessionsRequest* request,
                           tenancy::v1::EndSessionsResponse* response) override {
    return Handle(context, request, response, [&](const Call&) -> Result<tenancy::v1::EndSessionsResponse> {
      ended = *request;
      return tenancy::v1::EndSessionsResponse();
    });
  }
  std::string refusal;
  bool leaves_out_a_member = false;
  tenancy::v1::BeginSessionRequest begun;
  tenancy::v1::EndSessionsRequest ended;
  std::mutex mutex;
  std::vector<tenancy::v1::ReportRefusedSignInRequest> refused;
};

class SignInTest : public testing::Test {
 protected:
  SignInTest() {
    tenancy::v1::WatchIdentitiesResponse state;
    auto& tenant = *state.add_tenants();
    tenant.set_tenant("tenants/ke");
    tenant.set_active(true);
    auto& provider = *tenant.add_identity_providers();
    provider.set_name(kProvider);
    provider.set_display_name("Staff <of> the state");
    provider.set_issuer(kIssuer);
    provider.mutable_sign_in()->set_client_id("allod");
    provider.mutable_sign_in()->add_scopes("email");
    auto& pipelines = *tenant.add_identity_providers();
    pipelines.set_name("tenants/ke/identityProviders/ci");
    pipelines.set_issuer("https://ci.example");
    for (const char* id : {"clerks", "heads"}) {
      auto& member = *tenant.add_members();
      member.set_name(std::string("tenants/ke/members/") + id);
      member.set_uid(id);
      member.set_identity_provider(kProvider);
      auto& claim = *member.add_claims();
      claim.set_claim("groups");
      claim.set_contains(id);
      auto& grant = *member.add_grants();
      grant.set_resource("tenants/ke");
      grant.add_roles(Role::ROLE_VIEWER);
    }
    state.set_synced(true);
    state_ = state;
    table_.BeginSnapshot();
    table_.Apply(state);
    server_ = Server::Start({.listen = address_}, {&tenancy_}).value();
    endpoints_.emplace(EndpointsConfig{"https://allod.example", 50}, channel_, table_, verifier_, issuer_, starter_,
                       refusals_, sealer_, attempts_, clock_, SessionTimes{});
  }

  // Each with a role at a project of its own, or all with the same as the others have.
  void AddMembers(int count, bool at_projects) {
    for (int i = 0; i < count; ++i) {
      auto& member = *state_.mutable_tenants(0)->add_members();
      member = state_.tenants(0).members(0);
      member.set_name("tenants/ke/members/g" + std::to_string(i));
      member.mutable_claims(0)->set_contains("g" + std::to_string(i));
      if (!at_projects) continue;
      member.mutable_grants(0)->set_resource("tenants/ke/projects/p" + std::to_string(i));
      member.mutable_grants(0)->set_roles(0, Role::ROLE_DEVELOPER);
    }
    table_.BeginSnapshot();
    table_.Apply(state_);
  }
  std::string IdToken(const json& more = json::object()) const {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
    json claims{{"iss", kIssuer},
                {"aud", "allod"},
                {"sub", "s1"},
                {"iat", now},
                {"exp", now + 300},
                {"name", "Amina"},
                {"groups", {"clerks", "heads", "x"}}};
    claims.update(more);
    return issuer_.keys.Sign("k", claims);
  }
  // Another tenant that trusts the same issuer, and is known to it as the same client; whoever is a clerk is an owner.
  void AddTanzania() {
    auto& tenant = *state_.add_tenants();
    tenant = state_.tenants(0);
    tenant.set_tenant("tenants/tz");
    tenant.clear_members();
    for (auto& provider : *tenant.mutable_identity_providers()) {
      provider.set_name("tenants/tz" + provider.name().substr(std::string("tenants/ke").size()));
    }
    auto& member = *tenant.add_members();
    member = state_.tenants(0).members(0);
    member.set_name("tenants/tz/members/owners");
    member.set_identity_provider("tenants/tz/identityProviders/staff");
    member.mutable_grants(0)->set_resource("tenants/tz");
    member.mutable_grants(0)->set_roles(0, Role::ROLE_OWNER);
    table_.BeginSnapshot();
    table_.Apply(state_);
  }
  http::Response Ask(http::Awaitable<void> (Endpoints::*handler)(http::Request&, http::ResponseWriter&),
                     http::Request request) {
    request.client = IpAddress::Parse("192.0.2.7");
    http::FakeResponseWriter out;
    http::RunToEnd([&] { return ((*endpoints_).*handler)(request, out); });
    return out.response;
  }
  static std::string HeaderOf(const http::Response& response, std::string_view name) {
    for (const auto& [header, value] : response.headers) {
      if (header == name) return value;
    }
    return "";
  }
  static std::string CookieIn(const http::Response& response, const std::string& name) {
    for (const auto& [header, value] : response.headers) {
      if (header == "set-cookie" && value.starts_with(name + "=")) {
        return value.substr(name.size() + 1, value.find(';') - name.size() - 1);
      }
    }
    return "";
  }
  // What the browser is sent to; it keeps the cookie.
  std::map<std::string, std::string> Begin(const std::string& query = "tenant=ke&return_to=/portal") {
    http::Request request;
    request.method = "GET";
    request.query = query;
    const http::Response response = Ask(&Endpoints::SignIn, request);
    EXPECT_EQ(response.status, 303) << response.body;
    const std::string location = HeaderOf(response, "location");
    attempt_ = CookieIn(response, "__Host-allod-sign-in");
    auto fields = FakeIssuer::Fields(location.substr(location.find('?') + 1));
    issuer_.challenge = fields["code_challenge"];
    return fields;
  }
  http::Response Return(const std::string& query) {
    http::Request request;
    request.method = "GET";
    request.query = query;
    request.headers = {{"cookie", "__Host-allod-sign-in=" + attempt_}, {"user-agent", "A browser"}};
    return Ask(&Endpoints::Callback, request);
  }
  // A whole sign-in with this ID token.
  http::Response SignIn(const json& more = json::object()) {
    auto sent = Begin();
    json claims = more;
    if (!claims.contains("nonce")) claims["nonce"] = sent["nonce"];
    issuer_.id_token = IdToken(claims);
    return Return("code=the%20code&state=" + sent["state"]);
  }
  http::Response AskForSession(const std::string& id_token, const std::string& provider = kProvider) {
    http::Request request;
    request.method = "POST";
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
    request.body = "identity_provider=" + provider + "&id_token=" + id_token;
    return Ask(&Endpoints::BeginSession, request);
  }

  FakeClock clock_;
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  FakeSessions tenancy_;
  std::unique_ptr<Server> server_;
  const std::shared_ptr<grpc::Channel> channel_ = MakeChannel(address_);
  FakeIssuer issuer_;
  federation::TrustTable table_;
  federation::IssuerKeys keys_{issuer_, {}};
  federation::TokenVerifier verifier_{keys_, clock_};
  const SessionSealer sealer_{"a pepper of some length"};
  const AttemptSealer attempts_{"a pepper of some length"};
  Refusals refusals_{channel_, table_};
  SessionStarter starter_{channel_, table_, verifier_, sealer_, refusals_, clock_, {}};
  std::optional<Endpoints> endpoints_;
  const Sessions sessions_{table_, sealer_, clock_, 30min};
  std::string attempt_;
  tenancy::v1::WatchIdentitiesResponse state_;
};

TEST_F(SignInTest, ABrowserGetsASession) {
  auto sent = Begin();
  EXPECT_EQ(sent["client_id"], "allod");
  EXPECT_EQ(sent["redirect_uri"], "https://allod.example/auth/callback");
  EXPECT_EQ(sent["scope"], "openid email");
  issuer_.id_token = IdToken({{"nonce", sent["nonce"]}});
  const http::Response response = Return("code=the%20code&state=" + sent["state"]);
  ASSERT_EQ(response.status, 303) << response.body;
  EXPECT_EQ(HeaderOf(response, "location"), "/portal");
  EXPECT_EQ(HeaderOf(response, "cache-control"), "no-store");
  const std::string cookie = CookieIn(response, "__Host-allod-session");
  const auto principal = sessions_.Authenticate("Bearer " + cookie, std::nullopt);
  ASSERT_TRUE(principal) << principal.error().message;
  EXPECT_EQ(principal->subject, "s1");
  EXPECT_EQ(principal->display_name, "Amina");
  const auto token = sealer_.Open(cookie, clock_.Now());
  EXPECT_EQ(token->members.size(), 2U);
  EXPECT_EQ(token->expire_time, clock_.Now() + 30min);
  EXPECT_EQ(token->end_time, clock_.Now() + 12h);
  const tenancy::v1::Session& begun = tenancy_.begun.session();
  EXPECT_EQ(tenancy_.begun.parent(), "tenants/ke");
  EXPECT_EQ(begun.identity_provider(), kProvider);
  EXPECT_EQ(begun.client_address(), "192.0.2.7");
  EXPECT_EQ(begun.user_agent(), "A browser");
  EXPECT_EQ(begun.client(), tenancy::v1::Session::CLIENT_BROWSER);
  EXPECT_EQ(TimeFrom("t", begun.expire_time()).value(), token->end_time);
  EXPECT_EQ(tenancy_.begun.id_token_sha256().size(), 32U);
  // The attempt is used up.
  EXPECT_NE(response.headers.back().second.find("__Host-allod-sign-in=; Path=/; Max-Age=0"), std::string::npos);
}

TEST_F(SignInTest, WhatIsNotRightIsToldOnAPage) {
  const auto reason = [&](const json& more) {
    const http::Response response = SignIn(more);
    EXPECT_EQ(CookieIn(response, "__Host-allod-session"), "");
    EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
    EXPECT_NE(response.body.find("/auth/sign-in?tenant=ke&amp;provider=staff"), std::string::npos) << response.body;
    const std::size_t begin = response.body.find("<code>") + 6;
    return response.body.substr(begin, response.body.find("</code>") - begin);
  };
  EXPECT_EQ(reason({{"nonce", "another"}}), "TOKEN_NONCE");
  EXPECT_EQ(reason({{"nonce", nullptr}}), "TOKEN_NONCE");
  EXPECT_EQ(reason({{"aud", "others"}}), "TOKEN_AUDIENCE");
  EXPECT_EQ(reason({{"iss", "https://other.example"}}), "TOKEN_ISSUER");
  EXPECT_EQ(reason({{"exp", 1}}), "TOKEN_EXPIRED");
  EXPECT_EQ(reason({{"groups", "clerks"}}), "NOT_A_MEMBER") << "a string is no list";
  EXPECT_EQ(reason({{"groups", {"strangers"}}}), "NOT_A_MEMBER");
  tenancy_.refusal = "TOKEN_REPLAYED";
  EXPECT_EQ(reason({}), "TOKEN_REPLAYED");
  tenancy_.refusal = "";
  issuer_.away = true;
  EXPECT_EQ(reason({}), "FETCH_FAILED");
  issuer_.away = false;
  EXPECT_EQ(SignIn().status, 303);
  json groups = json::array();
  for (int i = 0; i < 40; ++i) groups.push_back("g" + std::to_string(i));
  AddMembers(40, true);
  EXPECT_EQ(reason({{"groups", groups}}), "TOO_MANY_MEMBERSHIPS");
  EXPECT_EQ(SignIn().status, 303);
  EXPECT_EQ(SignIn({{"groups", {"strangers"}}}).body.find("<of>"), std::string::npos) << "names are escaped";
}

TEST_F(SignInTest, OnlyTheBrowserThatBeganComesBack) {
  auto sent = Begin();
  issuer_.id_token = IdToken({{"nonce", sent["nonce"]}});
  const std::string own = attempt_;
  const std::string query = "code=the%20code&state=" + sent["state"];
  attempt_ = "";
  EXPECT_EQ(Return(query).status, 401) << "a link that somebody else sent";
  Begin();
  EXPECT_EQ(Return(query).status, 401) << "another attempt";
  attempt_ = own;
  const http::Response other = Return("code=the%20code&state=wrong");
  EXPECT_EQ(other.status, 401);
  EXPECT_EQ(HeaderOf(other, "set-cookie"), "") << "the attempt under way goes on";
  EXPECT_EQ(Return("error=access_denied&state=" + sent["state"]).status, 401);
  EXPECT_EQ(issuer_.codes.size(), 0U) << "no code was shown for any of these";
  EXPECT_EQ(Return("code=another&state=" + sent["state"]).status, 401);
  clock_.Advance(11min);
  EXPECT_EQ(Return(query).status, 401);
}

TEST_F(SignInTest, MembersThatGiveNothingMoreShutNobodyOut) {
  AddMembers(60, false);
  json groups = json::array({"clerks"});
  for (int i = 0; i < 60; ++i) groups.push_back("g" + std::to_string(i));
  EXPECT_EQ(SignIn({{"groups", groups}}).status, 303);
  EXPECT_EQ(tenancy_.begun.session().members_size(), 1) << "all of them are viewers";
}

TEST_F(SignInTest, NoOtherSitePutsWhoIsSignedInIntoAnotherSession) {
  http::Request request;
  request.method = "GET";
  request.query = "tenant=ke";
  request.headers = {{"sec-fetch-site", "cross-site"}, {"cookie", "__Host-allod-session=x"}};
  const http::Response asked = Ask(&Endpoints::SignIn, request);
  EXPECT_EQ(asked.status, 403);
  EXPECT_NE(asked.body.find("href=\"/auth/sign-in?tenant=ke\""), std::string::npos) << asked.body;
  EXPECT_EQ(HeaderOf(asked, "set-cookie"), "");
  request.headers = {{"sec-fetch-site", "cross-site"}};
  EXPECT_EQ(Ask(&Endpoints::SignIn, request).status, 303) << "who is not signed in may come from anywhere";
  request.headers = {{"sec-fetch-site", "same-origin"}, {"cookie", "__Host-allod-session=x"}};
  EXPECT_EQ(Ask(&Endpoints::SignIn, request).status, 303);
}

TEST_F(SignInTest, TheProviderIsTheOneThatIsNamedOrTheOnlyOne) {
  http::Request request;
  for (const auto& [query, status] : std::vector<std::pair<const char*, int>>{{"tenant=ke", 303},
                                                                              {"tenant=tenants/ke", 303},
                                                                              {"tenant=ke&provider=staff", 303},
                                                                              {"tenant=ke&provider=ci", 404},
                                                                              {"tenant=ke&provider=none", 404},
                                                                              {"tenant=tz", 404},
                                                                              {"tenant=K/E", 400},
                                                                              {"", 400},
                                                                              {"tenant=ke&tenant=ke", 400},
                                                                              {"tenant=ke&next=/", 400}}) {
    request.query = query;
    EXPECT_EQ(Ask(&Endpoints::SignIn, request).status, status) << query;
  }
  request.query = "tenant=ke";
  const json listed = json::parse(Ask(&Endpoints::Providers, request).body);
  ASSERT_EQ(listed.at("identityProviders").size(), 1U);
  EXPECT_EQ(listed.at("identityProviders")[0].at("name"), kProvider);
  EXPECT_EQ(listed.at("identityProviders")[0].at("clientId"), "allod");
  request.query = "tenant=tz";
  EXPECT_EQ(Ask(&Endpoints::Providers, request).body, R"({"identityProviders":[]})");
}

TEST_F(SignInTest, ACommandLineGetsASessionForAFreshIdToken) {
  const http::Response response = AskForSession(IdToken());
  ASSERT_EQ(response.status, 200) << response.body;
  const json answer = json::parse(response.body);
  EXPECT_EQ(answer.at("expiresIn"), 12 * 3600);
  const std::string token = answer.at("accessToken");
  EXPECT_TRUE(sessions_.Authenticate("Bearer " + token, std::nullopt));
  EXPECT_EQ(tenancy_.begun.session().client(), tenancy::v1::Session::CLIENT_COMMAND_LINE);
  clock_.Advance(11h);
  const auto principal = sessions_.Authenticate("Bearer " + token, std::nullopt);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->renewed_credential, "") << "it ends when it ends";
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
  const auto reason = [&](const std::string& id_token, const std::string& provider = kProvider) {
    return json::parse(AskForSession(id_token, provider).body).value("reason", "");
  };
  EXPECT_EQ(reason(IdToken({{"iat", now - 601}})), "TOKEN_STALE");
  EXPECT_EQ(reason("x"), "TOKEN_MALFORMED");
  EXPECT_EQ(reason(IdToken(), "tenants/ke/identityProviders/ci"), "NO_SUCH_TRUST");
  EXPECT_EQ(reason(IdToken(), "tenants/tz/identityProviders/staff"), "NO_SUCH_TRUST");
  EXPECT_EQ(reason(IdToken(), "nonsense"), "INVALID_NAME");
  TokenIssuer forger;
  forger.AddKey("k", TokenIssuer::Kind::kP256);
  EXPECT_EQ(
      reason(forger.Sign("k", {{"iss", kIssuer}, {"aud", "allod"}, {"sub", "s"}, {"iat", now}, {"exp", now + 9}})),
      "TOKEN_SIGNATURE");
}

TEST_F(SignInTest, ASignInIsOfTheTenantThatBeganItThoughAnotherHasTheSameClient) {
  AddTanzania();
  // A browser that began at ke is ke's, whatever the answer says.
  const auto sent = Begin();
  issuer_.id_token = IdToken({{"nonce", sent.at("nonce")}});
  const http::Response response = Return("code=the%20code&tenant=tz&state=" + sent.at("state"));
  ASSERT_EQ(response.status, 303) << response.body;
  EXPECT_EQ(tenancy_.begun.parent(), "tenants/ke");
  const std::string cookie = CookieIn(response, "__Host-allod-session");
  const auto principal = sessions_.Authenticate("Bearer " + cookie, std::nullopt);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->tenant, "tenants/ke");
  EXPECT_FALSE(principal->roles.Has(Role::ROLE_OWNER)) << "a role that tz gives";
  // Its token begins nothing elsewhere: not in another attempt, and not without one.
  const std::string first = issuer_.id_token;
  const auto other = Begin("tenant=tz");
  issuer_.id_token = first;
  EXPECT_NE(Return("code=the%20code&state=" + other.at("state")).body.find("TOKEN_NONCE"), std::string::npos);
  const auto reason = [&](const std::string& id_token, const char* provider) {
    return json::parse(AskForSession(id_token, provider).body).value("reason", "");
  };
  EXPECT_EQ(reason(first, "tenants/tz/identityProviders/staff"), "TOKEN_NONCE");
  EXPECT_EQ(reason(first, kProvider), "TOKEN_NONCE");
  // A command line's token is of the tenant that it was shown for.
  const std::string plain = IdToken();
  EXPECT_EQ(reason(plain, kProvider), "");
  EXPECT_EQ(tenancy_.begun.parent(), "tenants/ke");
  EXPECT_EQ(reason(plain, "tenants/tz/identityProviders/staff"), "TOKEN_REPLAYED");
  EXPECT_EQ(reason(IdToken({{"jti", "2"}}), "tenants/tz/identityProviders/staff"), "") << "who is a member of both";
  EXPECT_EQ(tenancy_.begun.parent(), "tenants/tz");
}

TEST_F(SignInTest, TellsTheAuditLogOfWhomItRefuses) {
  SignIn({{"groups", {"strangers"}}});
  auto told = tenancy_.NextRefused();
  EXPECT_EQ(told.identity_provider(), kProvider);
  EXPECT_EQ(told.reason(), "NOT_A_MEMBER");
  EXPECT_EQ(told.subject(), "s1");
  EXPECT_EQ(told.client_address(), "192.0.2.7");
  EXPECT_EQ(told.trace_id().size(), 32U);
  SignIn({{"nonce", "another"}});
  EXPECT_EQ(tenancy_.NextRefused().reason(), "TOKEN_NONCE");
  AskForSession(IdToken({{"exp", 1}}));
  told = tenancy_.NextRefused();
  EXPECT_EQ(told.reason(), "TOKEN_EXPIRED");
  EXPECT_EQ(told.subject(), "") << "the token proves nothing";
  auto sent = Begin();
  Return("error=access_denied&state=" + sent["state"]);
  EXPECT_EQ(tenancy_.NextRefused().reason(), "SIGN_IN_FAILED");
  // Neither of what is no tenant's, nor of what is nobody's fault.
  AskForSession(IdToken(), "tenants/tz/identityProviders/staff");
  issuer_.away = true;
  SignIn();
  issuer_.away = false;
  SignIn({{"groups", {"strangers"}}, {"sub", "s2"}});
  EXPECT_EQ(tenancy_.NextRefused().subject(), "s2");
}

TEST_F(SignInTest, WhoIsNoMemberIsToldWhatToDoAndNothingOfMembers) {
  const auto page = [&](const json& more) { return SignIn(more).body; };
  const std::string unverified = page({{"groups", {"x"}}, {"email", "amina@ke.example"}, {"email_verified", false}});
  EXPECT_NE(unverified.find("EMAIL_NOT_VERIFIED"), std::string::npos) << unverified;
  const std::string none = page({{"groups", {"x"}}, {"email", "amina@ke.example"}, {"email_verified", true}});
  EXPECT_NE(none.find("NOT_A_MEMBER"), std::string::npos) << none;
  EXPECT_NE(none.find("sub s1"), std::string::npos) << "what an owner needs to name the person";
  EXPECT_NE(none.find("another tenant"), std::string::npos);
  for (const std::string& text : {unverified, none}) {
    EXPECT_EQ(text.find("clerks"), std::string::npos) << text;
    EXPECT_EQ(text.find("members/"), std::string::npos) << text;
  }
}

TEST_F(SignInTest, WithoutAnAttemptThePageAsksWhereToBegin) {
  attempt_ = "";
  const http::Response response = Return("code=x&state=y");
  EXPECT_EQ(response.status, 401);
  EXPECT_NE(response.body.find("<form action=\"/auth/sign-in\""), std::string::npos) << response.body;
  EXPECT_NE(HeaderOf(response, "content-security-policy").find("form-action 'self'"), std::string::npos);
  const http::Response known = SignIn({{"nonce", "another"}});
  EXPECT_EQ(known.body.find("<form"), std::string::npos) << "it is known where to begin";
  EXPECT_NE(HeaderOf(known, "content-security-policy").find("form-action 'none'"), std::string::npos);
}

TEST_F(SignInTest, OnlyMembersThatWereRecordedCount) {
  tenancy_.leaves_out_a_member = true;
  const json answer = json::parse(AskForSession(IdToken()).body);
  EXPECT_EQ(sealer_.Open(answer.at("accessToken").get<std::string>(), clock_.Now())->members.size(), 1U);
}

TEST_F(SignInTest, WhoSignsOutEndsTheSessionOrAllOfThePersons) {
  access::Principal person;
  person.tenant = "tenants/ke";
  person.name = "tenants/ke/sessions/x";
  person.session = "x";
  person.identity_provider = kProvider;
  person.subject = "s1";
  const auto sign_out = [&](const access::Principal& principal, const char* query) {
    http::Request request;
    request.method = "POST";
    request.query = query;
    http::FakeResponseWriter out;
    http::RunToEnd([&] { return endpoints_->SignOut(principal, request, out); });
    return out.response;
  };
  const http::Response response = sign_out(person, "");
  EXPECT_EQ(response.status, 204) << response.body;
  EXPECT_EQ(tenancy_.ended.session(), person.name);
  EXPECT_TRUE(HeaderOf(response, "set-cookie").starts_with("__Host-allod-session=; Path=/; Max-Age=0"));
  EXPECT_EQ(sign_out(person, "everywhere=true").status, 204);
  EXPECT_EQ(tenancy_.ended.person().identity_provider(), kProvider);
  EXPECT_EQ(tenancy_.ended.person().subject(), "s1");
  EXPECT_EQ(sign_out(person, "everywhere=yes").status, 400);
  person.subject.clear();  // of a suspended tenant
  EXPECT_EQ(sign_out(person, "").status, 204);
  EXPECT_EQ(sign_out(person, "everywhere=true").status, 400);
  access::Principal key;
  key.tenant = "tenants/ke";
  EXPECT_EQ(sign_out(key, "").status, 400);
}

TEST_F(SignInTest, StrangersAreCountedByTheirAddress) {
  http::Request request;
  request.query = "tenant=ke";
  int refused = 0;
  for (int i = 0; i < 60; ++i) refused += Ask(&Endpoints::Providers, request).status == 429 ? 1 : 0;
  EXPECT_EQ(refused, 10);
  EXPECT_EQ(AskForSession(IdToken()).status, 429);
}

TEST(BrowserCredential, IsForThisOrigin) {
  EXPECT_EQ(BrowserCredentialOf("https://allod.example", {}).cookie, "__Host-allod-session");
  EXPECT_TRUE(BrowserCredentialOf("https://allod.example", {}).secure);
  EXPECT_EQ(BrowserCredentialOf("http://127.0.0.1:8080", {}).cookie, "allod-session");
  EXPECT_FALSE(BrowserCredentialOf("http://127.0.0.1:8080", {}).secure);
  EXPECT_EQ(BrowserCredentialOf("", {}).cookie, "");
}

}  // namespace
}  // namespace allod::gateway::sign_in::endpoints_test
