#include "services/billing/corrections/corrections.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace allod::billing::corrections {
namespace {

// Of the line, after what credit notes gave back.
Result<Amount> LeftOf(const CreditState& state, const IssuedLine& line) {
  const auto credited = state.credited.find(line.number);
  if (credited == state.credited.end()) return line.amount;
  return Subtract(line.amount, credited->second);
}

// What is asked for beyond the line, of the part of it that was not given back; exact, half to even.
Result<Amount> MoreOf(const CreditState& state, const IssuedLine& line, Amount more, int decimals) {
  ALLOD_TRY(const Amount left, LeftOf(state, line));
  if (left == line.amount) return more;  // also of a line that was rounded to nothing
  // Whole minor units.
  Int128 minor = 1;
  for (int i = decimals; i < Amount::kDecimals; ++i) minor *= 10;
  return ExactOf(static_cast<std::int64_t>(left.pico() / minor), more,
                 static_cast<std::int64_t>(line.amount.pico() / minor));
}

}  // namespace

Result<Plan> DecideRerate(const CreditState& state, const RerateCommand& command, const std::vector<TokenPrice>& prices,
                          Time month) {
  if (command.old_book == command.new_book) {
    return InvalidArgument("INVALID_RERATING", "new_price_book: is the old one; name the one that should have been");
  }
  const std::string& currency = state.invoice.currency_code;
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", currency));
  Plan out;
  bool has_book = false;
  for (const IssuedLine& line : state.invoice.lines) {
    if (line.charge || line.price_book != command.old_book) continue;
    has_book = true;
    const auto price = FindPrice(prices, currency, VariantId(line.variant), line.isolation_class);
    if (!price) {
      return InvalidArgument(
          "INVALID_RERATING",
          fmt::format("new_price_book: priceBooks/{} has no price in {} for {} ({}), which line {} is of",
                      command.new_book.ToString(), currency, line.variant, line.isolation_class, line.number));
    }
    RatedLine rated{.line = line, .new_price = line.meter == Meter::kPrompt ? price->prompt : price->completion};
    ALLOD_TRY(rated.new_exact, Multiply(rated.new_price, line.quantity));
    rated.new_amount = Round(rated.new_exact, decimals);
    if (rated.new_exact == line.exact) continue;
    if (rated.new_exact < line.exact) {
      ALLOD_TRY(const Amount less, Subtract(line.amount, rated.new_amount));
      ALLOD_TRY(const Amount left, LeftOf(state, line));
      const Amount credit = std::min(less, left);
      if (credit > Amount()) out.credits.push_back({line.number, credit});
    } else {
      Charge charge{
          .terms = {.kind = ChargeKind::kRerating, .detail = fmt::format("{} {}", state.invoice.number, line.number)},
          .month = month,
          .instance = line.instance,
          .variant = line.variant,
          .isolation_class = line.isolation_class};
      ALLOD_TRY(const Amount more, Subtract(rated.new_exact, line.exact));
      ALLOD_TRY(charge.exact, MoreOf(state, line, more, decimals));
      charge.unit_price = charge.exact;
      if (charge.exact != Amount()) out.charges.push_back(std::move(charge));
    }
    out.lines.push_back(std::move(rated));
  }
  if (!out.credits.empty() || !out.charges.empty()) return out;
  return FailedPrecondition(
      "NOTHING_TO_RERATE",
      has_book ? fmt::format("by priceBooks/{} nothing of invoice {} differs, or what differs was given back",
                             command.new_book.ToString(), state.invoice.id)
               : fmt::format("no line of invoice {} has priceBooks/{}", state.invoice.id, command.old_book.ToString()));
}

Result<std::vector<ServiceLevelCredit>> DecideServiceLevel(const CreditState& state,
                                                           const std::vector<terms::ServiceLevelStep>& steps,
                                                           const std::vector<InstanceRequests>& requests) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", state.invoice.currency_code));
  std::vector<ServiceLevelCredit> out;
  for (const InstanceRequests& of : requests) {
    const terms::ServiceLevelStep* broken = nullptr;
    for (const terms::ServiceLevelStep& step : steps) {
      // 1 - faults / requests < below / 10000
      const bool is_below = Int128{of.faults} * kBasisPointsMax > Int128{of.requests} * (kBasisPointsMax - step.below);
      if (is_below && (broken == nullptr || step.below < broken->below)) broken = &step;
    }
    if (broken == nullptr) continue;
    ServiceLevelCredit credit{.of = of, .step = *broken};
    for (const IssuedLine& line : state.invoice.lines) {
      if (line.instance != of.instance || line.month != state.invoice.period.start || line.amount <= Amount()) continue;
      if (line.charge && line.charge->kind != ChargeKind::kInstanceTime) continue;
      ALLOD_TRY(const Amount exact, ExactOf(broken->credit, line.amount, kBasisPointsMax));
      ALLOD_TRY(const Amount left, LeftOf(state, line));
      const Amount amount = std::min(Round(exact, decimals), left);
      if (amount > Amount()) credit.lines.push_back({line.number, amount});
    }
    if (!credit.lines.empty()) out.push_back(std::move(credit));
  }
  std::ranges::sort(out, {}, [](const ServiceLevelCredit& credit) { return credit.of.instance; });
  return out;
}

std::string ReasonOf(const std::vector<ServiceLevelCredit>& credits) {
  constexpr std::size_t kReasonMax = 400;
  std::string out = "Availability below what was agreed:";
  for (std::size_t i = 0; i < credits.size(); ++i) {
    const InstanceRequests& of = credits[i].of;
    const std::string one = fmt::format("{} {}: {} of {} requests failed", i == 0 ? "" : ",",
                                        of.instance.substr(of.instance.rfind('/') + 1), of.faults, of.requests);
    const std::string rest = fmt::format(", and {} more", credits.size() - i);
    if (out.size() + one.size() + rest.size() > kReasonMax) return out + rest;
    out += one;
  }
  return out;
}

}  // namespace allod::billing::corrections
