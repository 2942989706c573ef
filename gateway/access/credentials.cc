#include "gateway/access/credentials.h"

#include "gateway/access/bearer.h"

namespace allod::gateway::access {

Result<Principal> Credentials::Authenticate(std::string_view authorization,
                                            const std::optional<IpAddress>& client) const {
  const std::string_view token = BearerToken(authorization);
  for (const Kind& kind : kinds_) {
    if (token.starts_with(kind.prefix)) return kind.authenticator->Authenticate(authorization, client);
  }
  return other_.Authenticate(authorization, client);
}

}  // namespace allod::gateway::access
