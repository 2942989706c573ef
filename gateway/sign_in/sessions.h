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
  // The same to sign out, and for nothing else: of a tenant that is suspended or deleted, of which nothing is trusted
  // meanwhile, the token alone says which session it is of. Then the principal has no subject, roles or scopes, and
  // ends that session only: it would hold again when the tenant does.
  Result<access::Principal> AuthenticateToEnd(std::string_view authorization,
                                              const std::optional<IpAddress>& client) const;

 private:
  // What it becomes now; empty: it stays.
  std::string Renewed(SessionToken token, Time now) const;

  const federation::TrustTable& table_;
  const SessionSealer& sealer_;
  const Clock& clock_;
  const std::chrono::seconds idle_;
};

// Sessions::AuthenticateToEnd() as an authenticator. Thread-safe.
class SessionsToEnd final : public access::Authenticator {
 public:
  // Outlives this.
  explicit SessionsToEnd(const Sessions& sessions) : sessions_(sessions) {}

  Result<access::Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>& client) const override {
    return sessions_.AuthenticateToEnd(authorization, client);
  }

 private:
  const Sessions& sessions_;
};

// The same for each of a person's sessions, so that more of them lift no limit; tells nothing of who it is.
std::string PersonId(const std::string& provider, const std::string& subject);

}  // namespace allod::gateway::sign_in
