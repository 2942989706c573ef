#include "cli/supervisor/node_settings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace allod::cli::supervisor::node_settings_test {
namespace {

using nlohmann::json;

std::string Source(const std::string& file) {
  const char* root = std::getenv("ALLOD_SOURCE_DIR");
  EXPECT_NE(root, nullptr) << "run this through ctest";
  std::ifstream in(std::string(root ? root : ".") + "/" + file);
  std::stringstream out;
  out << in.rdbuf();
  EXPECT_FALSE(out.str().empty()) << file;
  return out.str();
}

TEST(NodeSettings, WhatAnOperatorWroteStaysWhateverItIs) {
  json last = {{"node", "local"},
               {"memory_bytes", 1 << 30},
               {"cpu_millis", 1500},
               {"sandbox", "strict"},
               {"zygote_idle_seconds", 30},
               {"spare_worker_seconds", 0},
               {"first_uid", 2'000'000},
               {"gate", {{"cores", 1}, {"turn_ms_max", 10}, {"chunk_tokens_max", 64}}},
               {"pool", {{"sequences", 4}, {"context_tokens", 1024}, {"kv_tokens", 2048}}}};
  const auto kept = MergeNodeSettings(last, {});
  ASSERT_TRUE(kept);
  last.erase("node");
  EXPECT_EQ(*kept, last);
}

TEST(NodeSettings, WhatIsGivenCountsAndZeroIsAValue) {
  const auto merged =
      MergeNodeSettings({{"spare_worker_seconds", 60}, {"gate", {{"cores", 2}}}},
                        {{"/spare_worker_seconds", 0}, {"/gate/turn_ms_max", 5}, {"/pool/sequences", 8}});
  ASSERT_TRUE(merged);
  EXPECT_EQ(
      *merged,
      (json{{"spare_worker_seconds", 0}, {"gate", {{"cores", 2}, {"turn_ms_max", 5}}}, {"pool", {{"sequences", 8}}}}));
  EXPECT_EQ(*MergeNodeSettings(json(), {}), json::object()) << "the first time";
}

TEST(NodeSettings, APoolThatHoldsNoRequestIsRefusedBeforeAnythingStarts) {
  EXPECT_TRUE(MergeNodeSettings({}, {{"/pool/kv_tokens", 4096}}));
  for (const GivenNodeSettings& given :
       {GivenNodeSettings{{"/pool/kv_tokens", 4095}},
        GivenNodeSettings{{"/pool/kv_tokens", 8192}, {"/pool/context_tokens", 8193}}}) {
    const auto merged = MergeNodeSettings({}, given);
    ASSERT_FALSE(merged);
    EXPECT_EQ(merged.error().reason, "INVALID_SETTING");
  }
}

TEST(NodeSettings, ThePlannerIsToldWhatItKnows) {
  EXPECT_EQ(PoolForPlanner({{"pool", {{"sequences", 4}, {"context_tokens", 1024}, {"kv_tokens", 2048}}}}),
            (json{{"sequences", 4}, {"context_tokens", 1024}}));
  EXPECT_TRUE(PoolForPlanner(json::object()).empty());
}

// Every setting that the node reads beside what the installation decides has a flag, and docs/pool.md names it.
TEST(NodeSettings, NothingThatTheNodeReadsIsMissing) {
  std::set<std::string> fields;
  const std::string manual = Source("docs/pool.md");
  for (const NodeSetting& setting : NodeSettings()) {
    fields.insert(std::string(setting.field).substr(std::string(setting.field).rfind('/') + 1));
    EXPECT_NE(manual.find("`" + std::string(setting.flag) + "`"), std::string::npos) << setting.flag;
  }
  const std::string source = Source("inference/node/config.cc");
  const std::regex read(R"re(\b[a-z]+\.Optional\("([a-z_]+)")re");
  int found = 0;
  for (std::sregex_iterator at(source.begin(), source.end(), read); at != std::sregex_iterator(); ++at, ++found) {
    EXPECT_TRUE(fields.contains((*at)[1])) << (*at)[1] << " would be lost at the next `allod up`";
  }
  EXPECT_EQ(found, std::ssize(fields));
}

}  // namespace
}  // namespace allod::cli::supervisor::node_settings_test
