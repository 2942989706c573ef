#include "inference/node/config.h"

#include <gtest/gtest.h>

#include <tuple>

namespace allod::inference::node::config_test {
namespace {

nlohmann::json GoodConfig() {
  return {{"node", "local"},
          {"region", "ke-1"},
          {"jurisdiction", "ke"},
          {"memory_bytes", 0},
          {"cpu_millis", 0},
          {"scheduling_target", "unix:/a"},
          {"catalog_target", "unix:/b"},
          {"billing_target", "unix:/c"},
          {"artifact_dir", "/s/a"},
          {"run_dir", "/s/run"},
          {"usage_dir", "/s/usage"},
          {"worker_executable", "/bin/sh"},
          {"compress_executable", "/bin/sh"},
          {"evaluation_text", "/bin/sh"}};
}

TEST(NodeConfig, DetectsWhatTheMachineHas) {
  const ConfigFile file{"x.json", GoodConfig()};
  const auto config = LoadConfig(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_GT(config->memory_bytes, 64 << 20);
  EXPECT_GE(config->cpu_millis, 100);
  EXPECT_GE(config->threads(), 1);
  EXPECT_EQ(config->node_name(), "nodes/local");
}

TEST(NodeConfig, RefusesUnknownFieldsRelativePathsAndLongSocketDirectories) {
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, nlohmann::json>>{{"worker_executible", "/bin/sh"},
                                                           {"artifact_dir", "relative"},
                                                           {"run_dir", "/" + std::string(90, 'x')},
                                                           {"node", "Not An Id"},
                                                           {"jurisdiction", "KE"},
                                                           {"jurisdiction", ""},
                                                           {"usage_dir", "relative"},
                                                           {"sandbox", "none"},
                                                           {"zygote_idle_seconds", -1},
                                                           {"spare_worker_seconds", -1},
                                                           {"gate", 7},
                                                           {"pool", "large"},
                                                           {"scheduling_target", "10.0.0.1:5000"},
                                                           {"catalog_target", "dns:///catalog"},
                                                           {"billing_target", "unix:relative.sock"},
                                                           {"cpu_millis", -1},
                                                           {"worker_executable", "/no/such/program"}}) {
    ConfigFile file{"x.json", GoodConfig()};
    file.json[field] = value;
    const auto config = LoadConfig(file);
    ASSERT_FALSE(config) << field;
    EXPECT_EQ(config.error().reason, "INVALID_CONFIG");
    EXPECT_NE(config.error().message.find(field), std::string::npos) << config.error().message;
  }
}

TEST(NodeConfig, HasWhatGateAndPoolNeed) {
  ConfigFile file{"x.json", GoodConfig()};
  auto config = LoadConfig(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->sandbox, "auto");
  EXPECT_EQ(config->worker_executables.at(pool::Runtime::kLanguage), "/bin/sh");
  EXPECT_EQ(config->gate.turn_ms_max, 25);
  EXPECT_EQ(config->pool.sequences, 16);
  EXPECT_EQ(config->pool.kv_tokens, 16384);
  EXPECT_EQ(config->zygote_idle_seconds, 600);
  file.json["sandbox"] = "strict";
  file.json["gate"] = {{"cores", 3}, {"turn_ms_max", 10}, {"chunk_tokens_max", 64}};
  file.json["pool"] = {{"sequences", 4}, {"context_tokens", 1024}};
  config = LoadConfig(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->gate.cores, 3);
  EXPECT_EQ(config->gate.turn_ms_max, 10);
  EXPECT_EQ(config->gate.chunk_tokens_max, 64);
  EXPECT_EQ(config->pool.context_tokens, 1024);
  EXPECT_EQ(config->pool.kv_tokens, 4096);  // four times the context when it is not said
  for (const auto& [group, field, value] :
       std::vector<std::tuple<std::string, std::string, nlohmann::json>>{{"gate", "core", 1},
                                                                         {"gate", "cores", -1},
                                                                         {"gate", "turn_ms_max", 0},
                                                                         {"pool", "sequences", 0},
                                                                         {"pool", "sequences", 1000},
                                                                         {"pool", "context_tokens", 1},
                                                                         {"pool", "kv_tokens", 100}}) {
    ConfigFile bad{"x.json", GoodConfig()};
    bad.json[group] = {{field, value}};
    const auto refused = LoadConfig(bad);
    ASSERT_FALSE(refused) << group << "." << field;
    EXPECT_NE(refused.error().message.find(group), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find(field), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace allod::inference::node::config_test
