// Decimal numbers as JSON writes them, compared exactly; and the texts of the numbers between two of them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/schema/automaton.h"

namespace allod::inference::schema {

struct Decimal {
  bool is_negative = false;
  std::string integer;   // digits without leading zeros; empty: 0
  std::string fraction;  // digits without trailing zeros

  // Of a JSON number. None when it has more than 400 digits before or after the point.
  static std::optional<Decimal> Parse(std::string_view json_number);
  bool is_zero() const { return integer.empty() && fraction.empty(); }
  bool is_integer() const { return fraction.empty(); }
  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal&) const = default;
};

struct Bound {
  Decimal value;
  bool is_exclusive = false;
};
// All must hold.
struct NumberLimits {
  std::vector<Bound> low;
  std::vector<Bound> high;
  std::vector<std::uint64_t> multiple_of;  // each 1 or more
};

// The texts of numbers within limits: what of them has no sign, and what follows a minus sign.
struct NumberTexts {
  std::optional<Automaton> positive;
  std::optional<Automaton> negative;
};

// Integers have at most 18 digits, with `multiple_of` 15: beyond that, others no longer read them exactly. Numbers
// within bounds are written without an exponent, with at most 18 digits before the point and 15 after it; near an
// exclusive bound fewer, so that they are still told apart from it when they are read as doubles. The error says which
// limit cannot be kept exactly.
std::expected<NumberTexts, std::string> IntegerTexts(const NumberLimits& limits);
std::expected<NumberTexts, std::string> BoundedNumberTexts(const NumberLimits& limits);

}  // namespace allod::inference::schema
