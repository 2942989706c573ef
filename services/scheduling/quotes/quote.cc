#include "services/scheduling/quotes/quote.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace allod::scheduling::quotes {
namespace {

constexpr std::int64_t kQuotedRequestsMax = 1'000'000'000;
constexpr std::int64_t kQuotedTokensMax = 10'000'000;

Status CheckQuotedCount(const char* field, std::int64_t value, std::int64_t max) {
  if (value >= 0 && value <= max) return {};
  return InvalidArgument("INVALID_USE", fmt::format("quote.use.{} is {}; give 0 to {}", field, value, max));
}

Result<Amount> OfAMonth(Amount price, std::int64_t tokens, std::int64_t requests) {
  ALLOD_TRY(const Amount each, Multiply(price, tokens));
  ALLOD_TRY(const Amount daily, Multiply(each, requests));
  return Multiply(daily, kQuotedDays);
}

}  // namespace

Status CheckUse(const QuotedUse& use) {
  ALLOD_CHECK_OK(CheckQuotedCount("requests_per_day", use.requests_per_day, kQuotedRequestsMax));
  ALLOD_CHECK_OK(CheckQuotedCount("prompt_tokens", use.prompt_tokens, kQuotedTokensMax));
  ALLOD_CHECK_OK(CheckQuotedCount("completion_tokens", use.completion_tokens, kQuotedTokensMax));
  if (use.hours_per_day >= 1 && use.hours_per_day <= 24) return {};
  return InvalidArgument(
      "INVALID_USE",
      fmt::format("quote.use.hours_per_day is {}; give 1 to 24, or 0 for all of the day", use.hours_per_day));
}

Result<MonthlyCost> CostOf(const QuotedPrices& prices, const QuotedUse& use, int replicas) {
  MonthlyCost out;
  ALLOD_TRY(const Amount prompt, OfAMonth(prices.prompt, use.prompt_tokens, use.requests_per_day));
  ALLOD_TRY(const Amount completion, OfAMonth(prices.completion, use.completion_tokens, use.requests_per_day));
  ALLOD_TRY(out.tokens, Add(prompt, completion));
  ALLOD_TRY(out.time, Multiply(prices.second, std::int64_t{3600} * use.hours_per_day * kQuotedDays * replicas));
  ALLOD_TRY(out.total, Add(out.tokens, out.time));
  return out;
}

Result<Uuid> QuoteIdOf(std::string_view field, const std::string& name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "tenants/*/projects/*/quotes/*"));
  const auto id = Uuid::Parse(parts.at(2));
  if (id) return *id;
  return InvalidArgument("INVALID_NAME",
                         fmt::format("{}: {} is not a quote's name, which ends in a UUID", field, name));
}

Error QuoteNotFound(const std::string& name) {
  return {Code::kFailedPrecondition, "QUOTE_NOT_FOUND",
          fmt::format("spec.quote {} does not exist in the project of the instance", name)};
}

Status CheckBinding(const Quote& quote, const std::string& project, const InstanceSpec& spec, bool stands, Time now) {
  if (quote.project != project || quote.name() != spec.quote) return std::unexpected(QuoteNotFound(spec.quote));
  const InstanceSpec& quoted = quote.spec;
  const auto differs = [&](const char* field, const auto& is, const auto& was) {
    return FailedPrecondition("QUOTE_MISMATCH",
                              fmt::format("spec.{} is {}, and {} was made for {}: ask for a new quote, or leave "
                                          "spec.quote out",
                                          field, is, spec.quote, was));
  };
  if (spec.listing != quoted.listing) return differs("listing", spec.listing, quoted.listing);
  if (spec.variant != quoted.variant) return differs("variant", spec.variant, quoted.variant);
  if (spec.region != quoted.region) return differs("region", spec.region, quoted.region);
  if (spec.isolation_class != quoted.isolation_class) {
    return differs("isolation_class", NameOf(spec.isolation_class), NameOf(quoted.isolation_class));
  }
  if (spec.replicas != quoted.replicas) return differs("replicas", spec.replicas, quoted.replicas);
  if (spec.context_tokens != quoted.context_tokens) {
    return differs("context_tokens", spec.context_tokens, quoted.context_tokens);
  }
  if (spec.max_concurrency != quoted.max_concurrency) {
    return differs("max_concurrency", spec.max_concurrency, quoted.max_concurrency);
  }
  if (spec.sleep_after_seconds != quoted.sleep_after_seconds) {
    return differs("sleep_after_seconds", spec.sleep_after_seconds, quoted.sleep_after_seconds);
  }
  if (stands || now < quote.expire_time) return {};
  return FailedPrecondition("QUOTE_EXPIRED",
                            fmt::format("spec.quote {} expired at {:%Y-%m-%dT%H:%M:%SZ}; ask for a new one", spec.quote,
                                        std::chrono::floor<std::chrono::seconds>(quote.expire_time)));
}

Status RoomForQuote(std::int64_t open) {
  if (open < kOpenQuotesMax) return {};
  return Fail(Code::kResourceExhausted, "TOO_MANY_QUOTES",
              fmt::format("a tenant may have {} quotes that have not expired", kOpenQuotesMax));
}

Status CheckSameAsked(const Quote& stored, const Quote& asked) {
  if (stored.project == asked.project && stored.spec == asked.spec && stored.use == asked.use) return {};
  return Fail(Code::kAlreadyExists, "REQUEST_ID_REUSED",
              "request_id: was used for a quote of something else; take a new one");
}

}  // namespace allod::scheduling::quotes
