#include "services/scheduling/config.h"

#include <gtest/gtest.h>

namespace allod::scheduling::config_test {
namespace {

nlohmann::json Good() {
  return {{"listen", "unix:/run/scheduling.sock"},
          {"database", {{"url", "dbname=allod"}}},
          {"tenancy_target", "unix:/t"},
          {"catalog_target", "unix:/c"},
          {"billing_target", "unix:/b"},
          {"regions", {{{"name", "ke-1"}, {"jurisdiction", "ke"}}, {{"name", "tz-1"}, {"jurisdiction", "tz"}}}}};
}

std::string Complaint(const nlohmann::json& json) {
  const auto loaded = LoadConfig({"scheduling.json", json});
  return loaded ? "" : loaded.error().message;
}

TEST(LoadConfig, ReadsRegionsAndDefaults) {
  const auto config = LoadConfig({"scheduling.json", Good()});
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->regions.size(), 2u);
  EXPECT_EQ(config->regions[0], (scheduler::Region{"ke-1", "ke"}));
  EXPECT_EQ(config->node_lost_after_ms, 6000);
}

TEST(LoadConfig, RefusesTheSameRegionTwice) {
  auto json = Good();
  json["regions"][1]["name"] = "ke-1";
  EXPECT_NE(Complaint(json).find("regions[1].name: ke-1 is there twice"), std::string::npos) << Complaint(json);
}

TEST(LoadConfig, RefusesCodesThatAreNoCountries) {
  auto json = Good();
  json["regions"][0]["jurisdiction"] = "KE";
  EXPECT_NE(Complaint(json).find("regions[0].jurisdiction"), std::string::npos) << Complaint(json);
}

TEST(LoadConfig, RefusesUnknownFieldsOfARegion) {
  auto json = Good();
  json["regions"][0]["colour"] = "red";
  EXPECT_NE(Complaint(json).find("regions[0]: give exactly"), std::string::npos) << Complaint(json);
}

TEST(LoadConfig, RefusesAnEmptyListOfRegions) {
  auto json = Good();
  json["regions"] = nlohmann::json::array();
  EXPECT_NE(Complaint(json).find("regions: give a list"), std::string::npos);
  json["regions"] = "ke-1";
  EXPECT_NE(Complaint(json).find("regions: give a list"), std::string::npos);
}

TEST(LoadConfig, RefusesAddressesThatAnybodyCouldReach) {
  for (const char* field : {"listen", "tenancy_target", "catalog_target", "billing_target"}) {
    auto json = Good();
    json[field] = "0.0.0.0:7000";
    EXPECT_NE(Complaint(json).find(std::string(field) + ": \"0.0.0.0:7000\" is no Unix socket: until mutual TLS"),
              std::string::npos)
        << Complaint(json);
  }
}

TEST(LoadConfig, RefusesGracesThatMakeNoSense) {
  auto json = Good();
  json["replace_after_ms"] = 10;
  EXPECT_NE(Complaint(json).find("replace_after_ms"), std::string::npos);
}

TEST(LoadConfig, ReadsThePool) {
  auto json = Good();
  json["pool"] = {{"sequences", 8}};
  const auto config = LoadConfig({"scheduling.json", json});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->pool, (scheduler::PoolShape{8, 4096}));
}

TEST(LoadConfig, RefusesPoolsOutOfRange) {
  auto json = Good();
  json["pool"] = {{"sequences", 0}, {"colour", 1}};
  EXPECT_NE(Complaint(json).find("pool.sequences: must be 1 to 64"), std::string::npos) << Complaint(json);
  EXPECT_NE(Complaint(json).find("pool.colour: is not known"), std::string::npos) << Complaint(json);
}

TEST(LoadConfig, SaysWhereTheWeightsOfBeforeAreNow) {
  auto json = Good();
  json["weights"] = {{"ke", 2}};
  EXPECT_NE(Complaint(json).find("weights: they are fields of tenants now; take this one out, and say for each tenant "
                                 "`allod tenants update NAME --weight N`"),
            std::string::npos)
      << Complaint(json);
}

}  // namespace
}  // namespace allod::scheduling::config_test
