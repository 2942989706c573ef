// How times are written on the command line. Pure.
#pragma once

#include <chrono>
#include <string_view>

#include "services/common/clock.h"
#include "services/common/result.h"

namespace allod::cli::commands {

// "90d", "12h", "30m", "45s"; "0" too. INVALID_ARGUMENT / INVALID_DURATION names the option.
Result<std::chrono::seconds> ParseDuration(std::string_view option, std::string_view text);

// From now on as long as a duration, or the beginning of a day in UTC ("2027-01-31"), or a time of RFC 3339.
// INVALID_ARGUMENT / INVALID_TIME names the option.
Result<Time> ParseWhen(std::string_view option, std::string_view text, Time now);
// The same, but a duration goes back from now.
Result<Time> ParseSince(std::string_view option, std::string_view text, Time now);

}  // namespace allod::cli::commands
