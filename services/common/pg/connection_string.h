// How a connection string is made complete: password, timeouts and name of the session.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "services/common/result.h"

namespace allod {

// The parameters in a libpq connection string or URI. INVALID_ARGUMENT / INVALID_CONFIG; the text itself is not
// repeated, as it may hold a password.
Result<std::map<std::string, std::string>> ParseConnectionString(const std::string& text);

// The same as one quoted connection string.
std::string ToConnectionString(const std::map<std::string, std::string>& parameters);

}  // namespace allod
