// Countries by their ISO 3166-1 alpha-2 code in lower case, as jurisdictions and territories are written here.
#pragma once

#include <string_view>

#include "services/common/result.h"

namespace allod {

// INVALID_ARGUMENT / UNKNOWN_COUNTRY names the field and the code. Only officially assigned codes pass.
Status CheckCountryCode(std::string_view field, std::string_view code);

}  // namespace allod
