#include "services/common/pg/service_config.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace allod {

void ReadServiceConfig(ConfigReader& reader, ServiceConfig& config) {
  nlohmann::json database = nlohmann::json::object();
  reader.Address("listen", config.listen);
  reader.Optional("peer_uids", config.peer_uids);
  reader.Required("database", database);
  if (auto parsed = ParsePgConfig(database)) {
    config.database = *std::move(parsed);
  } else {
    reader.Complain("database: " + parsed.error().message);
  }
}

}  // namespace allod
