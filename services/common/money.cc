#include "services/common/money.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/common/currencies.h"

namespace allod {
namespace {

constexpr int kDigitsMax = 38;
constexpr std::size_t kTextMax = 64;
constexpr Int128 kSecondsPerHour = 3600;

constexpr std::array<Int128, kDigitsMax + 1> MakePowers() {
  std::array<Int128, kDigitsMax + 1> out{};
  out[0] = 1;
  for (int i = 1; i <= kDigitsMax; ++i) out[static_cast<std::size_t>(i)] = out[static_cast<std::size_t>(i - 1)] * 10;
  return out;
}
constexpr auto kPowers = MakePowers();
constexpr Int128 Power10(int n) { return kPowers[static_cast<std::size_t>(n)]; }
constexpr Int128 kLimit = Power10(kDigitsMax);

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string ShownAmount(std::string_view text) {
  std::string out(text.substr(0, kTextMax));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

// Appends digits to `value`; false when it leaves the range.
bool Accumulate(std::string_view digits, Int128& value) {
  for (const char c : digits) {
    if (value >= Power10(kDigitsMax - 1)) return false;
    value = value * 10 + (c - '0');
  }
  return true;
}

std::string Digits(Int128 magnitude) {
  if (magnitude == 0) return "0";
  std::string out;
  for (; magnitude > 0; magnitude /= 10) out.push_back(static_cast<char>('0' + static_cast<int>(magnitude % 10)));
  std::reverse(out.begin(), out.end());
  return out;
}

Result<Amount> Checked(bool overflow, Int128 value) {
  if (overflow || value >= kLimit || value <= -kLimit) {
    return Fail(Code::kOutOfRange, "AMOUNT_OUT_OF_RANGE",
                "the amount has more than 38 digits in units of 10^-12; split the operation");
  }
  return Amount::FromPico(value);
}

}  // namespace

Result<Amount> Amount::Parse(std::string_view field, std::string_view text, int decimals_max) {
  decimals_max = std::clamp(decimals_max, 0, kDecimals);
  const auto bad = [&](std::string_view why) {
    return InvalidArgument("INVALID_AMOUNT",
                           fmt::format("{}: \"{}\" {}; write a decimal such as 12.5 with at most {} digits after the "
                                       "point",
                                       field, ShownAmount(text), why, decimals_max));
  };
  if (text.size() > kTextMax) return bad("is too long");
  const bool negative = text.starts_with('-');
  const std::string_view magnitude = negative ? text.substr(1) : text;
  const std::size_t point = magnitude.find('.');
  const std::string_view whole = magnitude.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? "" : magnitude.substr(point + 1);
  if (!IsDigits(whole) || (point != std::string_view::npos && !IsDigits(fraction))) return bad("is not an amount");
  if (static_cast<int>(fraction.size()) > decimals_max) return bad(fmt::format("has {} decimals", fraction.size()));
  Int128 value = 0;
  const std::string padding(static_cast<std::size_t>(kDecimals) - fraction.size(), '0');
  if (!Accumulate(whole, value) || !Accumulate(fraction, value) || !Accumulate(padding, value)) {
    return bad("is too large");
  }
  return Amount(negative ? -value : value);
}

Result<Amount> Amount::ParsePico(std::string_view digits) {
  const bool negative = digits.starts_with('-');
  const std::string_view magnitude = negative ? digits.substr(1) : digits;
  Int128 value = 0;
  if (magnitude.size() > kTextMax || !IsDigits(magnitude) || !Accumulate(magnitude, value)) {
    return InvalidArgument("INVALID_AMOUNT", fmt::format("\"{}\" is not an integer of at most {} digits",
                                                         ShownAmount(digits), kDigitsMax));
  }
  return Amount(negative ? -value : value);
}

std::string Amount::ToString() const {
  const Int128 magnitude = pico_ < 0 ? -pico_ : pico_;
  std::string out = pico_ < 0 ? "-" : "";
  out += Digits(magnitude / Power10(kDecimals));
  std::string fraction = Digits(magnitude % Power10(kDecimals));
  fraction.insert(0, static_cast<std::size_t>(kDecimals) - fraction.size(), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (!fraction.empty()) out += "." + fraction;
  return out;
}

std::string Amount::ToPicoString() const { return pico_ < 0 ? "-" + Digits(-pico_) : Digits(pico_); }

Result<Amount> Add(Amount a, Amount b) {
  Int128 out = 0;
  const bool overflow = __builtin_add_overflow(a.pico(), b.pico(), &out);
  return Checked(overflow, out);
}

Result<Amount> Subtract(Amount a, Amount b) {
  Int128 out = 0;
  const bool overflow = __builtin_sub_overflow(a.pico(), b.pico(), &out);
  return Checked(overflow, out);
}

Result<Amount> Multiply(Amount a, std::int64_t n) {
  Int128 out = 0;
  const bool overflow = __builtin_mul_overflow(a.pico(), static_cast<Int128>(n), &out);
  return Checked(overflow, out);
}

Result<Amount> TokenPriceFromMillion(std::string_view field, std::string_view price_per_million) {
  constexpr int kPriceDecimals = 6;
  const auto price = Amount::Parse(field, price_per_million, kPriceDecimals);
  if (!price) return InvalidArgument("INVALID_PRICE", price.error().message);
  if (price->pico() < 0) {
    return InvalidArgument("INVALID_PRICE", fmt::format("{}: \"{}\" is negative; a price is at least 0", field,
                                                        ShownAmount(price_per_million)));
  }
  return Amount::FromPico(price->pico() / Power10(6));
}

Result<Amount> SecondPriceFromHour(std::string_view field, std::string_view price_per_hour) {
  if (price_per_hour.empty()) return Amount();
  const auto price = Amount::Parse(field, price_per_hour);
  if (!price) return InvalidArgument("INVALID_PRICE", price.error().message);
  if (price->pico() < 0) {
    return InvalidArgument("INVALID_PRICE", fmt::format("{}: \"{}\" is negative; a price is at least 0", field,
                                                        ShownAmount(price_per_hour)));
  }
  const Int128 second = price->pico() / kSecondsPerHour;
  if (second * kSecondsPerHour == price->pico()) return Amount::FromPico(second);
  return InvalidArgument(
      "INVALID_PRICE",
      fmt::format("{}: \"{}\" for an hour is no whole number of 10^-12 for a second; the nearest that are: {} and {}",
                  field, ShownAmount(price_per_hour), PerHour(Amount::FromPico(second)),
                  PerHour(Amount::FromPico(second + 1))));
}

std::string PerHour(Amount second_price) { return Amount::FromPico(second_price.pico() * kSecondsPerHour).ToString(); }

Result<int> MinorUnitDecimals(std::string_view field, std::string_view currency_code) {
  if (const auto decimals = CurrencyDecimals(currency_code)) return *decimals;
  return InvalidArgument("UNKNOWN_CURRENCY",
                         fmt::format("{}: \"{}\" is not a currency code of ISO 4217; write three capital letters, such "
                                     "as KES",
                                     field, ShownAmount(currency_code)));
}

Amount Round(Amount amount, int decimals) {
  if (decimals >= Amount::kDecimals) return amount;
  const Int128 unit = Power10(Amount::kDecimals - std::max(decimals, 0));
  const Int128 quotient = amount.pico() / unit;  // towards zero
  const Int128 remainder = amount.pico() % unit;
  const Int128 magnitude = remainder < 0 ? -remainder : remainder;
  const bool away = magnitude * 2 > unit || (magnitude * 2 == unit && quotient % 2 != 0);
  if (!away) return Amount::FromPico(quotient * unit);
  return Amount::FromPico((quotient + (remainder < 0 ? -1 : 1)) * unit);
}

}  // namespace allod
