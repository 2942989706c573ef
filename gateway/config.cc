// g++ 12 sees overflows in short strings that it builds at compile time (GCC bug 105651).
#pragma GCC diagnostic ignored "-Warray-bounds"
#pragma GCC diagnostic ignored "-Wstringop-overread"

#include "gateway/config.h"

#include <fmt/format.h>

#include "gateway/http/cors.h"
#include "services/common/country_code.h"
#include "services/common/private_url.h"

namespace allod::gateway {
namespace {

// So that the largest body fits into the share of one key.
constexpr std::size_t kBodiesInFlightMin = 8;

constexpr std::size_t kRangesMax = 64;

template <typename T>
void Bounded(ConfigReader& reader, const char* field, T& value, T min, T max) {
  reader.Optional(field, value);
  if (value < min || value > max) reader.Complain(fmt::format("{} must be between {} and {}", field, min, max));
}

void ReadHttp(ConfigReader& reader, http::ServerConfig& http) {
  reader.Required("http_listen", http.listen);
  Bounded(reader, "http_threads", http.threads, 1, 64);
  Bounded(reader, "connections_max", http.connections_max, 1, 1'000'000);
  Bounded(reader, "connections_per_address_max", http.connections_per_address_max, 1, 1'000'000);
  Bounded<std::size_t>(reader, "header_bytes_max", http.header_bytes_max, 1024, 1 << 20);
  Bounded<std::size_t>(reader, "body_bytes_max", http.body_bytes_max, 1024, 64 << 20);
  Bounded(reader, "send_buffer_bytes", http.send_buffer_bytes, 2048, 16 << 20);
  Bounded(reader, "header_timeout_ms", http.header_timeout_ms, 100, 600'000);
  Bounded(reader, "body_timeout_ms", http.body_timeout_ms, 100, 600'000);
  Bounded(reader, "idle_timeout_ms", http.idle_timeout_ms, 100, 3'600'000);
  Bounded(reader, "request_timeout_ms", http.request_timeout_ms, 100, 3'600'000);
}

void BoundedMs(ConfigReader& reader, const char* field, std::chrono::milliseconds& value, std::int64_t min,
               std::int64_t max) {
  std::int64_t ms = value.count();
  Bounded<std::int64_t>(reader, field, ms, min, max);
  value = std::chrono::milliseconds(ms);
}

void ReadRanges(ConfigReader& reader, const char* field, std::vector<IpRange>& value) {
  std::vector<std::string> texts;
  reader.Optional(field, texts);
  if (auto ranges = ParseIpRanges(field, texts, kRangesMax)) {
    value = *std::move(ranges);
  } else {
    reader.Complain(ranges.error().message);
  }
}

void ReadFederation(ConfigReader& reader, GatewayConfig& out) {
  ReadRanges(reader, "issuer_networks_allowed", out.issuer_networks_allowed);
  reader.Optional("issuer_ca_file", out.issuer_ca_file);
  constexpr std::int64_t kDayMs = 86'400'000;
  BoundedMs(reader, "issuer_keys_fresh_ms", out.issuer_keys.fresh, 100, kDayMs);
  BoundedMs(reader, "issuer_keys_age_ms_max", out.issuer_keys.age_max, 100, kDayMs);
  BoundedMs(reader, "issuer_keys_interval_ms_min", out.issuer_keys.interval_min, 100, kDayMs);
  if (out.issuer_keys.age_max < out.issuer_keys.fresh) {
    reader.Complain("issuer_keys_age_ms_max must be at least issuer_keys_fresh_ms");
  }
  Bounded(reader, "exchanges_per_minute_of_address", out.exchanges_per_minute_of_address, 1, 1'000'000);
  Bounded(reader, "exchanges_per_minute_of_tenant", out.exchanges_per_minute_of_tenant, 1, 1'000'000);
}

void ReadSignIn(ConfigReader& reader, GatewayConfig& out) {
  reader.Optional("public_url", out.public_url);
  if (!out.public_url.empty() && !IsPrivateOrigin(out.public_url)) {
    reader.Complain(
        "public_url must be https://HOST or https://HOST:PORT in lower case, without a path; http for "
        "127.0.0.1, [::1] and localhost only");
  }
  int idle_minutes = static_cast<int>(out.session_times.idle / std::chrono::minutes(1));
  int hours = static_cast<int>(out.session_times.absolute / std::chrono::hours(1));
  Bounded(reader, "session_idle_minutes", idle_minutes, 1, 1440);
  Bounded(reader, "session_hours_max", hours, 1, 24);
  out.session_times = {std::chrono::minutes(idle_minutes), std::chrono::hours(hours)};
}

}  // namespace

Result<GatewayConfig> LoadGatewayConfig(const ConfigFile& file) {
  GatewayConfig out;
  ConfigReader reader(file);
  ReadHttp(reader, out.http);
  ReadRanges(reader, "trusted_proxies", out.http.trusted_proxies);
  reader.Optional("operators_listen", out.operators_listen);
  Bounded<std::size_t>(reader, "body_bytes_in_flight_max", out.body_bytes_in_flight_max, 64 << 10, 16ULL << 30);
  if (out.body_bytes_in_flight_max / kBodiesInFlightMin < out.http.body_bytes_max) {
    reader.Complain(
        fmt::format("body_bytes_in_flight_max must be at least {} times body_bytes_max: a key may use a "
                    "quarter, and a compressed body counts twice",
                    kBodiesInFlightMin));
  }
  reader.Optional("cors_allowed_origins", out.cors_allowed_origins);
  if (const Status origins = http::Cors::Check(out.cors_allowed_origins); !origins) {
    reader.Complain(fmt::format("cors_allowed_origins: {}", origins.error().message));
  }
  reader.Address("tenancy_target", out.tenancy_target);
  reader.Address("catalog_target", out.catalog_target);
  reader.Address("billing_target", out.billing_target);
  reader.Address("scheduling_target", out.scheduling_target);
  reader.Optional("grpc_listen", out.grpc_listen);
  if (!out.grpc_listen.empty()) reader.Address("grpc_listen", out.grpc_listen);
  reader.Optional("support_grpc_listen", out.support_grpc_listen);
  if (!out.support_grpc_listen.empty()) reader.Address("support_grpc_listen", out.support_grpc_listen);
  reader.Optional("auditor_grpc_listen", out.auditor_grpc_listen);
  if (!out.auditor_grpc_listen.empty()) reader.Address("auditor_grpc_listen", out.auditor_grpc_listen);
  reader.Optional("redis_url", out.redis_url);
  reader.Required("api_key_pepper_file", out.api_key_pepper_file);
  reader.Required("journal_dir", out.journal_dir);
  reader.Required("jurisdiction", out.jurisdiction);
  if (const Status is_one = CheckCountryCode("jurisdiction", out.jurisdiction);
      !is_one && file.json.contains("jurisdiction")) {
    reader.Complain(is_one.error().message);
  }
  Bounded(reader, "journal_slots", out.journal_slots, 16, 1 << 20);
  access::RateLimits& key = out.rate_limits.key;
  access::RateLimits& tenant = out.rate_limits.tenant;
  Bounded<std::int64_t>(reader, "requests_per_minute", key.requests_per_minute, 1, 60'000'000);
  Bounded<std::int64_t>(reader, "tokens_per_minute", key.tokens_per_minute, 1, 60'000'000'000);
  Bounded(reader, "concurrency_per_key", key.concurrency, 1, 100'000);
  Bounded<std::int64_t>(reader, "requests_per_minute_per_tenant", tenant.requests_per_minute, 1, 60'000'000);
  Bounded<std::int64_t>(reader, "tokens_per_minute_per_tenant", tenant.tokens_per_minute, 1, 60'000'000'000);
  Bounded(reader, "concurrency_per_tenant", tenant.concurrency, 1, 1'000'000);
  Bounded(reader, "gateways", out.rate_limits.gateways, 1, 1000);
  Bounded(reader, "wake_wait_ms_max", out.serving.wake_wait_ms_max, 0, 600'000);
  Bounded(reader, "waiting_per_instance_max", out.serving.waiting_per_instance_max, 0, 1'000'000);
  Bounded(reader, "keep_alive_comment_ms", out.serving.keep_alive_comment_ms, 10, 600'000);
  Bounded(reader, "reserve_timeout_ms", out.serving.reserve_timeout_ms, 100, 60'000);
  Bounded(reader, "key_use_report_ms", out.key_use_report_ms, 1000, 3'600'000);
  ReadFederation(reader, out);
  ReadSignIn(reader, out);
  Bounded(reader, "portal_timeout_ms", out.portal_timeout_ms, 100, 600'000);
  return reader.Finish(std::move(out));
}

}  // namespace allod::gateway
