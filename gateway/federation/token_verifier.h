// Verifies issuers' tokens with keys that may have to be fetched first. Thread-safe.
//
// An issuer's keys are waited for kWaitForKeys at most. Of a token whose key is not known newer ones are fetched; of
// one tenant only some may wait for that, so that who names one leaves room for others.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "gateway/access/rate_limiter.h"
#include "gateway/federation/issuer_keys.h"
#include "gateway/http/response_writer.h"
#include "services/common/clock.h"
#include "services/common/jose/token.h"

namespace allod::gateway::federation {

class TokenVerifier {
 public:
  static constexpr std::chrono::milliseconds kWaitForKeys{9000};

  // Both outlive this.
  TokenVerifier(IssuerKeys& keys, const Clock& clock);

  // What `issuer` publishes. The errors of IssuerKeys, and ISSUER_UNAVAILABLE when it did not come in time. A client
  // that leaves is not waited for.
  http::Awaitable<Result<KnownIssuer>> Find(std::string issuer, std::string tenant, http::ResponseWriter& out);
  // The errors of jose::Verify() beside those.
  http::Awaitable<Result<jose::Claims>> Verify(const jose::UnverifiedToken& token, std::string issuer,
                                               std::vector<std::string> audiences, std::string tenant,
                                               http::ResponseWriter& out);

 private:
  // Others than `known` if it is not null.
  http::Awaitable<Result<KnownIssuer>> Await(const std::string& issuer, const std::string& tenant, KnownIssuer known,
                                             http::ResponseWriter& out);

  IssuerKeys& keys_;
  const Clock& clock_;
  access::RateLimiter newer_keys_;  // by tenant
};

}  // namespace allod::gateway::federation
