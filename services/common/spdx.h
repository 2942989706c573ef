// SPDX licence expressions (SPDX 2.3, annex D), checked against SPDX's own lists of licences and exceptions.
#pragma once

#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod {

inline constexpr std::size_t kLicenseBytesMax = 512;

// The expression with each identifier spelled as SPDX spells it and one blank between words. LicenseRef-NAME, also of a
// DocumentRef-NAME, stands for terms that SPDX does not list. INVALID_ARGUMENT / INVALID_LICENSE names the field, the
// place and what was expected there. Operators are AND, OR and WITH in capitals; at most 512 bytes and 16 brackets
// deep.
Result<std::string> NormaliseLicense(std::string_view field, std::string_view expression);

}  // namespace allod
