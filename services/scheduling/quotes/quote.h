// A quote: what an instance would cost, and what binds it. Pure.
#pragma once

#include <string>

#include "services/common/money.h"
#include "services/scheduling/domain.h"

namespace allod::scheduling::quotes {

inline constexpr std::chrono::hours kQuoteLasts{24 * 14};
inline constexpr int kQuotedDays = 30;                    // of a month
inline constexpr int kOpenQuotesMax = 1000;               // of a tenant, that have not expired
inline constexpr std::chrono::hours kQuoteKept{24 * 90};  // after it expired, unless an instance has it

struct QuotedUse {
  std::int64_t requests_per_day = 0;
  std::int64_t prompt_tokens = 0;  // of each request
  std::int64_t completion_tokens = 0;
  int hours_per_day = 24;  // in which the replicas answer
  bool operator==(const QuotedUse&) const = default;
};

// Of one token, and of one second of one replica.
struct QuotedPrices {
  std::string price_book;
  std::string currency_code;
  Amount prompt;
  Amount completion;
  Amount second;
  bool operator==(const QuotedPrices&) const = default;
};

struct MonthlyCost {
  Amount tokens;
  Amount time;
  Amount total;
  bool operator==(const MonthlyCost&) const = default;
};

struct Quote {
  TenantId tenant;
  Uuid id;
  std::string project;  // `tenants/{tenant}/projects/{project}`
  InstanceSpec spec;    // with its defaults, and without a quote
  QuotedUse use;
  QuotedPrices prices;
  MonthlyCost monthly;
  std::string misfit;  // why it would not have been placed; empty: it would have been
  Time create_time;    // whole microseconds, as the next
  Time expire_time;

  std::string name() const { return project + "/quotes/" + id.ToString(); }
};

// INVALID_ARGUMENT / INVALID_USE.
Status CheckUse(const QuotedUse& use);
// Of kQuotedDays, exact. OUT_OF_RANGE.
Result<MonthlyCost> CostOf(const QuotedPrices& prices, const QuotedUse& use, int replicas);

// The id in a quote's name. INVALID_ARGUMENT / INVALID_NAME.
Result<Uuid> QuoteIdOf(std::string_view field, const std::string& name);

// Whether an instance of `project` with this spec (defaults filled in) may be billed at the quote. `stands`: it is
// already, so that the quote may have expired since. FAILED_PRECONDITION / QUOTE_NOT_FOUND (of another project),
// QUOTE_EXPIRED, QUOTE_MISMATCH (names what differs).
Status CheckBinding(const Quote& quote, const std::string& project, const InstanceSpec& spec, bool stands, Time now);
// FAILED_PRECONDITION / QUOTE_NOT_FOUND.
Error QuoteNotFound(const std::string& name);
// Whether one more may be made beside those that have not expired. RESOURCE_EXHAUSTED / TOO_MANY_QUOTES.
Status RoomForQuote(std::int64_t open);
// Whether a repeated request asks for what was quoted. ALREADY_EXISTS / REQUEST_ID_REUSED.
Status CheckSameAsked(const Quote& stored, const Quote& asked);

}  // namespace allod::scheduling::quotes
