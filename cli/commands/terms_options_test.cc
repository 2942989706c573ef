#include "cli/commands/terms_options.h"

#include <gmock/gmock.h>

namespace allod::cli::commands::terms_options_test {
namespace {

using testing::HasSubstr;

TEST(TermsFrom, ReadsEveryClause) {
  TermsOptions options;
  options.start = "2026-11";
  options.free_tokens = {"1000000", "starter=5"};
  options.tiers = {"5000000:10", "models/big=1:2.5", "50000000:20"};
  options.discounts = {"12.25"};
  options.service_level = {"99.5:10"};
  options.free_amount = "3";
  options.commitment = "1000.50:12:5";
  const auto terms = TermsFrom(options, "tenants/ke");
  ASSERT_TRUE(terms) << terms.error().message;
  EXPECT_EQ(terms->name(), "tenants/ke/priceTerms/-");
  EXPECT_EQ(terms->free_tokens(1).model(), "models/starter");
  ASSERT_EQ(terms->volume_tiers_size(), 2);
  EXPECT_EQ(terms->volume_tiers(0).tiers(1).basis_points(), 2'000);
  EXPECT_EQ(terms->volume_tiers(1).tiers(0).basis_points(), 250);
  EXPECT_EQ(terms->discounts(0).basis_points(), 1'225);
  EXPECT_EQ(terms->commitment().monthly_amount(), "1000.50");
  EXPECT_EQ(terms->commitment().months(), 12);
  EXPECT_EQ(terms->commitment().basis_points(), 500);
  const std::string shown = ShowTerms(*terms);
  for (const char* text : {"from 2026-11", "1000000 tokens a month are free (all models)", "(models/starter)",
                           "above 50000000 tokens a month 20 % off", "12.25 % off",
                           "10 % of an instance's amount back where it was available for less than 99.5 %",
                           "at least 1000.50 a month for 12 months, 5 %"}) {
    EXPECT_THAT(shown, HasSubstr(text));
  }
}

TEST(TermsFrom, NamesTheOptionThatIsWrong) {
  const auto message = [](auto&& spoil) {
    TermsOptions options;
    spoil(options);
    const auto terms = TermsFrom(options, "tenants/ke");
    return terms ? std::string("nothing") : terms.error().message;
  };
  EXPECT_THAT(message([](auto& o) { o.free_tokens = {"many"}; }), HasSubstr("--free-tokens: 'many'"));
  EXPECT_THAT(message([](auto& o) { o.tiers = {"5"}; }), HasSubstr("--tier: '5'"));
  EXPECT_THAT(message([](auto& o) { o.tiers = {"5:101"}; }), HasSubstr("--tier"));
  EXPECT_THAT(message([](auto& o) { o.discounts = {"1.255"}; }), HasSubstr("--discount"));
  EXPECT_THAT(message([](auto& o) { o.commitment = "100"; }), HasSubstr("--commit"));
  EXPECT_THAT(message([](auto& o) { o.commitment = "100:0"; }), HasSubstr("--commit"));
  EXPECT_THAT(message([](auto& o) { o.commitment = "100:1:x"; }), HasSubstr("--commit"));
}

}  // namespace
}  // namespace allod::cli::commands::terms_options_test
