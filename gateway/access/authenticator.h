// From a credential to who it stands for. Implementations: API keys (api_keys.h). What other credentials there come to
// be (tokens of an identity provider, sessions, workload tokens) is authenticated beside them; nothing behind
// RouteGuard sees which it was. Thread-safe; does no I/O, because it stands before every request.
#pragma once

#include <string_view>

#include "gateway/access/principal.h"
#include "services/common/result.h"

namespace allod::gateway::access {

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // From the value of an Authorization header; empty: there was none. UNAUTHENTICATED when nobody has this credential,
  // UNAVAILABLE when that cannot be known now.
  virtual Result<Principal> Authenticate(std::string_view authorization) const = 0;
};

}  // namespace allod::gateway::access
