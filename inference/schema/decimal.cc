#include "inference/schema/decimal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace allod::inference::schema {
namespace {

constexpr int kExponentMax = 400;
constexpr std::size_t kIntegerDigitsMax = 18;
constexpr std::size_t kFractionDigits = 15;
constexpr std::size_t kFractionDigitsMax = 20;
// As many decimal digits are told apart by a double.
constexpr std::size_t kExactDigits = 15;

std::strong_ordering CompareMagnitude(const Decimal& a, const Decimal& b) {
  if (const auto order = a.integer.size() <=> b.integer.size(); order != 0) return order;
  if (const auto order = a.integer <=> b.integer; order != 0) return order;
  return a.fraction <=> b.fraction;
}

ExpressionPtr DigitsBetween(char first, char last) {
  return OneOfSet({{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)}});
}
ExpressionPtr AnyDigits(std::uint32_t low, std::uint32_t high) { return Repeated(DigitsBetween('0', '9'), low, high); }
ExpressionPtr AnyDigits() { return AnyDigits(0, Expression::kUnlimited); }
ExpressionPtr Zeros() { return Repeated(DigitsBetween('0', '0'), 0, Expression::kUnlimited); }
ExpressionPtr NotAllZeros() { return InSequence({Zeros(), DigitsBetween('1', '9'), AnyDigits()}); }
ExpressionPtr Optional(ExpressionPtr part) { return Repeated(std::move(part), 0, 1); }

// Digits of one length that are at least (at most) `bound`.
ExpressionPtr SameLength(std::string_view bound, bool at_least) {
  if (bound.empty()) return InSequence({});
  const auto rest = static_cast<std::uint32_t>(bound.size() - 1);
  std::vector<ExpressionPtr> parts{InSequence({ExactText(bound.substr(0, 1)), SameLength(bound.substr(1), at_least)})};
  const char digit = bound.front();
  if (at_least && digit < '9') {
    parts.push_back(InSequence({DigitsBetween(static_cast<char>(digit + 1), '9'), AnyDigits(rest, rest)}));
  }
  if (!at_least && digit > '0') {
    parts.push_back(InSequence({DigitsBetween('0', static_cast<char>(digit - 1)), AnyDigits(rest, rest)}));
  }
  return AnyOf(std::move(parts));
}

// Whole numbers, written without leading zeros. `bound` likewise; empty is 0.
ExpressionPtr IntegerAtLeast(std::string_view bound) {
  if (bound.empty()) {
    return AnyOf({ExactText("0"), InSequence({DigitsBetween('1', '9'), AnyDigits(0, kIntegerDigitsMax - 1)})});
  }
  std::vector<ExpressionPtr> parts{SameLength(bound, true)};
  const auto length = static_cast<std::uint32_t>(bound.size());
  if (length < kIntegerDigitsMax) {
    parts.push_back(InSequence({DigitsBetween('1', '9'), AnyDigits(length, kIntegerDigitsMax - 1)}));
  }
  return AnyOf(std::move(parts));
}
ExpressionPtr IntegerAtMost(std::string_view bound) {
  if (bound.empty()) return ExactText("0");
  std::vector<ExpressionPtr> parts{ExactText("0")};
  const auto length = static_cast<std::uint32_t>(bound.size());
  if (length > 1) parts.push_back(InSequence({DigitsBetween('1', '9'), AnyDigits(0, length - 2)}));
  // SameLength may begin with a zero, which IntegerAtLeast("") takes out again.
  parts.push_back(SameLength(bound, false));
  return AnyOf(std::move(parts));
}

// The integer after (before) `digits`.
std::string Next(std::string digits) {
  for (auto at = digits.rbegin(); at != digits.rend(); ++at) {
    if (*at != '9') return ++*at, digits;
    *at = '0';
  }
  return "1" + digits;
}
std::string Previous(std::string digits) {
  for (auto at = digits.rbegin(); at != digits.rend(); ++at) {
    if (*at != '0') {
      --*at;
      break;
    }
    *at = '9';
  }
  return digits.starts_with('0') ? digits.substr(1) : digits;
}

ExpressionPtr AnyFraction() { return Optional(InSequence({ExactText("."), AnyDigits(1, Expression::kUnlimited)})); }

ExpressionPtr FractionAtLeast(std::string_view bound, bool is_exclusive) {
  if (bound.empty()) return is_exclusive ? InSequence({ExactText("."), NotAllZeros()}) : AnyFraction();
  ExpressionPtr tail = is_exclusive ? NotAllZeros() : AnyDigits();
  for (auto digit = bound.rbegin(); digit != bound.rend(); ++digit) {
    std::vector<ExpressionPtr> parts{InSequence({DigitsBetween(*digit, *digit), std::move(tail)})};
    if (*digit < '9') parts.push_back(InSequence({DigitsBetween(static_cast<char>(*digit + 1), '9'), AnyDigits()}));
    tail = AnyOf(std::move(parts));
  }
  return InSequence({ExactText("."), std::move(tail)});
}

ExpressionPtr FractionAtMost(std::string_view bound, bool is_exclusive) {
  ExpressionPtr nothing = AnyOf({});
  if (bound.empty()) {
    return is_exclusive ? nothing : Optional(InSequence({ExactText("."), DigitsBetween('0', '0'), Zeros()}));
  }
  ExpressionPtr tail = is_exclusive ? nothing : Zeros();
  for (std::size_t i = bound.size(); i-- > 0;) {
    std::vector<ExpressionPtr> parts{InSequence({DigitsBetween(bound[i], bound[i]), std::move(tail)})};
    if (bound[i] > '0') {
      parts.push_back(InSequence({DigitsBetween('0', static_cast<char>(bound[i] - 1)), AnyDigits()}));
    }
    if (i > 0) parts.push_back(InSequence({}));  // the digits that are left out are zeros, the bound's are not
    tail = AnyOf(std::move(parts));
  }
  return Optional(InSequence({ExactText("."), std::move(tail)}));
}

ExpressionPtr AtLeast(const Decimal& bound, bool is_exclusive) {
  return AnyOf({InSequence({IntegerAtLeast(Next(bound.integer)), AnyFraction()}),
                InSequence({ExactText(bound.integer.empty() ? "0" : bound.integer),
                            FractionAtLeast(bound.fraction, is_exclusive)})});
}
ExpressionPtr AtMost(const Decimal& bound, bool is_exclusive) {
  std::vector<ExpressionPtr> parts{InSequence(
      {ExactText(bound.integer.empty() ? "0" : bound.integer), FractionAtMost(bound.fraction, is_exclusive)})};
  if (!bound.integer.empty()) parts.push_back(InSequence({IntegerAtMost(Previous(bound.integer)), AnyFraction()}));
  return AnyOf(std::move(parts));
}

// Bounds of what may be written at all; those that this implies are left out, those that forbid all of it are refused.
std::expected<std::vector<Bound>, std::string> WithinWritable(const std::vector<Bound>& bounds, bool is_low) {
  std::vector<Bound> out;
  for (const Bound& bound : bounds) {
    if (bound.value.integer.size() <= kIntegerDigitsMax) {
      out.push_back(bound);
    } else if (bound.value.is_negative != is_low) {
      return std::unexpected(fmt::format("a bound that only numbers of more than {} digits keep", kIntegerDigitsMax));
    }
  }
  return out;
}

Automaton Magnitudes(const std::vector<Bound>& low, const std::vector<Bound>& high, ExpressionPtr form) {
  Automaton out = Automaton::Of(*form);
  for (const Bound& bound : low) out = out.And(Automaton::Of(*AtLeast(bound.value, bound.is_exclusive)));
  for (const Bound& bound : high) out = out.And(Automaton::Of(*AtMost(bound.value, bound.is_exclusive)));
  return out;
}

// `form`: how a number without its sign is written.
NumberTexts Texts(const std::vector<Bound>& low, const std::vector<Bound>& high, const ExpressionPtr& form) {
  // What holds for the magnitude of positive numbers and of negative ones. A bound on the other side of zero either
  // says nothing there or forbids everything.
  struct Side {
    std::vector<Bound> low, high;
    bool is_possible = true;
  };
  Side positive;
  Side negative;
  // "-0" is never needed.
  negative.low.push_back({Decimal{}, true});
  const auto split = [](const Bound& bound, Side& same, Side& other, bool bounds_from_zero) {
    const Bound magnitude{{false, bound.value.integer, bound.value.fraction}, bound.is_exclusive};
    (bounds_from_zero ? same.low : same.high).push_back(magnitude);
    if (bounds_from_zero) other.is_possible = false;
  };
  for (const Bound& bound : low) {
    if (bound.value.is_negative) {
      split(bound, negative, positive, false);
    } else {
      split(bound, positive, negative, true);
    }
  }
  for (const Bound& bound : high) {
    if (bound.value.is_negative) {
      split(bound, negative, positive, true);
    } else {
      split(bound, positive, negative, false);
    }
  }
  NumberTexts out;
  if (positive.is_possible) out.positive = Magnitudes(positive.low, positive.high, form);
  if (negative.is_possible) out.negative = Magnitudes(negative.low, negative.high, form);
  return out;
}

}  // namespace

std::optional<Decimal> Decimal::Parse(std::string_view text) {
  Decimal out;
  if (text.starts_with('-')) {
    out.is_negative = true;
    text.remove_prefix(1);
  }
  int exponent = 0;
  if (const std::size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error != std::errc() || std::abs(exponent) > kExponentMax) return std::nullopt;
    text = text.substr(0, e);
  }
  const std::size_t point = std::min(text.find('.'), text.size());
  out.integer = text.substr(0, point);
  if (point < text.size()) out.fraction = text.substr(point + 1);
  for (; exponent > 0; --exponent) {
    out.integer += out.fraction.empty() ? '0' : out.fraction.front();
    if (!out.fraction.empty()) out.fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    out.fraction.insert(out.fraction.begin(), out.integer.empty() ? '0' : out.integer.back());
    if (!out.integer.empty()) out.integer.pop_back();
  }
  out.integer.erase(0, std::min(out.integer.find_first_not_of('0'), out.integer.size()));
  while (out.fraction.ends_with('0')) out.fraction.pop_back();
  if (out.integer.size() > kExponentMax || out.fraction.size() > kExponentMax) return std::nullopt;
  if (out.is_zero()) out.is_negative = false;
  return out;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  if (is_negative != other.is_negative) {
    return is_negative ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  return is_negative ? CompareMagnitude(other, *this) : CompareMagnitude(*this, other);
}

std::expected<NumberTexts, std::string> IntegerTexts(const NumberLimits& limits) {
  auto low = WithinWritable(limits.low, true);
  if (!low) return std::unexpected(low.error());
  auto high = WithinWritable(limits.high, false);
  if (!high) return std::unexpected(high.error());
  for (const auto* bounds : {&*low, &*high}) {
    for (const Bound& bound : *bounds) {
      if (bound.is_exclusive && bound.value.integer.size() > kExactDigits) {
        return std::unexpected(fmt::format("an exclusive bound of more than {} digits", kExactDigits));
      }
    }
  }
  const std::uint32_t digits = limits.multiple_of.empty() ? kIntegerDigitsMax : kExactDigits;
  // Written without a point, a number is within these bounds when it is an integer within them.
  NumberTexts out =
      Texts(*low, *high, AnyOf({ExactText("0"), InSequence({DigitsBetween('1', '9'), AnyDigits(0, digits - 1)})}));
  for (const std::uint64_t divisor : limits.multiple_of) {
    if (divisor >= Automaton::kStatesMax) return std::unexpected("a divisor that is too large");
    const Automaton multiples = Automaton::MultiplesOf(static_cast<std::uint32_t>(divisor));
    if (out.positive) out.positive = out.positive->And(multiples);
    if (out.negative) out.negative = out.negative->And(multiples);
  }
  return out;
}

std::expected<NumberTexts, std::string> BoundedNumberTexts(const NumberLimits& limits) {
  auto low = WithinWritable(limits.low, true);
  if (!low) return std::unexpected(low.error());
  auto high = WithinWritable(limits.high, false);
  if (!high) return std::unexpected(high.error());
  std::size_t fraction_digits = kFractionDigits;
  for (const auto* bounds : {&*low, &*high}) {
    for (const Bound& bound : *bounds) {
      if (!bound.is_exclusive) continue;
      if (bound.value.integer.size() + bound.value.fraction.size() > kExactDigits) {
        return std::unexpected(fmt::format("an exclusive bound of more than {} digits", kExactDigits));
      }
      fraction_digits = std::min(fraction_digits, kExactDigits - bound.value.integer.size());
    }
  }
  const std::size_t exclusive_digits = fraction_digits;
  for (const auto* bounds : {&*low, &*high}) {
    for (const Bound& bound : *bounds) {
      if (bound.value.fraction.size() <= fraction_digits) continue;
      if (exclusive_digits < kFractionDigits || bound.value.fraction.size() > kFractionDigitsMax) {
        return std::unexpected("a bound with more digits after the point than can be told apart");
      }
      fraction_digits = bound.value.fraction.size();
    }
  }
  ExpressionPtr form = IntegerAtLeast("");
  if (fraction_digits > 0) {
    form =
        InSequence({std::move(form),
                    Optional(InSequence({ExactText("."), AnyDigits(1, static_cast<std::uint32_t>(fraction_digits))}))});
  }
  return Texts(*low, *high, form);
}

}  // namespace allod::inference::schema
