// Percent-encoding of paths and queries (RFC 3986 section 2). Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/result.h"

namespace allod {

// Undoes percent-encoding. INVALID_ARGUMENT / INVALID_ENCODING for a broken escape, a NUL, or a result that is not
// UTF-8; `what` names the place.
Result<std::string> PercentDecode(std::string_view what, std::string_view text);

// Percent-encodes all but letters, digits and "-._~" (RFC 3986 section 2.3).
std::string PercentEncode(std::string_view text);
// "a=1&b=x%20y" of these, in order.
std::string FormOf(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace allod
