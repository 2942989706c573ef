// What billing's configuration says of events.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/billing/events/signature.h"
#include "services/common/config.h"
#include "services/common/ip_range.h"

namespace allod::billing::events {

struct Config {
  std::string secret_file;                // empty: no events are sent
  std::vector<IpRange> networks_allowed;  // beside the public internet
  std::string ca_file;
  std::string file;  // of the events of all tenants; empty: none
  std::int64_t file_bytes_max = 64 << 20;
  int files_kept = 8;
  std::string redis_url;  // likewise
  std::string redis_stream = "allod:events";

  bool sends() const { return !secret_file.empty(); }
};

// Complaints stay with the reader.
void ReadConfig(ConfigReader& reader, Config& config);

// FAILED_PRECONDITION / WEAK_SECRET, or errors of ReadSecretFile. Without a file: none that anything is signed with.
Result<SinkSecrets> LoadSecrets(const Config& config);

}  // namespace allod::billing::events
