// The configuration of allod-gateway.
#pragma once

#include <string>
#include <vector>

#include "gateway/access/admission.h"
#include "gateway/federation/issuer_keys.h"
#include "gateway/http/server_config.h"
#include "gateway/serving/limits.h"
#include "gateway/sign_in/session_times.h"
#include "services/common/config.h"
#include "services/common/ip_range.h"
#include "services/common/result.h"

namespace allod::gateway {

struct GatewayConfig {
  http::ServerConfig http;
  // Where /metrics is served, which tells of all tenants: whoever reaches it reads that.
  std::string operators_listen = "127.0.0.1:0";
  // Of all request bodies that are still arriving.
  std::size_t body_bytes_in_flight_max = 64 << 20;
  // Web pages that may call the API; see cors.h. None unless named.
  std::vector<std::string> cors_allowed_origins;
  std::string tenancy_target;
  std::string catalog_target;
  std::string billing_target;
  std::string scheduling_target;
  std::string grpc_listen;  // the operators' gRPC address, e.g. "unix:/run/allod/grpc.sock"; empty: none
  // Addresses at which callers are operators of one role only, for whoever can open the socket; empty: none.
  std::string support_grpc_listen;
  std::string auditor_grpc_listen;
  std::string redis_url;  // empty: local rate limits only
  std::string api_key_pepper_file;
  std::string journal_dir;
  // Where this gateway stands: ISO 3166-1 alpha-2, lower case. It takes no prompt that may not be there.
  std::string jurisdiction;
  int journal_slots = 8192;
  access::AdmissionLimits rate_limits;
  // Of tokens that workloads exchange.
  std::vector<IpRange> issuer_networks_allowed;  // beside the public internet, e.g. "10.0.0.0/8"
  std::string issuer_ca_file;                    // of authorities for issuers instead of the system's; empty: those
  federation::KeysLimits issuer_keys;
  int exchanges_per_minute_of_address = 120;
  int exchanges_per_minute_of_tenant = 600;
  // What browsers know this gateway as: "https://allod.example", where they sign in; http on this machine only. Empty:
  // no browser does.
  std::string public_url;
  sign_in::SessionTimes session_times;
  serving::Limits serving;
  int key_use_report_ms = 60'000;  // how often tenancy is told which keys were used
  int portal_timeout_ms = 35'000;  // WaitOperation waits up to 30 s
};

// INVALID_ARGUMENT / INVALID_CONFIG names every complaint.
Result<GatewayConfig> LoadGatewayConfig(const ConfigFile& file);

}  // namespace allod::gateway
