#include "gateway/access/route_guard.h"

#include <gtest/gtest.h>

#include "gateway/http/fake_response_writer.h"

namespace allod::gateway::access::route_guard_test {
namespace {

// Whoever says "all", "inference" or "portal".
class FakeAuthenticator final : public Authenticator {
 public:
  Result<Principal> Authenticate(std::string_view authorization,
                                 const std::optional<IpAddress>& client) const override {
    if (client) return Fail(Code::kPermissionDenied, "ADDRESS_NOT_ALLOWED", client->ToString());
    if (authorization != "all" && authorization != "inference" && authorization != "portal") {
      return Fail(Code::kUnauthenticated, "INVALID_API_KEY", "nobody");
    }
    Principal out;
    out.id = authorization;
    out.tenant = "tenants/ke";
    out.inference = authorization != "portal";
    out.portal = authorization != "inference";
    return out;
  }
};

TEST(RouteGuard, LetsThroughWhoHasTheScopeAndTellsOthersWhyNot) {
  const FakeAuthenticator authenticator;
  const RouteGuard guard(authenticator);
  struct Case {
    const char* authorization;
    Scope needed;
    const char* path;
    int status;
    const char* body;
  };
  for (const Case& c : {
           Case{"all", Scope::kInference, "/v1/models", 200, "all"},
           Case{"all", Scope::kPortal, "/portal/v1/x", 200, "all"},
           Case{"inference", Scope::kInference, "/v1/models", 200, "inference"},
           Case{"portal", Scope::kPortal, "/portal/v1/x", 200, "portal"},
           Case{"portal", Scope::kInference, "/v1/models", 403,
                "this credential does not have the scope SCOPE_INFERENCE"},
           Case{"inference", Scope::kPortal, "/portal/v1/x", 403,
                "this credential does not have the scope SCOPE_PORTAL"},
           Case{"", Scope::kInference, "/v1/models", 401, "\"param\""},
           Case{"", Scope::kPortal, "/portal/v1/x", 401, "\"title\""},
       }) {
    const http::Router::Handler handler = guard.Guard(
        c.needed, [](const Principal& principal, http::Request&, http::ResponseWriter& out) -> http::Awaitable<void> {
          http::Response response;
          response.body = principal.id;
          co_await out.Send(std::move(response));
        });
    http::Request request;
    request.path = c.path;
    request.headers = {{"authorization", c.authorization}};
    http::FakeResponseWriter out;
    http::RunToEnd([&] { return handler(request, out); });
    EXPECT_EQ(out.response.status, c.status) << c.authorization << " at " << c.path;
    EXPECT_NE(out.response.body.find(c.body), std::string::npos) << out.response.body;
  }
}

// Whoever shows "Bearer session"; it is renewed.
class SessionAuthenticator final : public Authenticator {
 public:
  Result<Principal> Authenticate(std::string_view authorization, const std::optional<IpAddress>&) const override {
    if (authorization != "Bearer session" && authorization != "Bearer key") {
      return Fail(Code::kUnauthenticated, "INVALID_TOKEN", "nobody");
    }
    Principal out;
    out.id = authorization;
    out.tenant = "tenants/ke";
    out.portal = true;
    if (authorization == "Bearer session") out.renewed_credential = "renewed";
    return out;
  }
};

TEST(RouteGuard, TakesACookieForWhatPagesOfThisOriginAskFor) {
  const SessionAuthenticator authenticator;
  const RouteGuard guard(
      authenticator,
      {.cookie = "s", .origin = "https://allod.example", .secure = true, .max_age = std::chrono::hours(1)});
  const http::Router::Handler handler =
      guard.Guard(Scope::kPortal,
                  [](const Principal& principal, http::Request&, http::ResponseWriter& out) -> http::Awaitable<void> {
                    http::Response response;
                    response.body = principal.id;
                    co_await out.Send(std::move(response));
                  });
  struct Case {
    const char* method;
    http::Headers headers;
    int status;
    const char* body;
  };
  const std::pair<std::string, std::string> cookie{"cookie", "a=b; s=session"};
  for (const Case& c : {
           Case{"GET", {cookie}, 200, "session"},
           Case{"GET", {cookie, {"sec-fetch-site", "cross-site"}}, 200, "session"},
           Case{"POST", {cookie}, 403, "OTHER_ORIGIN"},
           Case{"POST", {cookie, {"sec-fetch-site", "same-origin"}}, 200, "session"},
           Case{"POST",
                {cookie, {"sec-fetch-site", "same-origin"}, {"origin", "https://allod.example"}},
                200,
                "session"},
           Case{"POST", {cookie, {"sec-fetch-site", "same-site"}}, 403, "OTHER_ORIGIN"},
           Case{"POST", {cookie, {"sec-fetch-site", "none"}}, 403, "OTHER_ORIGIN"},
           Case{"PUT", {cookie, {"origin", "https://allod.example"}}, 200, "session"},
           Case{"DELETE", {cookie, {"origin", "https://evil.example"}}, 403, "OTHER_ORIGIN"},
           Case{"POST", {cookie, {"origin", "https://allod.example.evil.example"}}, 403, "OTHER_ORIGIN"},
           Case{"POST", {cookie, {"origin", "null"}}, 403, "OTHER_ORIGIN"},
           Case{"POST",
                {cookie, {"sec-fetch-site", "same-origin"}, {"origin", "https://evil.example"}},
                403,
                "OTHER_ORIGIN"},
           Case{"POST", {cookie, {"authorization", "Bearer key"}}, 200, "Bearer key"},
           Case{"GET", {{"cookie", "s=other"}}, 401, "INVALID_TOKEN"},
           Case{"GET", {{"cookie", "s=session; s=session"}}, 401, "INVALID_TOKEN"},
           Case{"GET", {}, 401, "INVALID_TOKEN"},
       }) {
    http::Request request;
    request.method = c.method;
    request.path = "/portal/v1/x";
    request.headers = c.headers;
    EXPECT_EQ(guard.AccountOf(request).has_value(), c.status == 200) << c.method;
    http::FakeResponseWriter out;
    http::RunToEnd([&] { return handler(request, out); });
    EXPECT_EQ(out.response.status, c.status) << c.method << " " << out.response.body;
    EXPECT_NE(out.response.body.find(c.body), std::string::npos) << out.response.body;
    const bool is_renewed = !out.response.headers.empty() && out.response.headers.back().first == "set-cookie";
    EXPECT_EQ(is_renewed, c.status == 200 && std::string_view(c.body) == "session") << c.method;
    if (is_renewed) {
      EXPECT_EQ(out.response.headers.back().second, "s=renewed; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
    }
  }
}

TEST(RouteGuard, TakesNoCookieWhereBrowsersDoNotSignIn) {
  const SessionAuthenticator authenticator;
  const RouteGuard guard(authenticator);
  http::Request request;
  request.headers = {{"cookie", "=session"}};
  EXPECT_FALSE(guard.AccountOf(request));
}

http::Request Asking(const std::string& authorization) {
  http::Request request;
  request.headers = {{"authorization", authorization}};
  return request;
}

TEST(RouteGuard, TellsWhereARequestComesFromBothTimes) {
  const FakeAuthenticator authenticator;
  const RouteGuard guard(authenticator);
  http::Request request = Asking("all");
  request.client = IpAddress::Parse("203.0.113.7");
  EXPECT_EQ(guard.AccountOf(request).error().message, "203.0.113.7");
  const http::Router::Handler handler = guard.Guard(
      Scope::kInference, [](const Principal&, http::Request&, http::ResponseWriter& out) -> http::Awaitable<void> {
        co_await out.Send(http::Response());
      });
  http::FakeResponseWriter out;
  http::RunToEnd([&] { return handler(request, out); });
  EXPECT_EQ(out.response.status, 403);
  EXPECT_NE(out.response.body.find("203.0.113.7"), std::string::npos) << out.response.body;
}

TEST(RouteGuard, SaysOnWhoseAccountABodyIsReadWhateverTheScope) {
  const FakeAuthenticator authenticator;
  const RouteGuard guard(authenticator);
  const Result<http::BodyAccount> account = guard.AccountOf(Asking("portal"));
  ASSERT_TRUE(account);
  EXPECT_EQ(account->tenant, "tenants/ke");
  EXPECT_EQ(account->key, "portal");
  EXPECT_EQ(guard.AccountOf(Asking("nobody")).error().reason, "INVALID_API_KEY");
}

}  // namespace
}  // namespace allod::gateway::access::route_guard_test
