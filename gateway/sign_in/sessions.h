// Who a session stands for, and with which roles: those that the members by which it was begun have now. A member that
// was deleted, disabled or asks for other claims since gives none; a session that was ended, a provider that is
// disabled and a suspended tenant void all. Thread-safe.
#pragma once

#include <chrono>
#include <string>

#include "gateway/access/authenticator.h"
#include "gateway/federation/trust_table.h"
#include "gateway/sign_in/session_token.h"
#include "services/common/clock.h"

namespace allod::gateway::sign_in {

class Sessions final : public access::Authenticator {
 public:
  // All outlive this. A token that ends before its session holds for `idle` more whenever half of that is over.
  Sessions(const federation::TrustTable& table, const SessionSealer& sealer, const Clock& clock,
           std::chrono::seconds idle)
      : table_(table), sealer_(sealer), clock_(clock), idle_(idle) {}

  // UNAUTHENTICATED / INVALID_TOKEN, SESSION_EXPIRED, SESSION_ENDED; UNAVAILABLE / IDENTITIES_NOT_SYNCED while it
  // cannot be known. From wherever it comes.
  Result<access::Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>& client) const override;

 private:
  // What it becomes now; empty: it stays.
  std::string Renewed(SessionToken token, Time now) const;

  const federation::TrustTable& table_;
  const SessionSealer& sealer_;
  const Clock& clock_;
  const std::chrono::seconds idle_;
};

// The same for each of a person's sessions, so that more of them lift no limit; tells nothing of who it is.
std::string PersonId(const std::string& provider, const std::string& subject);

}  // namespace allod::gateway::sign_in
