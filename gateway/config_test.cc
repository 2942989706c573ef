#include "gateway/config.h"

#include <gtest/gtest.h>

namespace allod::gateway {
namespace {

nlohmann::json Complete() {
  return {{"http_listen", "127.0.0.1:8080"},  {"tenancy_target", "unix:/t"},    {"catalog_target", "unix:/c"},
          {"billing_target", "unix:/b"},      {"scheduling_target", "unix:/s"}, {"redis_url", "unix:/r"},
          {"api_key_pepper_file", "/pepper"}, {"journal_dir", "/journal"}};
}

TEST(GatewayConfig, DefaultsAreTheDocumentedOnes) {
  const auto config = LoadGatewayConfig({"gateway.json", Complete()});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->http.body_bytes_max, 1U << 20);
  EXPECT_EQ(config->http.connections_max, 8192);
  EXPECT_EQ(config->http.request_timeout_ms, 300'000);
  EXPECT_EQ(config->rate_limits.requests_per_minute, 600);
  EXPECT_EQ(config->rate_limits.concurrency, 64);
}

TEST(GatewayConfig, EveryComplaintIsNamed) {
  nlohmann::json json = Complete();
  json.erase("journal_dir");
  json["requests_per_minute"] = 0;
  json["conections_max"] = 5;
  const auto config = LoadGatewayConfig({"gateway.json", json});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().reason, "INVALID_CONFIG");
  for (const char* named : {"journal_dir", "requests_per_minute", "conections_max"}) {
    EXPECT_NE(config.error().message.find(named), std::string::npos) << config.error().message;
  }
}

}  // namespace
}  // namespace allod::gateway
