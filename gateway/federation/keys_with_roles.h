// API keys with what the tenant's own roles permit them, as the roles are now: one that is narrowed narrows every key
// that has it. Thread-safe; does no I/O.
#pragma once

#include "gateway/access/authenticator.h"
#include "gateway/federation/trust_table.h"

namespace allod::gateway::federation {

class KeysWithRoles final : public access::Authenticator {
 public:
  // Both must outlive this.
  KeysWithRoles(const access::Authenticator& keys, const TrustTable& trust) : keys_(keys), trust_(trust) {}

  // As `keys`; a role that is not known permits nothing. UNAVAILABLE / IDENTITIES_NOT_SYNCED for a key with such roles
  // before the first snapshot of them.
  Result<access::Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>& client) const override;

 private:
  const access::Authenticator& keys_;
  const TrustTable& trust_;
};

}  // namespace allod::gateway::federation
