// The gateway's HTTP edge: who is let in, what is refused and how, and the portal API.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway {
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
  StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_});
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

TEST_F(GatewayHttp, TooManyConnectionsFromOneAddressAreTurnedAwayWithAnErrorObject) {
  gateway_->Stop();
  gateway_.reset();
  connections_per_address_max_ = 2;
  StartGateway();
  // The connections that waited for readiness may take a moment to be forgotten.
  std::unique_ptr<HttpClient> held[2];
  for (auto& client : held) {
    ASSERT_TRUE(Eventually([&] {
      client = std::make_unique<HttpClient>(port());
      client->Send("GET", "/healthz", "");
      return client->Receive().status == 200;
    }));
  }
  HttpClient third(port());
  const auto refused = third.Receive();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(ErrorCode(refused), "too_many_connections");
  held[0]->Close();
  EXPECT_TRUE(Eventually([&] { return Fetch(port(), "GET", "/healthz", "").status == 200; }));
}

TEST_F(GatewayHttp, PortalCallsAreTranscodedAsTheKeysTenant) {
  const auto created = Fetch(port(), "POST", "/portal/v1/tenants/ke/projects?projectId=health", key_,
                             R"({"displayName":"Health"})", "idempotency-key: once\r\n");
  EXPECT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(nlohmann::json::parse(created.body)["name"], "tenants/ke/projects/health");
  EXPECT_EQ(projects_.last_caller, "tenant:ke");
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

TEST_F(GatewayHttp, DescribesItself) {
  const auto document = nlohmann::json::parse(Fetch(port(), "GET", "/openapi.json", "").body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_TRUE(document["paths"].contains("/v1/chat/completions"));
  EXPECT_TRUE(document["paths"].contains("/portal/v1/tenants/{tenant}/projects/{project}/instances"));
  EXPECT_EQ(Chat().status, 200);
  const auto metrics = Fetch(port(), "GET", "/metrics", "");
  EXPECT_THAT(metrics.body, HasSubstr(R"(allod_http_requests_total{route="/v1/chat/completions",status="200"})"));
}

}  // namespace
}  // namespace allod::gateway
