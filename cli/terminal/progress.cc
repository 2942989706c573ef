#include "cli/terminal/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace allod::cli::terminal {

Progress::Progress(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1), start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (open_) std::fputs("\n", stderr);
}

void Progress::Show(const std::string& phase, double fraction) {
  if (terminal_) {
    constexpr int kWidth = 24;
    const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * kWidth);
    const std::string bar =
        fraction < 0 ? std::string(kWidth, '.') : std::string(full, '#') + std::string(kWidth - full, '.');
    const std::string percent = fraction < 0 ? "" : fmt::format("{:3.0f} % ", std::clamp(fraction, 0.0, 1.0) * 100);
    std::fputs(fmt::format("\r\x1b[K  {} [{}] {}{}", what_, bar, percent, phase).c_str(), stderr);
    open_ = true;
  } else if (phase != last_phase_) {
    std::fputs(fmt::format("  {}: {}\n", what_, phase).c_str(), stderr);
  }
  last_phase_ = phase;
  std::fflush(stderr);
}

void Progress::Finish(const std::string& result) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
  std::fputs(
      fmt::format("{}  {}: {} ({:.1f} s)\n", terminal_ ? "\r\x1b[K" : "", what_, result, seconds.count()).c_str(),
      stderr);
  std::fflush(stderr);
  open_ = false;
}

}  // namespace allod::cli::terminal
