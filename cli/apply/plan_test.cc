#include "cli/apply/plan.h"

#include <gtest/gtest.h>

#include "allod/billing/v1/billing_account.pb.h"
#include "allod/catalog/v1/listing.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"

namespace allod::cli::apply::plan_test {
namespace {

using Changes = std::vector<FieldChange>;

scheduling::v1::InstanceSpec Spec(scheduling::v1::IsolationClass isolation_class, int concurrency, int sleep_seconds) {
  scheduling::v1::InstanceSpec spec;
  spec.set_listing("listings/l");
  spec.set_isolation_class(isolation_class);
  spec.set_max_concurrency(concurrency);
  spec.set_sleep_after_seconds(sleep_seconds);
  return spec;
}

TEST(Differences, NamesEveryFieldThatALeftOutOneWouldReset) {
  const auto current = Spec(scheduling::v1::ISOLATION_CLASS_POOLED, 8, 100);
  EXPECT_EQ(Differences(current, current, FieldNames(current), {}), Changes{});
  // What an update would leave of a manifest that says maxConcurrency: 9 alone.
  const auto after = Spec(scheduling::v1::ISOLATION_CLASS_ISOLATED, 9, 0);
  EXPECT_EQ(Differences(current, after, FieldNames(current), {}), (Changes{{"isolationClass", "POOLED", "ISOLATED"},
                                                                           {"maxConcurrency", "8", "9"},
                                                                           {"sleepAfterSeconds", "100", ""}}));
}

TEST(Differences, ReadAsASentence) {
  EXPECT_EQ(ToText({{"isolationClass", "POOLED", "ISOLATED"}, {"sleepAfterSeconds", "100", ""}}),
            "isolationClass: POOLED -> ISOLATED, sleepAfterSeconds: 100 -> default");
  EXPECT_EQ(ToText(Changes{}), "");
}

TEST(Differences, CompareDecimalsAsNumbersAndTextAsText) {
  billing::v1::BillingAccount current, wanted;
  current.set_credit_limit("12.5");
  wanted.set_credit_limit("12.50");
  const std::set<std::string> decimals = {"allod.billing.v1.BillingAccount.credit_limit"};
  EXPECT_EQ(Differences(current, wanted, {"credit_limit"}, decimals), Changes{});
  EXPECT_EQ(Differences(current, wanted, {"credit_limit"}, {}), (Changes{{"creditLimit", "12.5", "12.50"}}));

  tenancy::v1::Tenant seven, padded;
  seven.set_display_name("7");
  padded.set_display_name("007.0");
  EXPECT_EQ(Differences(seven, padded, {"display_name"}, decimals), (Changes{{"displayName", "7", "007.0"}}));
}

TEST(Differences, TakeListsAsSetsOfTypedRows) {
  const std::set<std::string> decimals = {"allod.billing.v1.TokenPrice.prompt_price_per_million"};
  catalog::v1::Listing current, wanted;
  for (const char* code : {"ke", "ug"}) current.add_territory(code);
  for (const char* code : {"ug", "ke"}) wanted.add_territory(code);
  for (auto [listing, digits] : {std::pair{&current, "5"}, std::pair{&wanted, "5.00"}}) {
    auto& price = *listing->add_prices();
    price.set_currency_code("KES");
    price.set_prompt_price_per_million(digits);
  }
  EXPECT_EQ(Differences(current, wanted, {"territory", "prices"}, decimals), Changes{});
  wanted.mutable_prices(0)->set_isolation_class("pooled");
  wanted.add_territory("tz");
  const auto changes = Differences(current, wanted, {"territory", "prices"}, decimals);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0], (FieldChange{"territory", "ke,ug", "ug,ke,tz"}));
  EXPECT_EQ(changes[1].field, "prices");
}

// A manifest that names a field of something that cannot be changed is told when it says otherwise, an empty value
// included; plan and manifest go by the fields that are given.
TEST(Differences, SeeAValueThatWasGivenEmpty) {
  tenancy::v1::Tenant current, wanted;
  current.set_display_name("Kenya");
  EXPECT_EQ(Differences(current, wanted, {"display_name"}, {}), (Changes{{"displayName", "Kenya", ""}}));
  EXPECT_EQ(Differences(current, wanted, {}, {}), Changes{});
}

}  // namespace
}  // namespace allod::cli::apply::plan_test
