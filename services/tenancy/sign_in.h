// How people sign in with an identity provider (OpenID Connect Core 1.0). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod::tenancy {

struct SignIn {
  std::string client_id;
  std::vector<std::string> scopes;  // beside "openid"
  std::string sealed_secret = {};   // client_secrets.h; empty: the client has none
  bool keeps_secret = false;        // in what an update asks for: the secret that stands stays

  // Of what stands.
  bool operator==(const SignIn& other) const {
    return client_id == other.client_id && scopes == other.scopes && sealed_secret == other.sealed_secret;
  }
};

// Checks what a user gave, and fills in the usual scopes. INVALID_ARGUMENT / INVALID_SIGN_IN, as has the next.
Result<SignIn> ValidSignIn(SignIn sign_in);
Status CheckClientSecret(std::string_view secret);

}  // namespace allod::tenancy
