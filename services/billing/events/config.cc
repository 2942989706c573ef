#include "services/billing/events/config.h"

#include <utility>

namespace allod::billing::events {
namespace {

constexpr std::size_t kSecretCharsMin = 32;
constexpr std::size_t kRangesMax = 64;

}  // namespace

void ReadConfig(ConfigReader& reader, Config& config) {
  reader.Optional("event_secret_file", config.secret_file);
  reader.Optional("event_ca_file", config.ca_file);
  reader.Optional("event_file", config.file);
  if (!config.file.empty() && !config.file.starts_with('/')) {
    reader.Complain("event_file: must be an absolute path");
  }
  reader.Optional("event_file_bytes_max", config.file_bytes_max);
  if (config.file_bytes_max < 1 << 20) reader.Complain("event_file_bytes_max: must be at least 1048576");
  reader.Optional("event_files_kept", config.files_kept);
  if (config.files_kept < 0 || config.files_kept > 1000) reader.Complain("event_files_kept: must be 0 to 1000");
  reader.Optional("event_redis_url", config.redis_url);
  reader.Optional("event_redis_stream", config.redis_stream);
  std::vector<std::string> texts;
  reader.Optional("event_networks_allowed", texts);
  if (auto ranges = ParseIpRanges("event_networks_allowed", texts, kRangesMax)) {
    config.networks_allowed = *std::move(ranges);
  } else {
    reader.Complain(ranges.error().message);
  }
}

Result<SinkSecrets> LoadSecrets(const Config& config) {
  if (!config.sends()) return SinkSecrets(std::string());
  ALLOD_TRY(std::string secret, ReadSecretFile(config.secret_file));
  if (secret.size() < kSecretCharsMin) {
    return FailedPrecondition("WEAK_SECRET", config.secret_file + ": write at least 32 random characters into it");
  }
  return SinkSecrets(std::move(secret));
}

}  // namespace allod::billing::events
