// Percents as they are typed and shown; the API has them in hundredths. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod::cli::commands {

// 1250 of "12.5": 0 to 100, with at most 2 decimals. INVALID_ARGUMENT / INVALID_PERCENT names the option.
Result<std::int32_t> ParsePercent(std::string_view option, std::string_view text);
// "12.5".
std::string PercentText(std::int32_t basis_points);

}  // namespace allod::cli::commands
