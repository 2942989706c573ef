// The values of billing and the rules that need nothing else: prices, limits, ids, invoice periods.
//
// Pure: no I/O, no clock, no proto, no SQL. Amounts are exact (services/common/money.h); prices are per token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/result.h"

namespace allod::billing {

inline constexpr std::int64_t kTokensMax = 1'000'000'000;  // of either kind in one request
inline constexpr std::chrono::hours kReservationLifetimeMax{24};
inline constexpr std::chrono::minutes kRequestIdSkewMax{15};  // id time against the clock, both ways
inline constexpr std::size_t kPricesPerBookMax = 1000;
inline constexpr std::size_t kInvoiceLinesMax = 10'000;
inline constexpr std::int32_t kRevisionsMax = 100;  // of one reservation
// 10^9 currency units per million tokens, and 10^15 units of credit: with kTokensMax no hold can leave NUMERIC(38,0).
inline constexpr Amount kTokenPriceMax = Amount::FromPico(Int128{1'000'000'000'000'000});
// 10^9 currency units per hour of a replica.
inline constexpr Amount kSecondPriceMax = Amount::FromPico(Int128{1'000'000'000} * 1'000'000'000'000 / 3600);
inline constexpr Amount kCreditLimitMax = Amount::FromPico(Int128{1'000'000'000'000'000} * 1'000'000'000'000);

// `pooled`, `isolated` or `dedicated`, else INVALID_ARGUMENT / INVALID_ISOLATION_CLASS.
inline constexpr std::string_view kIsolated = "isolated";
Status CheckIsolationClass(std::string_view field, std::string_view isolation_class);

// What one token, and one second of a replica, costs; `variant_id` empty: every variant without a row of its own;
// `isolation_class` empty: every class without a row of its own.
struct TokenPrice {
  std::string currency_code;
  std::string variant_id;
  Amount prompt;
  Amount completion;
  std::string isolation_class;
  Amount instance_second = {};  // of one replica that answers

  auto operator<=>(const TokenPrice&) const = default;
};

// What decides the price of a token, in the currency of the tenant's account.
struct PriceKey {
  Uuid price_book;
  std::string variant;  // `models/{model}/versions/{version}/variants/{variant}`
  std::string isolation_class{kIsolated};

  auto operator<=>(const PriceKey&) const = default;
};

// What a book says of a key.
struct KeyPrice {
  bool book_exists = false;
  std::optional<TokenPrice> price;  // what FindPrice gives
};

// Immutable. `prices` is sorted and has one row per (currency, variant, class).
struct PriceBook {
  Uuid id;
  std::string listing;
  std::vector<TokenPrice> prices;
  Time create_time;
};

struct BillingAccount {
  TenantId tenant;
  std::string tenant_name;  // `tenants/ke`
  std::string currency_code;
  Amount credit_limit;
  Amount posted;  // owed
  Amount held;
  Amount wallet{};                   // paid beforehand
  std::int64_t budgets_version = 0;  // another with each change of its budgets; 0: there never was one
};

// The accounts of every tenant's books. Usage moves from `receivable` (debit) to `usage-revenue` (credit).
inline constexpr std::string_view kReceivable = "receivable";
inline constexpr std::string_view kUsageRevenue = "usage-revenue";
inline constexpr std::string_view kRounding = "rounding";
// What is paid beforehand, what was received, and what vouchers gave.
inline constexpr std::string_view kWallet = "wallet";
inline constexpr std::string_view kPayments = "payments";
inline constexpr std::string_view kVouchers = "vouchers";

struct LedgerAccount {
  std::string code;
  std::string currency_code;
  Amount balance;  // credits less debits, posted
  Amount held;     // holds that would debit it
};

enum class Outcome { kCompleted = 1, kClientCancelled = 2, kFault = 3, kGatewayLost = 4 };

// The money set aside for one request, with the prices it pinned. While the request waits it can be replaced by another
// revision, on the terms that it will run on; one of them at most has an open hold.
struct Reservation {
  TenantId tenant;
  Uuid request_id;
  std::int32_t revision = 0;
  std::string instance;
  std::string variant;
  Uuid price_book;
  std::string api_key;  // may be empty
  std::int64_t prompt_tokens_max = 0;
  std::int64_t completion_tokens_max = 0;
  std::string currency_code;
  Amount prompt_price;
  Amount completion_price;
  Amount hold;
  Time expire_time;  // whole microseconds
  std::string isolation_class{kIsolated};
};

// The id of the hold of one revision: the request id for the first.
Uuid HoldId(Uuid request_id, std::int32_t revision);

// One request, counted once.
struct UsageRecord {
  TenantId tenant;
  Uuid request_id;
  std::string instance;
  std::string variant;
  Uuid price_book;
  std::string api_key;
  Outcome outcome = Outcome::kCompleted;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::string currency_code;
  Amount prompt_price;
  Amount completion_price;
  bool billed = false;  // by the delivered-tokens rule; false makes the cost zero whatever the price
  Amount cost;
  Time admit_time;  // the time in the request id
  Time settle_time;
  std::string isolation_class{kIsolated};
  std::int32_t revision = 0;  // of the reservation that it settles
  std::optional<Uuid> lease;  // it was admitted from, without a reservation
  // Those of the tokens above that the hold did not cover: delivered, and not billed, because it was our fault.
  std::int64_t excess_prompt_tokens = 0;
  std::int64_t excess_completion_tokens = 0;
};

// What one instance used at one price; only what was billed, so amount = tokens x prices.
struct InvoiceLine {
  std::string instance;
  std::string variant;
  Uuid price_book;
  std::int64_t request_count = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  Amount prompt_price;
  Amount completion_price;
  Amount amount;
  std::string isolation_class;
};

// A month in UTC.
struct InvoicePeriod {
  std::string name;  // YYYY-MM
  Time start;
  Time end;
};

// Sorts the prices and checks their count, currencies, ids and bounds. INVALID_ARGUMENT / INVALID_PRICE_BOOK,
// DUPLICATE_PRICE, PRICE_OUT_OF_RANGE, UNKNOWN_CURRENCY, INVALID_ID.
Result<PriceBook> CheckPriceBook(PriceBook book);
// Same listing and prices; the times do not matter.
bool SameContent(const PriceBook& a, const PriceBook& b);

// In this currency the most specific row: that of the variant and the class, else of the variant, else of the class,
// else that of neither. What a level of compression costs is the more deliberate statement, so it goes before the
// class.
std::optional<TokenPrice> FindPrice(const std::vector<TokenPrice>& prices, std::string_view currency_code,
                                    std::string_view variant_id, std::string_view isolation_class);
// Of a million tokens, exact; with the largest price far below the limit of an amount.
std::string PerMillion(Amount token_price);
// The last segment of `models/m/versions/v/variants/q4_k_m`.
std::string VariantId(std::string_view variant);

// Exact cost. OUT_OF_RANGE past 10^38 - 1.
Result<Amount> Cost(Amount prompt_price, std::int64_t prompt_tokens, Amount completion_price,
                    std::int64_t completion_tokens);

// The millisecond in a version 7 UUID. INVALID_ARGUMENT / INVALID_REQUEST_ID for other versions.
Result<Time> TimeOfRequestId(Uuid id);
// The smallest version 7 id of any request admitted at or after `time`: turns time ranges into key ranges.
Uuid FirstRequestIdAt(Time time);

// As in 2026-10-31T00:00:00Z.
std::string Instant(Time time);

// `current` or YYYY-MM, 2020 to 2199. INVALID_ARGUMENT / INVALID_PERIOD.
Result<InvoicePeriod> ParsePeriod(std::string_view text, Time now);
// Whether `time` is in a month that has such a name: nothing else is billed, or invoiced.
bool HasPeriod(Time time);

// The month that begins then.
InvoicePeriod PeriodOf(Time month);
// The first moment of the month after that of `month`.
Time NextMonth(Time month);

// The exact sum.
Result<Amount> TotalOf(const std::vector<InvoiceLine>& lines);

// 0 to kCreditLimitMax, else INVALID_ARGUMENT / CREDIT_LIMIT_OUT_OF_RANGE.
Status CheckCreditLimit(Amount credit_limit);
// FAILED_PRECONDITION / CURRENCY_IMMUTABLE.
Error CurrencyImmutable(const std::string& opened_in, const std::string& asked);

}  // namespace allod::billing
