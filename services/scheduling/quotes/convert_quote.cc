#include "services/scheduling/quotes/convert_quote.h"

#include "services/common/rpc/timestamp.h"
#include "services/scheduling/convert.h"

namespace allod::scheduling::quotes {
namespace {

std::string MillionOf(Amount token_price) { return Amount::FromPico(token_price.pico() * 1'000'000).ToString(); }

}  // namespace

Result<QuotedUse> UseFrom(const v1::QuotedUse& use) {
  QuotedUse out{.requests_per_day = use.requests_per_day(),
                .prompt_tokens = use.prompt_tokens(),
                .completion_tokens = use.completion_tokens()};
  if (use.hours_per_day() != 0) out.hours_per_day = use.hours_per_day();
  ALLOD_CHECK_OK(CheckUse(out));
  return out;
}

v1::Quote ToProto(const Quote& quote) {
  v1::Quote out;
  out.set_name(quote.name());
  *out.mutable_spec() = ToProto(quote.spec);
  out.mutable_use()->set_requests_per_day(quote.use.requests_per_day);
  out.mutable_use()->set_prompt_tokens(quote.use.prompt_tokens);
  out.mutable_use()->set_completion_tokens(quote.use.completion_tokens);
  out.mutable_use()->set_hours_per_day(quote.use.hours_per_day);
  out.set_price_book(quote.prices.price_book);
  out.set_currency_code(quote.prices.currency_code);
  out.set_prompt_price_per_million(MillionOf(quote.prices.prompt));
  out.set_completion_price_per_million(MillionOf(quote.prices.completion));
  out.set_instance_price_per_hour(PerHour(quote.prices.second));
  const auto fill = [&](Amount amount, billing::v1::Money& money) {
    money.set_currency_code(quote.prices.currency_code);
    money.set_amount(amount.ToString());
  };
  fill(quote.monthly.tokens, *out.mutable_monthly_token_cost());
  fill(quote.monthly.time, *out.mutable_monthly_time_cost());
  fill(quote.monthly.total, *out.mutable_monthly_cost());
  out.set_fits(quote.misfit.empty());
  out.set_fit_message(quote.misfit);
  *out.mutable_create_time() = ToTimestamp(quote.create_time);
  *out.mutable_expire_time() = ToTimestamp(quote.expire_time);
  return out;
}

}  // namespace allod::scheduling::quotes
