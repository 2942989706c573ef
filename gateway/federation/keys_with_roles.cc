#include "gateway/federation/keys_with_roles.h"

namespace allod::gateway::federation {

Result<access::Principal> KeysWithRoles::Authenticate(std::string_view authorization,
                                                      const std::optional<IpAddress>& client) const {
  ALLOD_TRY(access::Principal key, keys_.Authenticate(authorization, client));
  if (key.custom_roles == nullptr) return key;
  ALLOD_TRY(const auto trust, trust_.Find(key.tenant));
  if (trust == nullptr) return key;
  for (const std::string& name : *key.custom_roles) {
    if (const auto found = trust->roles.find(name); found != trust->roles.end()) key.roles.Add(found->second);
  }
  return key;
}

}  // namespace allod::gateway::federation
