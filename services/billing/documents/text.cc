#include "services/billing/documents/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "services/billing/documents/words.h"

namespace allod::billing::documents {

std::string Date(Time time) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  return fmt::format("{:04}-{:02}-{:02}", int(day.year()), unsigned(day.month()), unsigned(day.day()));
}

std::string IsoTime(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const std::chrono::hh_mm_ss clock(seconds - std::chrono::floor<std::chrono::days>(seconds));
  return fmt::format("{}T{:02}:{:02}:{:02}Z", Date(time), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

std::string Fixed(Amount amount, int decimals) {
  std::string out = amount.ToString();
  std::size_t point = out.find('.');
  if (point == std::string::npos && decimals > 0) {
    point = out.size();
    out += '.';
  }
  if (decimals > 0) {
    const std::size_t have = out.size() - point - 1;
    if (have < static_cast<std::size_t>(decimals)) out.append(static_cast<std::size_t>(decimals) - have, '0');
  }
  return out;
}

std::string Grouped(std::string_view number) {
  constexpr std::string_view kThinSpace = "\u202f";
  const std::size_t first = number.starts_with('-') ? 1 : 0;
  const std::size_t end = std::min(number.find('.'), number.size());
  std::string out;
  for (std::size_t i = 0; i < number.size(); ++i) {
    if (i > first && i < end && (end - i) % 3 == 0) out += kThinSpace;
    out += number[i];
  }
  return out;
}

std::string Percent(std::int32_t basis_points) {
  std::string out = fmt::format("{}.{:02}", basis_points / 100, basis_points % 100);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

std::string Upper(std::string_view country_code) {
  std::string out(country_code);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

Time LastDay(const InvoicePeriod& period) { return period.end - std::chrono::days(1); }

bool IsCredit(const IssuedInvoice& invoice) { return invoice.kind == IssuedInvoice::Kind::kCreditNote; }

Amount Negated(Amount amount) { return Amount::FromPico(-amount.pico()); }

std::string_view LastSegment(std::string_view resource_name) {
  return resource_name.substr(resource_name.rfind('/') + 1);  // npos + 1 == 0: no slash, the whole name
}

std::string_view CodeOf(ChargeKind kind) {
  switch (kind) {
    case ChargeKind::kInstanceTime:
      return "instance_time";
    case ChargeKind::kFreeAllowance:
      return "free_allowance";
    case ChargeKind::kVolumeTier:
      return "volume_tier";
    case ChargeKind::kDiscount:
      return "discount";
    case ChargeKind::kCommitmentShortfall:
      return "commitment_shortfall";
    case ChargeKind::kRerating:
      return "rerating";
  }
  std::abort();
}

std::string_view CodeOf(ChargeUnit unit) {
  switch (unit) {
    case ChargeUnit::kOne:
      return "one";
    case ChargeUnit::kSecond:
      return "second";
    case ChargeUnit::kToken:
      return "token";
  }
  std::abort();
}

std::string_view EnglishNameOf(const IssuedLine& line) {
  const Words& english = **WordsIn("");
  if (line.charge) return WordOf(line.charge->kind, english);
  return line.meter == Meter::kPrompt ? english.prompt_tokens : english.completion_tokens;
}

std::string PricedQuantity(std::int64_t quantity, std::int64_t per) {
  // A whole as an amount is 10^12; no quantity comes near the limit with it.
  return ExactOf(quantity, Amount::FromPico(1'000'000'000'000), per).value().ToString();
}

}  // namespace allod::billing::documents
