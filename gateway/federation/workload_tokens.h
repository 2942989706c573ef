// Who a workload's token stands for. It holds as long as the rule and the provider that it was given by do and the rule
// asks the same of claims: what was deleted, disabled or narrowed since no longer counts, and neither does anything of
// a suspended tenant. Thread-safe.
#pragma once

#include "gateway/access/authenticator.h"
#include "gateway/federation/trust_table.h"
#include "gateway/federation/workload_token.h"
#include "services/common/clock.h"

namespace allod::gateway::federation {

class WorkloadTokens final : public access::Authenticator {
 public:
  // All outlive this.
  WorkloadTokens(const TrustTable& table, const WorkloadTokenSealer& sealer, const Clock& clock)
      : table_(table), sealer_(sealer), clock_(clock) {}

  // UNAUTHENTICATED / INVALID_TOKEN, TOKEN_EXPIRED, TOKEN_REVOKED; UNAVAILABLE / IDENTITIES_NOT_SYNCED before the first
  // snapshot, and for a rule that is not known while the stream is broken. From wherever it comes.
  Result<access::Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>& client) const override;

 private:
  const TrustTable& table_;
  const WorkloadTokenSealer& sealer_;
  const Clock& clock_;
};

}  // namespace allod::gateway::federation
