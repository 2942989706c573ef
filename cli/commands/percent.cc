#include "cli/commands/percent.h"

#include <fmt/format.h>

#include "services/common/money.h"

namespace allod::cli::commands {
namespace {

constexpr Int128 kBasisPoint = 10'000'000'000;  // 10^-12 each
constexpr std::int32_t kBasisPointsMax = 10'000;

}  // namespace

Result<std::int32_t> ParsePercent(std::string_view option, std::string_view text) {
  const auto percent = Amount::Parse(option, text, 2);
  if (!percent || *percent < Amount() || percent->pico() > kBasisPointsMax * kBasisPoint) {
    return InvalidArgument("INVALID_PERCENT",
                           fmt::format("{}: '{}' is no percent: 0 to 100, with at most 2 decimals", option, text));
  }
  return static_cast<std::int32_t>(percent->pico() / kBasisPoint);
}

std::string PercentText(std::int32_t basis_points) {
  return Amount::FromPico(Int128{basis_points} * kBasisPoint).ToString();
}

}  // namespace allod::cli::commands
