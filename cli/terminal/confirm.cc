#include "cli/terminal/confirm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace allod::cli::terminal {

Status Confirm(const std::string& what, bool yes) {
  if (yes) return {};
  if (::isatty(STDIN_FILENO) != 1) {
    return FailedPrecondition("CONFIRMATION_REQUIRED",
                              fmt::format("{}; nothing was changed. Give --yes if that is wanted", what));
  }
  std::fprintf(stderr, "%s. Go on? [y/N] ", what.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "yes") return {};
  return FailedPrecondition("NOT_CONFIRMED", "nothing was changed");
}

}  // namespace allod::cli::terminal
