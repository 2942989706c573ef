#include "services/scheduling/quotes/quote.h"

#include <gtest/gtest.h>

#include <functional>

namespace allod::scheduling::quotes::quote_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28);

Quote Quoted() {
  Quote quote;
  quote.id = Uuid::FromName("quotes/one");
  quote.project = "tenants/ke/projects/p";
  quote.spec = {"listings/l", "models/m/versions/1/variants/q4_k_m", "ke-1", IsolationClass::kIsolated, 2, 4096, 4, 60};
  quote.create_time = kNow;
  quote.expire_time = kNow + kQuoteLasts;
  return quote;
}

InstanceSpec Named() {
  InstanceSpec spec = Quoted().spec;
  spec.quote = Quoted().name();
  return spec;
}

TEST(CostOf, IsExactForAMonthOfThirtyDays) {
  const QuotedPrices prices{"priceBooks/b", "KES", Amount::FromPico(50'000'000), Amount::FromPico(150'500'000),
                            Amount::FromPico(250'000'000)};
  struct Case {
    const char* what;
    QuotedUse use;
    int replicas;
    const char* tokens;
    const char* time;
    const char* total;
  };
  const Case kCases[] = {
      {"nothing asked, all day", {}, 1, "0", "648", "648"},
      {"two replicas for eight hours", {.hours_per_day = 8}, 2, "0", "432", "432"},
      {"a thousand requests a day", {1000, 31, 17, 24}, 1, "123.255", "648", "771.255"},
      {"the most", {1'000'000'000, 10'000'000, 10'000'000, 24}, 16, "60150000000000", "10368", "60150000010368"},
  };
  for (const Case& c : kCases) {
    const auto cost = CostOf(prices, c.use, c.replicas);
    ASSERT_TRUE(cost) << c.what;
    EXPECT_EQ(cost->tokens.ToString(), c.tokens) << c.what;
    EXPECT_EQ(cost->time.ToString(), c.time) << c.what;
    EXPECT_EQ(cost->total.ToString(), c.total) << c.what;
  }
  QuotedPrices dear = prices;
  dear.completion = Amount::ParsePico(std::string(30, '9')).value();
  EXPECT_EQ(CostOf(dear, {1'000'000'000, 0, 10'000'000, 24}, 1).error().code, Code::kOutOfRange);
}

TEST(CheckUse, NamesTheFieldAndItsBounds) {
  EXPECT_TRUE(CheckUse({}));
  for (const auto& [use, field] : {std::pair(QuotedUse{.requests_per_day = -1}, "requests_per_day"),
                                   std::pair(QuotedUse{.requests_per_day = 1'000'000'001}, "requests_per_day"),
                                   std::pair(QuotedUse{.prompt_tokens = 10'000'001}, "prompt_tokens"),
                                   std::pair(QuotedUse{.completion_tokens = -5}, "completion_tokens"),
                                   std::pair(QuotedUse{.hours_per_day = 25}, "hours_per_day"),
                                   std::pair(QuotedUse{.hours_per_day = -1}, "hours_per_day")}) {
    const Status checked = CheckUse(use);
    ASSERT_FALSE(checked) << field;
    EXPECT_EQ(checked.error().reason, "INVALID_USE");
    EXPECT_NE(checked.error().message.find(field), std::string::npos) << checked.error().message;
  }
}

TEST(CheckBinding, BindsWhatWasQuotedUntilItExpiresAndForAsLongAsItStands) {
  const auto reason = [](const InstanceSpec& spec, bool stands, Time now,
                         const std::string& project = "tenants/ke/projects/p") {
    const Status bound = CheckBinding(Quoted(), project, spec, stands, now);
    return bound ? std::string() : bound.error().reason;
  };
  EXPECT_EQ(reason(Named(), false, kNow), "");
  EXPECT_EQ(reason(Named(), false, kNow + kQuoteLasts - 1us), "");
  EXPECT_EQ(reason(Named(), false, kNow + kQuoteLasts), "QUOTE_EXPIRED");
  EXPECT_EQ(reason(Named(), true, kNow + kQuoteLasts), "");
  EXPECT_EQ(reason(Named(), false, kNow, "tenants/ke/projects/q"), "QUOTE_NOT_FOUND");
  InstanceSpec foreign = Named();
  foreign.quote = "tenants/tz/projects/p/quotes/" + Quoted().id.ToString();
  EXPECT_EQ(reason(foreign, false, kNow), "QUOTE_NOT_FOUND");

  const std::pair<const char*, std::function<void(InstanceSpec&)>> kChanges[] = {
      {"listing", [](auto& s) { s.listing = "listings/other"; }},
      {"variant", [](auto& s) { s.variant = "models/m/versions/1/variants/q8_0"; }},
      {"region", [](auto& s) { s.region = "tz-1"; }},
      {"isolation_class", [](auto& s) { s.isolation_class = IsolationClass::kDedicated; }},
      {"replicas", [](auto& s) { s.replicas = 3; }},
      {"context_tokens", [](auto& s) { s.context_tokens = 512; }},
      {"max_concurrency", [](auto& s) { s.max_concurrency = 5; }},
      {"sleep_after_seconds", [](auto& s) { s.sleep_after_seconds = 0; }},
  };
  for (const auto& [field, change] : kChanges) {
    InstanceSpec spec = Named();
    change(spec);
    for (const bool stands : {false, true}) {
      const Status bound = CheckBinding(Quoted(), "tenants/ke/projects/p", spec, stands, kNow);
      ASSERT_FALSE(bound) << field;
      EXPECT_EQ(bound.error().reason, "QUOTE_MISMATCH");
      EXPECT_NE(bound.error().message.find(std::string("spec.") + field), std::string::npos) << bound.error().message;
    }
  }
}

}  // namespace
}  // namespace allod::scheduling::quotes::quote_test
