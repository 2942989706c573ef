// Exact amounts of money: integers of 10^-12 of an ISO 4217 major unit. No floating point comes near.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod {

// 128 bits hold any amount that NUMERIC(38,0) does: |value| < 10^38.
using Int128 = __int128;

class Amount {
 public:
  static constexpr int kDecimals = 12;

  constexpr Amount() = default;
  static constexpr Amount FromPico(Int128 pico) { return Amount(pico); }
  // A decimal string such as "12.5" or "-0.000000000001". At most `decimals_max` digits after the point; no exponent,
  // no sign other than '-', no spaces. INVALID_ARGUMENT / INVALID_AMOUNT names the field, the text and the limit.
  static Result<Amount> Parse(std::string_view field, std::string_view text, int decimals_max = kDecimals);
  // From NUMERIC(38,0) text as SQL gives it.
  static Result<Amount> ParsePico(std::string_view digits);

  constexpr Int128 pico() const { return pico_; }
  // Shortest exact decimal: "0", "12.5", "-0.000000000001".
  std::string ToString() const;
  // The integer of 10^-12 in decimal, for SQL.
  std::string ToPicoString() const;

  constexpr auto operator<=>(const Amount&) const = default;

 private:
  explicit constexpr Amount(Int128 pico) : pico_(pico) {}
  Int128 pico_ = 0;
};

// Checked arithmetic: OUT_OF_RANGE / AMOUNT_OUT_OF_RANGE past 10^38 - 1.
Result<Amount> Add(Amount a, Amount b);
Result<Amount> Subtract(Amount a, Amount b);
Result<Amount> Multiply(Amount a, std::int64_t n);

// What one token costs, from a price per million tokens with at most 6 decimals: always a whole number of 10^-12, so no
// request is ever rounded. INVALID_ARGUMENT / INVALID_PRICE; negative prices are refused.
Result<Amount> TokenPriceFromMillion(std::string_view field, std::string_view price_per_million);

// What one second costs, from the price of an hour. Empty: nothing. Time is charged by the second, so the price of an
// hour has to be 3600 times a whole number of 10^-12; else INVALID_ARGUMENT / INVALID_PRICE with the nearest that are.
// Negative prices are refused.
Result<Amount> SecondPriceFromHour(std::string_view field, std::string_view price_per_hour);
// The price of an hour, as it is written.
std::string PerHour(Amount second_price);

// Decimals of the currency's minor unit (ISO 4217): 2 for KES, 0 for JPY, 3 for TND. INVALID_ARGUMENT /
// UNKNOWN_CURRENCY.
Result<int> MinorUnitDecimals(std::string_view field, std::string_view currency_code);

// Half-even rounding to `decimals`; the residue is `amount - Round(amount)`.
Amount Round(Amount amount, int decimals);

}  // namespace allod
