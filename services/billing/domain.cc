#include "services/billing/domain.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <tuple>

namespace allod::billing {
namespace {

using std::chrono::milliseconds;

Status CheckPrice(const TokenPrice& price, std::size_t row) {
  const std::string field = fmt::format("price_book.prices[{}]", row);
  if (auto known = MinorUnitDecimals(field + ".currency_code", price.currency_code); !known) {
    return std::unexpected(known.error());
  }
  if (!price.variant_id.empty()) ALLOD_CHECK_OK(CheckId(field + ".variant_id", price.variant_id));
  if (!price.isolation_class.empty()) {
    ALLOD_CHECK_OK(CheckIsolationClass(field + ".isolation_class", price.isolation_class));
  }
  for (const Amount amount : {price.prompt, price.completion}) {
    if (amount < Amount() || amount > kTokenPriceMax) {
      return InvalidArgument("PRICE_OUT_OF_RANGE",
                             field + ": a price per million tokens must be from 0 to 1000000000 currency units");
    }
  }
  if (price.instance_second < Amount() || price.instance_second > kSecondPriceMax) {
    return InvalidArgument("PRICE_OUT_OF_RANGE",
                           field + ".instance_price_per_hour: must be from 0 to 1000000000 currency units");
  }
  return {};
}

}  // namespace

Result<PriceBook> CheckPriceBook(PriceBook book) {
  if (book.id.is_nil()) return InvalidArgument("INVALID_PRICE_BOOK", "price_book.name: the nil UUID is no id");
  if (book.prices.empty() || book.prices.size() > kPricesPerBookMax) {
    return InvalidArgument("INVALID_PRICE_BOOK", fmt::format("price_book.prices: {} rows; give 1 to {}",
                                                             book.prices.size(), kPricesPerBookMax));
  }
  for (std::size_t i = 0; i < book.prices.size(); ++i) ALLOD_CHECK_OK(CheckPrice(book.prices[i], i));
  const auto key = [](const TokenPrice& price) {
    return std::tie(price.currency_code, price.variant_id, price.isolation_class);
  };
  std::ranges::sort(book.prices, {}, key);
  if (const auto twice = std::ranges::adjacent_find(book.prices, {}, key); twice != book.prices.end()) {
    return InvalidArgument("DUPLICATE_PRICE",
                           fmt::format("price_book.prices: two rows for currency {}, variant '{}' and class '{}'",
                                       twice->currency_code, twice->variant_id, twice->isolation_class));
  }
  return book;
}

bool SameContent(const PriceBook& a, const PriceBook& b) {
  return a.id == b.id && a.listing == b.listing && a.prices == b.prices;
}

std::optional<TokenPrice> FindPrice(const std::vector<TokenPrice>& prices, std::string_view currency_code,
                                    std::string_view variant_id, std::string_view isolation_class) {
  std::optional<TokenPrice> best;
  int best_rank = -1;
  for (const TokenPrice& price : prices) {
    if (price.currency_code != currency_code) continue;
    if (!price.variant_id.empty() && price.variant_id != variant_id) continue;
    if (!price.isolation_class.empty() && price.isolation_class != isolation_class) continue;
    const int rank = (price.variant_id.empty() ? 0 : 2) + (price.isolation_class.empty() ? 0 : 1);
    if (rank <= best_rank) continue;
    best = price;
    best_rank = rank;
  }
  return best;
}

Status CheckIsolationClass(std::string_view field, std::string_view isolation_class) {
  if (isolation_class == "pooled" || isolation_class == kIsolated || isolation_class == "dedicated") return {};
  return InvalidArgument("INVALID_ISOLATION_CLASS", fmt::format("{}: '{}' is not pooled, isolated or dedicated", field,
                                                                isolation_class.substr(0, 32)));
}

std::string PerMillion(Amount token_price) { return Amount::FromPico(token_price.pico() * 1'000'000).ToString(); }

std::string VariantId(std::string_view variant) {
  return std::string(variant.substr(variant.rfind('/') + 1));  // npos + 1 == 0: no slash, the whole name
}

Result<Amount> Cost(Amount prompt_price, std::int64_t prompt_tokens, Amount completion_price,
                    std::int64_t completion_tokens) {
  ALLOD_TRY(const Amount prompt, Multiply(prompt_price, prompt_tokens));
  ALLOD_TRY(const Amount completion, Multiply(completion_price, completion_tokens));
  return Add(prompt, completion);
}

Result<Time> TimeOfRequestId(Uuid id) {
  const auto& bytes = id.bytes();
  if ((bytes[6] >> 4) != 7 || (bytes[8] >> 6) != 2) {
    return InvalidArgument("INVALID_REQUEST_ID",
                           fmt::format("request_id: {} is not a version 7 UUID (RFC 9562)", id.ToString()));
  }
  std::int64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = ms << 8 | bytes[i];
  if (ms >= std::int64_t{1} << 43) {  // the year 2248; later ones would overflow a clock that counts nanoseconds
    return InvalidArgument("INVALID_REQUEST_ID",
                           fmt::format("request_id: the time in {} is out of range", id.ToString()));
  }
  return Time(milliseconds(ms));
}

Uuid FirstRequestIdAt(Time time) {
  const std::int64_t last = (std::int64_t{1} << 48) - 1;
  const std::int64_t ms =
      std::clamp<std::int64_t>(std::chrono::ceil<milliseconds>(time.time_since_epoch()).count(), 0, last);
  std::array<std::uint8_t, 16> bytes{};
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  return Uuid::FromBytes(bytes);
}

std::string Instant(Time time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", std::chrono::floor<std::chrono::seconds>(time));
}

Uuid HoldId(Uuid request_id, std::int32_t revision) {
  if (revision == 0) return request_id;
  return Uuid::FromName(fmt::format("usageRecords/{}/holds/{}", request_id.ToString(), revision));
}

Result<InvoicePeriod> ParsePeriod(std::string_view text, Time now) {
  namespace chrono = std::chrono;
  chrono::year_month month{};
  if (text == "current") {
    const chrono::year_month_day today(chrono::floor<chrono::days>(now));
    month = chrono::year_month(today.year(), today.month());
  } else {
    int year = 0;
    unsigned number = 0;
    const auto digits = [](std::string_view part, auto& out) {
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), out);
      return error == std::errc() && end == part.data() + part.size();
    };
    const bool shaped = text.size() == 7 && text[4] == '-' && text[0] != '-' && digits(text.substr(0, 4), year) &&
                        digits(text.substr(5), number);
    month = chrono::year_month(chrono::year(year), chrono::month(number));
    if (!shaped || !month.ok() || !HasPeriod(chrono::sys_days(month / 1))) {
      return InvalidArgument("INVALID_PERIOD", fmt::format("name: the period '{}' is neither `current` nor YYYY-MM "
                                                           "from 2020-01 to 2199-12",
                                                           text.substr(0, 32)));
    }
  }
  return PeriodOf(chrono::sys_days(month / 1));
}

bool HasPeriod(Time time) {
  const int year(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
  return year >= 2020 && year <= 2199;
}

InvoicePeriod PeriodOf(Time month) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(month));
  return {.name = fmt::format("{:04}-{:02}", int(day.year()), unsigned(day.month())),
          .start = month,
          .end = NextMonth(month)};
}

Time NextMonth(Time month) {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(month));
  return std::chrono::sys_days((day.year() / day.month() + std::chrono::months(1)) / 1);
}

Result<Amount> TotalOf(const std::vector<InvoiceLine>& lines) {
  Amount total;
  for (const InvoiceLine& line : lines) {
    ALLOD_TRY(total, Add(total, line.amount));
  }
  return total;
}

Status CheckCreditLimit(Amount credit_limit) {
  if (credit_limit < Amount() || credit_limit > kCreditLimitMax) {
    return InvalidArgument("CREDIT_LIMIT_OUT_OF_RANGE",
                           fmt::format("billing_account.credit_limit: {} is not from 0 to {}", credit_limit.ToString(),
                                       kCreditLimitMax.ToString()));
  }
  return {};
}

Error CurrencyImmutable(const std::string& opened_in, const std::string& asked) {
  return {Code::kFailedPrecondition, "CURRENCY_IMMUTABLE",
          fmt::format("billing_account.currency_code: the account was opened in {} and cannot change to {}", opened_in,
                      asked)};
}

}  // namespace allod::billing
