#include "services/scheduling/config.h"

#include <fmt/format.h>

#include <set>

#include "services/common/country_code.h"
#include "services/common/ids.h"

namespace allod::scheduling {
namespace {

constexpr std::size_t kConfiguredRegionsMax = 1000;

std::vector<scheduler::Region> ParseRegions(const nlohmann::json& json, ConfigReader& reader) {
  std::vector<scheduler::Region> regions;
  if (!json.is_array() || json.empty() || json.size() > kConfiguredRegionsMax) {
    reader.Complain(
        fmt::format("regions: give a list of 1 to {} objects {{name, jurisdiction}}", kConfiguredRegionsMax));
    return regions;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const nlohmann::json& item = json[i];
    const std::string at = fmt::format("regions[{}]", i);
    if (!item.is_object() || item.size() != 2 || !item.contains("name") || !item.contains("jurisdiction") ||
        !item["name"].is_string() || !item["jurisdiction"].is_string()) {
      reader.Complain(at + ": give exactly the strings name and jurisdiction");
      continue;
    }
    scheduler::Region region{item["name"], item["jurisdiction"]};
    if (const auto checked = CheckId(at + ".name", region.id); !checked) reader.Complain(checked.error().message);
    if (const auto checked = CheckCountryCode(at + ".jurisdiction", region.jurisdiction); !checked) {
      reader.Complain(checked.error().message);
    }
    if (!names.insert(region.id).second) reader.Complain(fmt::format("{}.name: {} is there twice", at, region.id));
    regions.push_back(std::move(region));
  }
  return regions;
}

void ParsePool(const nlohmann::json& json, ConfigReader& reader, scheduler::PoolShape& pool) {
  if (!json.is_object()) return reader.Complain("pool: give an object {sequences, context_tokens}");
  for (const auto& [field, value] : json.items()) {
    const bool sequences = field == "sequences";
    if (!sequences && field != "context_tokens") {
      reader.Complain(fmt::format("pool.{}: is not known", field));
    } else if (!value.is_number_integer() || value < 1 || value > (sequences ? 64 : 1'048'576)) {
      reader.Complain(fmt::format("pool.{}: must be 1 to {}", field, sequences ? 64 : 1'048'576));
    } else {
      value.get_to(sequences ? pool.sequences : pool.context_tokens);
    }
  }
}

}  // namespace

Result<Config> LoadConfig(const ConfigFile& file) {
  Config config;
  ConfigReader reader(file);
  nlohmann::json regions;
  ReadServiceConfig(reader, config);
  reader.Address("tenancy_target", config.tenancy_target);
  reader.Address("catalog_target", config.catalog_target);
  reader.Address("billing_target", config.billing_target);
  reader.Required("regions", regions);
  reader.Optional("node_lost_after_ms", config.node_lost_after_ms);
  reader.Optional("replace_after_ms", config.replace_after_ms);
  reader.Optional("replica_cpu_millis", config.replica_cpu_millis);
  nlohmann::json pool = nlohmann::json::object();
  nlohmann::json weights;
  reader.Optional("pool", pool);
  reader.Optional("weights", weights);
  ParsePool(pool, reader, config.pool);
  if (!weights.is_null()) {
    reader.Complain(
        "weights: they are fields of tenants now; take this one out, and say for each tenant "
        "`allod tenants update NAME --weight N`, or `weight` in its manifest");
  }
  config.regions = ParseRegions(regions, reader);
  if (config.node_lost_after_ms < 1000) reader.Complain("node_lost_after_ms: at least 1000");
  if (config.replace_after_ms < config.node_lost_after_ms)
    reader.Complain("replace_after_ms: at least node_lost_after_ms");
  if (config.replica_cpu_millis < 1) reader.Complain("replica_cpu_millis: at least 1");
  return reader.Finish(std::move(config));
}

}  // namespace allod::scheduling
