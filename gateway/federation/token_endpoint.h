// `POST /oauth/token`: a workload's own token for one of ours (RFC 8693). Thread-safe.
//
// Strangers ask here. Before anything is read a request counts against the limit of its address, which bounds what
// strangers cost; against that of the tenant only once a rule of the tenant takes its verified token, so that nobody
// else can use it up. Every refusal is in the log with its
// reason, without the token.
#pragma once

#include <string>

#include "gateway/access/rate_limiter.h"
#include "gateway/federation/exchange.h"
#include "gateway/federation/token_verifier.h"
#include "gateway/federation/trust_table.h"
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
  // All must outlive this.
  TokenEndpoint(const TrustTable& table, TokenVerifier& verifier, const WorkloadTokenSealer& sealer, const Clock& clock,
                EndpointLimits limits);

  http::Awaitable<void> Handle(http::Request& request, http::ResponseWriter& out);

 private:
  http::Awaitable<Result<WorkloadToken>> Exchange(const http::Request& request, http::ResponseWriter& out,
                                                  ExchangeRequest& asked);
  const TrustTable& table_;
  TokenVerifier& verifier_;
  const WorkloadTokenSealer& sealer_;
  const Clock& clock_;
  access::RateLimiter addresses_;
  access::RateLimiter tenants_;
};

}  // namespace allod::gateway::federation
