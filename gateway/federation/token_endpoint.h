// `POST /oauth/token`: a workload's own token for one of ours (RFC 8693). Thread-safe.
//
// Strangers ask here. Before anything is read a request counts against the limit of its address, which bounds what
// strangers cost; against that of the tenant only once a rule of the tenant takes its verified token, so that nobody
// else can use it up. An issuer's keys are waited for kWaitForKeys at most. Every refusal is in the log with its
// reason, without the token.
#pragma once

#include <chrono>
#include <string>

#include "gateway/access/rate_limiter.h"
#include "gateway/federation/exchange.h"
#include "gateway/federation/issuer_keys.h"
#include "gateway/federation/workload_table.h"
#include "gateway/http/response_writer.h"
#include "services/common/clock.h"
#include "services/common/ip_range.h"

namespace allod::gateway::federation {

struct EndpointLimits {
  int per_address_per_minute = 120;
  int per_tenant_per_minute = 600;
};

class TokenEndpoint {
 public:
  static constexpr std::chrono::milliseconds kWaitForKeys{9000};

  // All must outlive this.
  TokenEndpoint(const WorkloadTable& table, IssuerKeys& keys, const WorkloadTokenSealer& sealer, const Clock& clock,
                EndpointLimits limits);

  http::Awaitable<void> Handle(http::Request& request, http::ResponseWriter& out);

 private:
  http::Awaitable<Result<WorkloadToken>> Exchange(const http::Request& request, http::ResponseWriter& out,
                                                  ExchangeRequest& asked);
  // Those of the issuer, or others than `known` if it is not null.
  http::Awaitable<Result<IssuerKeySet>> AwaitKeys(const std::string& issuer, const std::string& tenant,
                                                  const IssuerKeySet& known, http::ResponseWriter& out);

  const WorkloadTable& table_;
  IssuerKeys& keys_;
  const WorkloadTokenSealer& sealer_;
  const Clock& clock_;
  access::RateLimiter addresses_;
  access::RateLimiter tenants_;
  access::RateLimiter newer_keys_;  // by tenant
};

// By what an address is limited: itself, of IPv6 the /64 that a host has to itself.
std::string LimitedAddress(const IpAddress& address);

}  // namespace allod::gateway::federation
