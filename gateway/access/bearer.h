// Bearer credentials in an Authorization header.
#pragma once

#include <string_view>

namespace allod::gateway::access {

// The token of "Bearer <token>", the scheme in any case and any number of blanks behind it (RFC 6750, RFC 9110). Empty
// if there is none.
std::string_view BearerToken(std::string_view authorization);

}  // namespace allod::gateway::access
