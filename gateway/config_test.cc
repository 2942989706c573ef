#include "gateway/config.h"

#include <gtest/gtest.h>

namespace allod::gateway::config_test {
namespace {

nlohmann::json Complete() {
  return {{"http_listen", "127.0.0.1:8080"},  {"tenancy_target", "unix:/t"},    {"catalog_target", "unix:/c"},
          {"billing_target", "unix:/b"},      {"scheduling_target", "unix:/s"}, {"redis_url", "unix:/r"},
          {"api_key_pepper_file", "/pepper"}, {"journal_dir", "/journal"},      {"jurisdiction", "ke"}};
}

TEST(GatewayConfig, DefaultsAreTheDocumentedOnes) {
  const auto config = LoadGatewayConfig({"gateway.json", Complete()});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->http.body_bytes_max, 1U << 20);
  EXPECT_EQ(config->http.connections_max, 8192);
  EXPECT_EQ(config->http.request_timeout_ms, 300'000);
  EXPECT_EQ(config->rate_limits.key.requests_per_minute, 600);
  EXPECT_EQ(config->rate_limits.key.concurrency, 64);
  EXPECT_EQ(config->rate_limits.tenant.requests_per_minute, 60'000);
  EXPECT_EQ(config->operators_listen, "127.0.0.1:0") << "only this machine";
  EXPECT_EQ(config->body_bytes_in_flight_max, 64U << 20);
  EXPECT_TRUE(config->cors_allowed_origins.empty());
  EXPECT_TRUE(config->http.trusted_proxies.empty()) << "nobody's word on where a request comes from is taken";
  EXPECT_EQ(config->key_use_report_ms, 60'000);
  EXPECT_TRUE(config->issuer_networks_allowed.empty()) << "the public internet only";
  EXPECT_EQ(config->issuer_keys.age_max, std::chrono::hours(1));
}

TEST(GatewayConfig, StandsSomewhere) {
  nlohmann::json json = Complete();
  json["jurisdiction"] = "";
  const auto config = LoadGatewayConfig({"gateway.json", json});
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().message.find("jurisdiction"), std::string::npos) << config.error().message;
}

TEST(GatewayConfig, EveryComplaintIsNamed) {
  nlohmann::json json = Complete();
  json.erase("journal_dir");
  json["jurisdiction"] = "kenya";
  json["requests_per_minute"] = 0;
  json["conections_max"] = 5;
  json["body_bytes_max"] = 1 << 20;
  json["body_bytes_in_flight_max"] = (8 << 20) - 1;
  json["cors_allowed_origins"] = {"https://a.example/app"};
  json["trusted_proxies"] = {"10.0.0.1", "10.0.0.1/8"};
  json["issuer_networks_allowed"] = {"10.0.0.0/8", "intranet"};
  json["issuer_keys_age_ms_max"] = 1000;
  const auto config = LoadGatewayConfig({"gateway.json", json});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().reason, "INVALID_CONFIG");
  for (const char* named :
       {"journal_dir", "requests_per_minute", "conections_max", "body_bytes_in_flight_max", "cors_allowed_origins",
        "issuer_networks_allowed[1]: \"intranet\"", "issuer_keys_age_ms_max",
        "trusted_proxies[1]: \"10.0.0.1/8\" has bits set behind its prefix; the range around it is 10.0.0.0/8"}) {
    EXPECT_NE(config.error().message.find(named), std::string::npos) << config.error().message;
  }
}

TEST(GatewayConfig, AddressesThatAnybodyCouldReachAreRefused) {
  for (const char* field : {"tenancy_target", "catalog_target", "billing_target", "scheduling_target", "grpc_listen"}) {
    nlohmann::json json = Complete();
    json[field] = "127.0.0.1:7000";
    const auto config = LoadGatewayConfig({"gateway.json", json});
    ASSERT_FALSE(config) << field;
    EXPECT_NE(config.error().message.find(std::string(field) + ": \"127.0.0.1:7000\" is no Unix socket"),
              std::string::npos)
        << config.error().message;
  }
}

}  // namespace
}  // namespace allod::gateway::config_test
