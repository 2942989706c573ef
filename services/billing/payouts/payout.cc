#include "services/billing/payouts/payout.h"

#include <fmt/format.h>

#include <cstdio>

#include "services/common/currencies.h"
#include "services/common/ids.h"
#include "services/common/text_check.h"

namespace allod::billing::payouts {
namespace {

constexpr std::string_view kPublishers = "publishers/";
constexpr std::string_view kPayouts = "payouts/";
constexpr std::size_t kPeriodLength = 7;    // YYYY-MM
constexpr std::size_t kCurrencyLength = 3;  // kes

std::string Changed(std::string_view text, char from, char to) {
  std::string out(text);
  for (char& c : out) {
    if (c >= from && c <= from + 25) c = static_cast<char>(c - from + to);
  }
  return out;
}

std::unexpected<Error> InvalidName(std::string_view name) {
  return InvalidArgument("INVALID_NAME", fmt::format("name: '{}' is not payouts/PUBLISHER-CURRENCY-YYYY-MM, as in "
                                                     "payouts/acme-kes-2026-10",
                                                     name.substr(0, 100)));
}

std::optional<std::chrono::sys_days> ParseDay(const std::string& text) {
  int year = 0;
  unsigned month = 0, day = 0;
  char end = 0;
  if (text.size() != 10 || std::sscanf(text.c_str(), "%4d-%2u-%2u%c", &year, &month, &day, &end) != 3) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

}  // namespace

Status CheckRevenueShare(const RevenueShare& share) {
  ALLOD_TRY(const auto listing, MatchName("revenue_share.listing", share.listing, "listings/*"));
  ALLOD_TRY(const auto publisher, MatchName("revenue_share.publisher", share.publisher, "publishers/*"));
  if (share.basis_points >= 0 && share.basis_points <= kBasisPointsMax) return {};
  return InvalidArgument("INVALID_SHARE", fmt::format("revenue_share.basis_points: {} is not 0 to {}",
                                                      share.basis_points, kBasisPointsMax));
}

bool SameTerms(const RevenueShare& a, const RevenueShare& b) {
  return a.listing == b.listing && a.publisher == b.publisher && a.basis_points == b.basis_points;
}

std::string PayoutKey::ToName() const {
  return fmt::format("{}{}-{}-{}", kPayouts, publisher.substr(kPublishers.size()), Changed(currency_code, 'A', 'a'),
                     period.name);
}

Result<PayoutKey> ParsePayoutName(std::string_view name, Time now) {
  constexpr std::size_t kTail = kPeriodLength + kCurrencyLength + 2;
  if (!name.starts_with(kPayouts) || name.size() <= kPayouts.size() + kTail) return InvalidName(name);
  const std::string_view id = name.substr(kPayouts.size());
  const std::string_view publisher = id.substr(0, id.size() - kTail);
  const std::string_view tail = id.substr(publisher.size());
  if (tail[0] != '-' || tail[1 + kCurrencyLength] != '-') return InvalidName(name);
  const std::string currency(tail.substr(1, kCurrencyLength));
  if (!CheckId("name", publisher) || Changed(currency, 'A', 'a') != currency) return InvalidName(name);
  PayoutKey out{.publisher = fmt::format("{}{}", kPublishers, publisher), .currency_code = Changed(currency, 'a', 'A')};
  ALLOD_TRY(const int decimals, MinorUnitDecimals("name", out.currency_code));
  (void)decimals;
  const std::string_view period = tail.substr(kTail - kPeriodLength);
  if (period == "current") return InvalidName(name);
  ALLOD_TRY(out.period, ParsePeriod(period, now));
  return out;
}

Amount PayableOf(Amount earned, int decimals) {
  if (earned <= Amount()) return Amount();
  Int128 unit = 1'000'000'000'000;
  for (int i = 0; i < decimals; ++i) unit /= 10;
  return Amount::FromPico(earned.pico() / unit * unit);
}

Status CheckMayPay(const PayoutKey& key, Time now) {
  if (now >= key.period.end) return {};
  return FailedPrecondition("PERIOD_OPEN", fmt::format("{} has not ended", key.period.name));
}

Result<Payout> DecidePayout(const PayoutKey& key, const LegalEntity& payer, std::vector<PayoutLine> open, Time now) {
  ALLOD_CHECK_OK(CheckMayPay(key, now));
  ALLOD_TRY(const int decimals, MinorUnitDecimals("name", key.currency_code));
  Payout out{.key = key,
             .legal_entity = payer.id,
             .issue_time = std::chrono::floor<std::chrono::microseconds>(now),
             .payer = payer.party,
             .lines = std::move(open)};
  for (PayoutLine& line : out.lines) {
    line.number = static_cast<std::int32_t>(&line - out.lines.data()) + 1;
    ALLOD_TRY(out.earned, Add(out.earned, line.share));
  }
  out.payable = PayableOf(out.earned, decimals);
  if (out.payable > Amount()) return out;
  return FailedPrecondition(
      "NOTHING_TO_PAY", fmt::format("{} {} is open for {} until the end of {}; it stays open", out.earned.ToString(),
                                    key.currency_code, key.publisher, key.period.name));
}

Status CheckPayment(const Payment& payment, Time now) {
  const auto day = ParseDay(payment.paid_on);
  // Where it was paid it may be tomorrow already.
  if (!day || *day > std::chrono::floor<std::chrono::days>(now) + std::chrono::days(1)) {
    return InvalidArgument("INVALID_DATE",
                           fmt::format("paid_on: '{}' is not a past day as YYYY-MM-DD", payment.paid_on.substr(0, 32)));
  }
  return CheckText("reference", payment.reference, 1, 200);
}

}  // namespace allod::billing::payouts
