// The real gateway between peers of the test's own; see gateway_peers.h.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "gateway/gateway.h"
#include "tests/integration/gateway_http_client.h"
#include "tests/integration/gateway_peers.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway {

class GatewayTest : public testing::Test {
 protected:
  void SetUp() override {
    key_ = tenancy_.AddKey(kProject, {});
    inference_key_ = tenancy_.AddKey(kProject, {tenancy::v1::ApiKey::SCOPE_INFERENCE});
    portal_key_ = tenancy_.AddKey(kProject, {tenancy::v1::ApiKey::SCOPE_PORTAL});
    StartPeer(tenancy_server_, "tenancy", {&tenancy_, &projects_, &identities_});
    StartPeer(scheduling_server_, "scheduling", {&routes_});
    StartPeer(billing_server_, "billing", {&billing_});
    StartPeer(worker_server_, "worker", {&worker_});
    routes_.SetTargets({Target("worker")});
    StartGateway();
  }
  void TearDown() override {
    if (gateway_) gateway_->Stop();
  }

  std::string Target(const std::string& name) const { return "unix:" + (directory_ / (name + ".sock")).string(); }
  void StartPeer(std::unique_ptr<Server>& server, const std::string& name,
                 const std::vector<grpc::Service*>& services) {
    auto started = Server::Start({.listen = Target(name), .threads_max = 32}, services);
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
  }

  GatewayConfig Config() const {
    GatewayConfig config;
    config.http.listen = "127.0.0.1:0";
    config.http.connections_per_address_max = connections_per_address_max_;
    config.tenancy_target = Target("tenancy");
    config.catalog_target = Target("catalog");
    config.billing_target = Target("billing");
    config.scheduling_target = Target("scheduling");
    config.journal_dir = (directory_ / "journal").string();
    config.journal_slots = 64;
    config.jurisdiction = "ke";
    config.serving.wake_wait_ms_max = wake_wait_ms_;
    config.serving.waiting_per_instance_max = waiting_per_instance_max_;
    config.serving.keep_alive_comment_ms = 50;
    config.serving.reserve_timeout_ms = 300;
    config.rate_limits = rate_limits_;
    adjust_(config);
    return config;
  }
  void StartGateway() {
    auto started = Gateway::Start(Config(), kPepper);
    ASSERT_TRUE(started) << started.error().message;
    gateway_ = *std::move(started);
    ASSERT_TRUE(Eventually([&] { return Fetch(port(), "GET", "/readyz", "").status == 200; }));
  }
  // With what the test has changed in its settings.
  void RestartGateway() {
    gateway_->Stop();
    gateway_.reset();
    StartGateway();
  }
  int port() const { return gateway_->port(); }
  HttpClient::Response Metrics() const { return Fetch(gateway_->operators_port(), "GET", "/metrics", ""); }

  HttpClient::Response Chat(const std::string& more = "", const std::string& model = "assistant") {
    return Fetch(port(), "POST", "/v1/chat/completions", key_, ChatBody(more, model));
  }
  static std::string ChatBody(const std::string& more = "", const std::string& model = "assistant") {
    return R"({"model":")" + model + R"(","messages":[{"role":"user","content":"Habari?"}])" + more + "}";
  }
  // The JSON events of a stream, without [DONE] and comments.
  static std::vector<nlohmann::json> Events(const std::string& body) {
    std::vector<nlohmann::json> out;
    for (std::size_t at = 0; (at = body.find("data: {", at)) != std::string::npos; ++at) {
      out.push_back(nlohmann::json::parse(body.substr(at + 6, body.find("\n\n", at) - at - 6)));
    }
    return out;
  }
  static std::string ErrorCode(const HttpClient::Response& response) {
    const auto json = nlohmann::json::parse(response.body, nullptr, false);
    if (!json.is_object() || !json.contains("error") || json["error"].size() != 4)
      return "no error object: " + response.body;
    return json["error"]["code"].get<std::string>();
  }

  TempDir directory_;
  std::function<void(GatewayConfig&)> adjust_ = [](GatewayConfig&) {};  // then RestartGateway()
  int wake_wait_ms_ = 2000;
  int waiting_per_instance_max_ = 64;
  int connections_per_address_max_ = 100;
  access::AdmissionLimits rate_limits_;
  std::string key_, inference_key_, portal_key_;
  TenancyPeer tenancy_;
  ProjectPeer projects_;
  IdentityPeer identities_;
  RoutePeer routes_;
  BillingPeer billing_;
  WorkerPeer worker_;
  std::unique_ptr<Server> tenancy_server_, scheduling_server_, billing_server_, worker_server_;
  std::unique_ptr<Gateway> gateway_;
};

}  // namespace allod::gateway
