// Asks whoever sits at the terminal.
#pragma once

#include <string>

#include "services/common/result.h"

namespace allod::cli::terminal {

// Ok if `yes` was given before, or is answered to "WHAT. Go on? [y/N]" on standard error. FAILED_PRECONDITION /
// NOT_CONFIRMED otherwise; CONFIRMATION_REQUIRED where standard input is no terminal.
Status Confirm(const std::string& what, bool yes);

}  // namespace allod::cli::terminal
