// The gateway's HTTP edge: who is let in, what is refused and how, and the portal API.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_http_test {
namespace {

using testing::HasSubstr;

class GatewayHttp : public GatewayTest {};

TEST_F(GatewayHttp, RefusesUnknownKeysAndJunk) {
  EXPECT_EQ(ErrorCode(Fetch(port(), "GET", "/v1/models", "")), "invalid_api_key");
  EXPECT_EQ(ErrorCode(Fetch(port(), "GET", "/v1/models", "sk-junk")), "invalid_api_key");
  const auto unknown = Fetch(port(), "GET", "/v1/models", FormatApiKey(NewApiKey()));
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(ErrorCode(unknown), "invalid_api_key");
}

TEST_F(GatewayHttp, ListsAndRetrievesModels) {
  const auto list = nlohmann::json::parse(Fetch(port(), "GET", "/v1/models", key_).body);
  ASSERT_EQ(list["data"].size(), 1U);
  EXPECT_EQ(list["data"][0]["id"], "assistant");
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models/assistant", key_).status, 200);
  EXPECT_EQ(Fetch(port(), "GET", std::string("/v1/models/") + kInstance, key_).status, 200);
  const auto missing = Fetch(port(), "GET", "/v1/models/other", key_);
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(ErrorCode(missing), "model_not_found");
}

TEST_F(GatewayHttp, AnotherProjectsKeyDoesNotSeeTheInstance) {
  tenancy_server_.reset();
  const std::string stranger = tenancy_.AddKey("tenants/tz/projects/services", {});
  StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_, &identities_});
  ASSERT_TRUE(Eventually([&] { return Fetch(port(), "GET", "/v1/models", stranger).status == 200; }));
  EXPECT_EQ(nlohmann::json::parse(Fetch(port(), "GET", "/v1/models", stranger).body)["data"].size(), 0U);
  const auto by_name = Fetch(port(), "POST", "/v1/chat/completions", stranger, ChatBody("", kInstance));
  EXPECT_EQ(by_name.status, 404);
  EXPECT_EQ(ErrorCode(by_name), "model_not_found");
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayHttp, ScopesNarrow) {
  EXPECT_EQ(Fetch(port(), "POST", "/v1/chat/completions", inference_key_, ChatBody()).status, 200);
  EXPECT_EQ(Fetch(port(), "POST", "/v1/chat/completions", portal_key_, ChatBody()).status, 403);
  EXPECT_EQ(Fetch(port(), "GET", "/portal/v1/tenants/ke/projects", portal_key_).status, 200);
  EXPECT_EQ(Fetch(port(), "GET", "/portal/v1/tenants/ke/projects", inference_key_).status, 403);
}

TEST_F(GatewayHttp, UnsupportedAndWrongParametersAreNamed) {
  const std::pair<const char*, const char*> cases[] = {{R"(,"temperature":3)", "temperature"},
                                                       {R"(,"tools":[{"type":"function"}])", "tools[0].function"},
                                                       {R"(,"n":9)", "n"},
                                                       {R"(,"temprature":1)", "temprature"},
                                                       {R"(,"stop":["a","b","c","d","e"])", "stop"},
                                                       {R"(,"max_tokens":"5")", "max_tokens"}};
  for (const auto& [more, param] : cases) {
    const auto response = Chat(more);
    EXPECT_EQ(response.status, 400) << more;
    EXPECT_EQ(nlohmann::json::parse(response.body)["error"]["param"], param);
  }
}

TEST_F(GatewayHttp, UnknownPathsAndBrokenHttpAreErrorObjects) {
  EXPECT_EQ(ErrorCode(Fetch(port(), "GET", "/index.html", "")), "unknown_path");
  EXPECT_EQ(Fetch(port(), "GET", "/v1/chat/completions", key_).status, 405);
  EXPECT_EQ(ErrorCode(Fetch(port(), "G E T", "/v1/models", "")), "malformed_http");
  EXPECT_EQ(Fetch(port(), "GET", "/healthz", "", "", "x: " + std::string(20 << 10, 'a') + "\r\n").status, 431);
  EXPECT_EQ(Fetch(port(), "POST", "/v1/completions", key_, std::string(2 << 20, ' ')).status, 413);
}

TEST_F(GatewayHttp, OneConnectionServesManyRequests) {
  HttpClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST", "/v1/chat/completions", key_, ChatBody(i % 2 == 0 ? R"(,"stream":true)" : ""));
    const auto response = client.Receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.complete);
  }
}

TEST_F(GatewayHttp, PortalCallsAreTranscodedAsTheKeysTenant) {
  const auto created = Fetch(port(), "POST", "/portal/v1/tenants/ke/projects?projectId=health", key_,
                             R"({"displayName":"Health"})", "idempotency-key: once\r\n");
  EXPECT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(nlohmann::json::parse(created.body)["name"], "tenants/ke/projects/health");
  EXPECT_EQ(projects_.last_caller,
            "tenant:ke project:services key:" + ParseApiKey(key_)->kid + " scopes:inference,portal roles:admin")
      << "which key, not which tenant";
  EXPECT_EQ(projects_.last_create.project().display_name(), "Health");
  EXPECT_TRUE(Uuid::Parse(projects_.last_create.request_id()));
  const auto listed = Fetch(port(), "GET", "/portal/v1/tenants/ke/projects?pageSize=7", key_);
  EXPECT_THAT(listed.body, HasSubstr("page-of-7"));
}

TEST_F(GatewayHttp, PortalRefusalsAreProblemDetails) {
  const auto unknown_field = Fetch(port(), "POST", "/portal/v1/tenants/ke/projects", key_, R"({"colour":"red"})");
  EXPECT_EQ(unknown_field.status, 400);
  EXPECT_THAT(unknown_field.head, HasSubstr("content-type: application/problem+json"));
  EXPECT_THAT(unknown_field.body, HasSubstr("colour"));
  const auto taken = Fetch(port(), "POST", "/portal/v1/tenants/ke/projects?projectId=taken", key_, "{}");
  EXPECT_EQ(taken.status, 409);
  EXPECT_EQ(nlohmann::json::parse(taken.body)["reason"], "ALREADY_EXISTS");
  EXPECT_EQ(Fetch(port(), "GET", "/portal/v1/listings", key_).status, 503) << "the catalog is away";
}

TEST_F(GatewayHttp, WhatIsNotUtf8IsTheClientsMistakeEverywhere) {
  for (const char* path : {"/portal/v1/tenants/%ff/projects", "/portal/v1/tenants/ke/projects?pageToken=%ff",
                           "/portal/v1/tenants/ke/projects?%c3=1", "/portal/v1/tenants/ke/projects/%ed%a0%80",
                           "/portal/v1/tenants/\xff/projects", "/portal/v1/tenants/ke/projects?filter=\xff",
                           "/portal/v1/tenants/%00/projects", "/portal/v1/tenants/%zz/projects", "/v1/models/%ff",
                           "/v1/models/\xff", "/nothing/%ff", "/healthz?%ff"}) {
    const auto response = Fetch(port(), "GET", path, key_);
    EXPECT_EQ(response.status, 400) << path << "\n" << response.body;
    EXPECT_TRUE(nlohmann::json::accept(response.body)) << path;
    const bool portal = std::string_view(path).starts_with("/portal/");
    EXPECT_THAT(response.head, HasSubstr(portal ? "application/problem+json" : "application/json")) << path;
  }
  const auto header =
      Fetch(port(), "POST", "/portal/v1/tenants/ke/projects?projectId=p", key_, "{}", "idempotency-key: \xff\r\n");
  EXPECT_EQ(header.status, 400) << header.body;
  const auto body =
      Fetch(port(), "POST", "/portal/v1/tenants/ke/projects?projectId=p", key_, "{\"displayName\":\"\xff\"}");
  EXPECT_EQ(body.status, 400) << body.body;
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models", "\xff\xff").status, 401);
}

TEST_F(GatewayHttp, IsNotReadyBeforeItKnowsWhatWorkloadsMay) {
  gateway_->Stop();
  gateway_.reset();
  identities_.Hold();
  auto started = Gateway::Start(Config(), kPepper);
  ASSERT_TRUE(started) << started.error().message;
  gateway_ = *std::move(started);
  EXPECT_TRUE(Eventually([&] {
    return Fetch(port(), "GET", "/readyz", "").body ==
           R"({"status":"not ready","keys_synced":true,"identities_synced":false,"routes_synced":true,)"
           R"("billing_reachable":true})";
  }));
  EXPECT_EQ(Fetch(port(), "GET", "/readyz", "").status, 503);
  identities_.Release();
  EXPECT_TRUE(Eventually([&] { return Fetch(port(), "GET", "/readyz", "").status == 200; }));
}

TEST_F(GatewayHttp, WhatTellsOfAllTenantsIsNotOnTheirPort) {
  EXPECT_EQ(Chat().status, 200);
  for (const std::string& key : {std::string(), key_}) {
    const auto hidden = Fetch(port(), "GET", "/metrics", key);
    EXPECT_EQ(hidden.status, 404);
    EXPECT_EQ(ErrorCode(hidden), "unknown_path");
  }
  const auto ready = nlohmann::json::parse(Fetch(port(), "GET", "/readyz", "").body);
  EXPECT_EQ(ready, nlohmann::json::parse(R"({"status":"ready","keys_synced":true,"identities_synced":true,
                       "routes_synced":true,"billing_reachable":true})"));
  EXPECT_EQ(Fetch(port(), "GET", "/healthz", "").body, R"({"status":"ok"})");
  EXPECT_THAT(Metrics().body, HasSubstr(kInstance));
  const int operators = gateway_->operators_port();
  EXPECT_EQ(Fetch(operators, "GET", "/healthz", "").status, 200);
  EXPECT_EQ(Fetch(operators, "GET", "/readyz", "").status, 200);
  EXPECT_EQ(Fetch(operators, "GET", "/v1/models", key_).status, 404) << "tenants are served on their own port";
}

TEST_F(GatewayHttp, EveryPathSaysWhichMethodsItTakes) {
  const std::pair<const char*, const char*> cases[] = {
      {"/v1/chat/completions", "allow: post, options"},
      {"/v1/models", "allow: get, head, options"},
      {"/v1/models/assistant", "allow: get, head, options"},
      {"/healthz", "allow: get, head, options"},
      {"/portal/v1/tenants/ke/projects", "head, "},
      {"/portal/v1/tenants/ke/projects/services/instances/assistant", "put"},
      {"/portal/v1/tenants/ke/operations/x:wait", "post, options"}};
  for (const auto& [path, allow] : cases) {
    const auto refused = Fetch(port(), "BREW", path, key_);
    EXPECT_EQ(refused.status, 405) << path;
    EXPECT_THAT(refused.head, HasSubstr(allow)) << path;
    const auto options = Fetch(port(), "OPTIONS", path, "");
    EXPECT_EQ(options.status, 204) << path;
    EXPECT_THAT(options.head, HasSubstr(allow)) << path;
    EXPECT_THAT(options.head, testing::Not(HasSubstr("content-length")));
    EXPECT_THAT(options.head, testing::Not(HasSubstr("access-control"))) << "not asked for, not configured";
  }
  EXPECT_EQ(Fetch(port(), "OPTIONS", "/nothing", "").status, 404);
}

TEST_F(GatewayHttp, PagesOfAllowedOriginsMayCallIt) {
  const std::string preflight =
      "origin: https://page.example\r\naccess-control-request-method: POST\r\n"
      "access-control-request-headers: authorization,content-type\r\n";
  EXPECT_THAT(Fetch(port(), "OPTIONS", "/v1/chat/completions", "", "", preflight).head,
              testing::Not(HasSubstr("access-control")))
      << "off by default";
  adjust_ = [](GatewayConfig& config) { config.cors_allowed_origins = {"https://page.example"}; };
  RestartGateway();
  const auto asked = Fetch(port(), "OPTIONS", "/v1/chat/completions", "", "", preflight);
  EXPECT_EQ(asked.status, 204);
  for (const char* header :
       {"access-control-allow-origin: https://page.example\r\n", "access-control-allow-methods: post, options\r\n",
        "access-control-allow-headers: authorization,content-type\r\n"}) {
    EXPECT_THAT(asked.head, HasSubstr(header));
  }
  const std::string origin = "origin: https://page.example\r\n";
  const std::string allowed = "access-control-allow-origin: https://page.example\r\n";
  const auto answer = Fetch(port(), "POST", "/v1/chat/completions", key_, ChatBody(), origin);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr(allowed));
  EXPECT_THAT(answer.head, HasSubstr("access-control-expose-headers: x-request-id"));
  const auto stream = Fetch(port(), "POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)"), origin);
  EXPECT_THAT(stream.head, HasSubstr(allowed));
  for (const auto& refused : {Fetch(port(), "POST", "/v1/chat/completions", "", ChatBody(), origin),
                              Fetch(port(), "POST", "/v1/chat/completions", key_, std::string(2 << 20, ' '), origin),
                              Fetch(port(), "GET", "/portal/v1/nothing", key_, "", origin)}) {
    EXPECT_GE(refused.status, 400);
    EXPECT_THAT(refused.head, HasSubstr(allowed)) << "a page can read why it was refused";
  }
  const auto other =
      Fetch(port(), "POST", "/v1/chat/completions", key_, ChatBody(), "origin: https://other.example\r\n");
  EXPECT_THAT(other.head, testing::Not(HasSubstr("access-control")));
}

TEST_F(GatewayHttp, SeveralBlanksBehindBearerAreOne) {
  EXPECT_EQ(Fetch(port(), "GET", "/v1/models", "", "", "authorization: bEARER   " + key_ + "\r\n").status, 200);
}

TEST_F(GatewayHttp, UsedUpCreditIsNotWorthARetry) {
  billing_.no_funds = true;
  const auto refused = Chat();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(ErrorCode(refused), "insufficient_quota");
  EXPECT_THAT(refused.head, HasSubstr("x-should-retry: false"));
  EXPECT_THAT(refused.head, testing::Not(HasSubstr("retry-after")));
}

TEST_F(GatewayHttp, DescribesItself) {
  const auto document = nlohmann::json::parse(Fetch(port(), "GET", "/openapi.json", "").body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_TRUE(document["paths"].contains("/v1/chat/completions"));
  EXPECT_TRUE(document["paths"].contains("/portal/v1/tenants/{tenant}/projects/{project}/instances"));
  EXPECT_EQ(Chat().status, 200);
  const auto metrics = Metrics();
  EXPECT_THAT(metrics.body, HasSubstr(R"(allod_http_requests_total{route="/v1/chat/completions",status="200"})"));
}

}  // namespace
}  // namespace allod::gateway::gateway_http_test
