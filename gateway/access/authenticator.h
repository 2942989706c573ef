// From a credential to who it stands for. Implementations: API keys (api_keys.h). What other credentials there come to
// be (tokens of an identity provider, sessions, workload tokens) is authenticated beside them; nothing behind
// RouteGuard sees which it was. Thread-safe; does no I/O, because it stands before every request.
#pragma once

#include <optional>
#include <string_view>

#include "gateway/access/principal.h"
#include "services/common/ip_range.h"
#include "services/common/result.h"

namespace allod::gateway::access {

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // From the value of an Authorization header; empty: there was none. `client` is where the request comes from;
  // nothing: that is not known. UNAUTHENTICATED when nobody has this credential (any more), PERMISSION_DENIED when it
  // is not let in from there, UNAVAILABLE when that cannot be known now.
  virtual Result<Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>& client) const = 0;
};

}  // namespace allod::gateway::access
