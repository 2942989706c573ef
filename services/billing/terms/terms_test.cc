// What terms do to a month, as tables and for whatever terms and use there may be.
#include "services/billing/terms/terms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "services/billing/charge_lines.h"
#include "services/billing/terms/adjust.h"

namespace allod::billing::terms::terms_test {
namespace {

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 10 / 15);
const Time kOctober = ParsePeriod("2026-10", kNow)->start;
const Time kNovember = NextMonth(kOctober);

Amount Kes(const std::string& text) { return Amount::Parse("amount", text).value(); }
// A token at so many KES a million.
Used Tokens(std::int64_t tokens, std::int64_t per_million, const char* model = "models/a") {
  return {.model = model, .price = Amount::FromPico(Int128{per_million} * 1'000'000), .tokens = tokens};
}
Used Hours(const char* amount, const char* model = "models/a") { return {.model = model, .time = Kes(amount)}; }

Terms Some() { return {.tenant_name = "tenants/ke", .start_month = kOctober}; }
Terms Free(std::int64_t tokens) {
  Terms out = Some();
  out.free_tokens = {{"", tokens}};
  return out;
}
Terms Tiers(std::vector<Tier> tiers) {
  Terms out = Some();
  out.tiers = {{"", std::move(tiers)}};
  return out;
}
Terms Off(std::vector<Discount> discounts) {
  Terms out = Some();
  out.discounts = std::move(discounts);
  return out;
}
Terms Committed(const char* monthly, std::int32_t basis_points = 0, const char* free_amount = "") {
  Terms out = Some();
  out.commitment = {Kes(monthly), 2, basis_points};
  if (*free_amount != 0) out.free_amount = Kes(free_amount);
  return out;
}

// "clause amount" of each, in the order of their names.
std::string Said(const Adjustments& adjustments) {
  std::string out;
  for (const auto& [key, adjustment] : adjustments) {
    out += (out.empty() ? "" : ", ") + key + " " + adjustment.exact.ToString();
  }
  return out;
}

TEST(Adjust, FollowsTheClausesInTheirOrder) {
  struct Row {
    const char* name;
    Terms terms;
    std::vector<Used> used;
    const char* said;
  };
  const Row rows[] = {
      {"nothing agreed", Some(), {Tokens(1'000'000, 50)}, ""},
      {"all is free", Free(2'000'000), {Tokens(1'000'000, 50)}, "free_tokens -50"},
      {"the dearest are free", Free(1'000'000), {Tokens(1'000'000, 50), Tokens(400'000, 150)}, "free_tokens -90"},
      {"below the first tier", Tiers({{1'000'000, 1'000}}), {Tokens(1'000'000, 50)}, ""},
      {"what is above a tier", Tiers({{1'000'000, 1'000}}), {Tokens(3'000'000, 50)}, "tiers -10"},
      {"each tier its own part", Tiers({{1'000'000, 1'000}, {2'000'000, 2'000}}), {Tokens(4'000'000, 50)}, "tiers -25"},
      {"the cheapest are in the upper tiers",
       Tiers({{1'000'000, 5'000}}),
       {Tokens(1'000'000, 10), Tokens(1'000'000, 100)},
       "tiers -5"},
      {"off tokens and time", Off({{"", 1'250}}), {Tokens(1'000'000, 50), Hours("30")}, "discount -10"},
      {"of one model",
       Off({{"models/b", 1'000}}),
       {Tokens(1'000'000, 50), Tokens(1'000'000, 20, "models/b")},
       "discount/models/b -2"},
      {"its own clause instead of that for all",
       Off({{"", 1'000}, {"models/b", 2'000}}),
       {Tokens(1'000'000, 50), Tokens(1'000'000, 20, "models/b")},
       "discount -5, discount/models/b -4"},
      {"half to even", Off({{"", 5'000}}), {Hours("0.000000000001")}, ""},
      {"... upwards", Off({{"", 5'000}}), {Hours("0.000000000003")}, "discount -0.000000000002"},
      {"what is missing", Committed("100"), {Tokens(1'000'000, 50)}, "commitment 50"},
      {"nothing was used", Committed("100"), {}, "commitment 100"},
      {"enough was used", Committed("100"), {Tokens(2'000'000, 50)}, ""},
      {"off in return", Committed("100", 1'000), {Tokens(3'000'000, 50)}, "commitment_discount -15"},
      {"what is free does not count",
       Committed("100", 0, "30"),
       {Tokens(2'000'000, 50)},
       "commitment 30, free_amount -30"},
  };
  for (const Row& row : rows) {
    const auto checked = CheckTerms(row.terms, 2);
    ASSERT_TRUE(checked) << row.name << ": " << checked.error().message;
    EXPECT_EQ(Said(Adjust(*checked, kOctober, row.used).value()), row.said) << row.name;
  }
  Terms free_amount = Some();
  free_amount.free_amount = Kes("80");
  EXPECT_EQ(Said(Adjust(free_amount, kOctober, {Tokens(1'000'000, 50)}).value()), "free_amount -50")
      << "no more than there is";
}

TEST(Adjust, ACommitmentIsOverAfterItsMonths) {
  const Terms terms = Committed("100", 1'000);
  EXPECT_NE(Said(Adjust(terms, kNovember, {}).value()), "");
  EXPECT_EQ(Said(Adjust(terms, NextMonth(kNovember), {Tokens(1'000'000, 50)}).value()), "");
}

TEST(Adjust, RefusesWhatHasNoAmount) {
  EXPECT_EQ(Adjust(Some(), kOctober, {Tokens(INT64_MAX, INT64_MAX), Tokens(INT64_MAX, INT64_MAX)}).error().code,
            Code::kOutOfRange);
}

TEST(OpenAdjustments, IsTheDifferenceToWhatWasInvoiced) {
  const Adjustments all = {{"discount", {ChargeKind::kDiscount, "10%", Kes("-10")}},
                           {"tiers", {ChargeKind::kVolumeTier, "", Kes("-3")}}};
  const auto open =
      OpenAdjustments(all, {{"discount", Kes("-4")}, {"tiers", Kes("-3")}, {"commitment", Kes("7")}}, kOctober).value();
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[0].terms.term, "commitment");
  EXPECT_EQ(open[0].exact, Kes("-7")) << "late use was enough";
  EXPECT_EQ(open[1].exact, Kes("-6"));
  EXPECT_EQ(open[1].terms.detail, "10%");
}

// Whatever is agreed, and used.
class Anything {
 public:
  explicit Anything(std::uint64_t seed) : random_(seed) {}
  std::int64_t Up(std::int64_t max) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(max + 1));
  }
  std::string Model() { return std::string("models/") + static_cast<char>('a' + Up(2)); }
  Terms AnyTerms() {
    Terms out = Some();
    for (const std::string& model : {std::string(), std::string("models/a"), std::string("models/b")}) {
      if (Up(1) == 0) out.free_tokens.push_back({model, 1 + Up(100'000)});
      if (Up(1) == 0) {
        VolumeTiers& clause = out.tiers.emplace_back(VolumeTiers{model, {}});
        std::int64_t from = 0;
        std::int32_t off = 0;
        for (std::int64_t i = 0; i <= Up(3); ++i) {
          from += 1 + Up(50'000);
          off = std::min<std::int32_t>(10'000, off + 1 + static_cast<std::int32_t>(Up(3'000)));
          clause.tiers.push_back({from, off});
        }
      }
      if (Up(1) == 0) out.discounts.push_back({model, 1 + static_cast<std::int32_t>(Up(9'999))});
    }
    if (Up(1) == 0) out.free_amount = Amount::FromPico(Int128{1 + Up(500)} * 10'000'000'000);
    if (Up(1) == 0) {
      out.commitment = {Amount::FromPico(Int128{1 + Up(2'000)} * 10'000'000'000), 3,
                        static_cast<std::int32_t>(Up(10'000))};
    }
    return CheckTerms(out, 2).value();
  }
  std::vector<Used> AnyUse() {
    std::vector<Used> out;
    for (std::int64_t i = 0; i < Up(8); ++i) {
      out.push_back(Up(3) == 0
                        ? Used{.model = Model(), .time = Amount::FromPico(Up(1'000'000'000'000'000))}
                        : Used{.model = Model(), .price = Amount::FromPico(Up(200'000'000)), .tokens = Up(80'000)});
    }
    return out;
  }
  template <typename T>
  void Shuffle(std::vector<T>& of) {
    std::ranges::shuffle(of, random_);
  }

 private:
  std::mt19937_64 random_;
};

TEST(Adjust, NeverBelowNothingInWhateverOrderAndMoreUseNeverCostsLess) {
  Anything any(11);
  for (int round = 0; round < 4'000; ++round) {
    const Terms terms = any.AnyTerms();
    std::vector<Used> used = any.AnyUse();
    const Adjustments adjustments = Adjust(terms, kOctober, used).value();
    const Amount cost = CostOf(used, adjustments).value();
    ASSERT_GE(cost, Amount()) << Said(adjustments);
    if (terms.commitment) {
      ASSERT_GE(cost, terms.commitment->monthly);
    }
    std::vector<Used> shuffled = used;
    any.Shuffle(shuffled);
    ASSERT_EQ(Said(Adjust(terms, kOctober, shuffled).value()), Said(adjustments));
    const std::vector<Used> more = any.AnyUse();
    used.insert(used.end(), more.begin(), more.end());
    const Amount dearer = CostOf(used, Adjust(terms, kOctober, used).value()).value();
    ASSERT_GE(dearer, Amount::FromPico(cost.pico() - 50)) << "but for what rounding to 10^-12 does";
  }
}

TEST(Adjust, TwoInvoicesOfAMonthTogetherSayWhatOneWould) {
  Anything any(13);
  for (int round = 0; round < 2'000; ++round) {
    const Terms terms = any.AnyTerms();
    std::vector<Used> used = any.AnyUse();
    std::map<std::string, Amount> invoiced;
    IssuedInvoice first, second, whole;
    const auto issue = [&](IssuedInvoice& out, Amount list, const std::map<std::string, Amount>& before) {
      out.lines.push_back({.exact = list, .amount = Round(list, 2)});
      return AddChargeLines(OpenAdjustments(Adjust(terms, kOctober, used).value(), before, kOctober).value(), {}, 2,
                            false, out);
    };
    const Amount early = CostOf(used, {}).value();
    ASSERT_TRUE(issue(first, early, {}));
    Amount exact;
    for (const IssuedLine& line : first.lines) {
      if (line.charge) invoiced[line.charge->term] = line.exact;
      exact = Add(exact, line.exact).value();
    }
    const std::vector<Used> late = any.AnyUse();
    used.insert(used.end(), late.begin(), late.end());
    const Amount all = CostOf(used, {}).value();
    ASSERT_TRUE(issue(second, Subtract(all, early).value(), invoiced));
    ASSERT_TRUE(issue(whole, all, {}));
    Amount whole_exact, whole_net, net;
    for (const IssuedLine& line : second.lines) exact = Add(exact, line.exact).value();
    for (const IssuedLine& line : whole.lines) whole_exact = Add(whole_exact, line.exact).value();
    ASSERT_EQ(exact, whole_exact) << "to the last digit";
    for (const auto* invoice : {&first, &second}) {
      Amount sum;
      for (const IssuedLine& line : invoice->lines) sum = Add(sum, line.amount).value();
      ASSERT_GE(sum, Amount());
      net = Add(net, sum).value();
    }
    for (const IssuedLine& line : whole.lines) whole_net = Add(whole_net, line.amount).value();
    // A cent for each line of the three: half is its rounding's, half what may not go below nothing.
    const auto lines = static_cast<Int128>(first.lines.size() + second.lines.size() + whole.lines.size());
    const Int128 off = net.pico() - whole_net.pico();
    ASSERT_LE(off < 0 ? -off : off, lines * 10'000'000'000);
  }
}

std::string Refused(Terms terms) {
  const auto checked = CheckTerms(std::move(terms), 2);
  return checked ? "" : checked.error().reason + " " + checked.error().message;
}

TEST(CheckTerms, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(Refused(Some()), "");
  EXPECT_NE(Refused(Free(0)).find("free_tokens.tokens: 0"), std::string::npos);
  EXPECT_NE(Refused(Tiers({})).find("volume_tiers.tiers"), std::string::npos);
  EXPECT_NE(Refused(Tiers({{10, 100}, {10, 200}})).find("INVALID_TERMS"), std::string::npos);
  EXPECT_NE(Refused(Tiers({{10, 200}, {20, 100}})).find("take off no less"), std::string::npos);
  EXPECT_NE(Refused(Off({{"", 10'001}})).find("10001"), std::string::npos);
  EXPECT_NE(Refused(Off({{"", 1}, {"", 2}})).find("DUPLICATE_CLAUSE"), std::string::npos);
  EXPECT_NE(Refused(Off({{"listings/x", 1}})).find("discounts.model"), std::string::npos);
  EXPECT_NE(Refused(Off(std::vector<Discount>(21))).find("at most 20"), std::string::npos);
  EXPECT_NE(Refused(Committed("0.001")).find("2 decimals"), std::string::npos);
  Terms levels = Some();
  levels.service_level = {{9'000, 2'000}, {9'950, 1'000}};
  EXPECT_EQ(CheckTerms(levels, 2)->service_level[0].below, 9'950);
  levels.service_level[0].credit = 500;
  EXPECT_NE(Refused(levels).find("gives back no less"), std::string::npos);
  Terms terms = Committed("1");
  terms.commitment->months = 61;
  EXPECT_NE(Refused(terms).find("commitment.months"), std::string::npos);
}

TEST(DecideSet, VersionsFollowEachOther) {
  SetState state{.account = BillingAccount{.currency_code = "KES"}};
  const auto reason = [&](const Terms& terms) {
    const auto decided = DecideSet(state, terms, kNow);
    return decided ? std::to_string(*decided ? (*decided)->version : 0) : decided.error().reason;
  };
  EXPECT_EQ(reason(Committed("1.001")), "INVALID_TERMS") << "the currency has two decimals";
  EXPECT_EQ(reason(Free(1)), "1");
  state.latest = Free(1);
  state.latest->version = 1;
  EXPECT_EQ(reason(Free(1)), "0") << "they say the same";
  EXPECT_EQ(reason(Free(2)), "2") << "the month is not invoiced";
  state.last_invoiced = kOctober;
  EXPECT_EQ(reason(Free(2)), "TERMS_MONTH_INVOICED");
  Terms later = Free(2);
  later.start_month = kNovember;
  EXPECT_EQ(reason(later), "2");
  state.latest->start_month = NextMonth(kNovember);
  EXPECT_EQ(reason(later), "TERMS_OUT_OF_ORDER");
  state = {.account = state.account};
  Terms far = Free(1);
  far.start_month = kOctober - std::chrono::days(61);
  EXPECT_EQ(reason(far), "TERMS_OUT_OF_ORDER");
  state.latest = Committed("100");
  state.latest->version = 1;
  later.start_month = kNovember;
  EXPECT_EQ(reason(later), "COMMITMENT_RUNS");
  later.commitment = {Kes("100"), 1, 0};
  EXPECT_EQ(reason(later), "2") << "to the end of the first one";
  later.commitment->monthly = Kes("99.99");
  EXPECT_EQ(reason(later), "COMMITMENT_RUNS");
  state = {};
  EXPECT_EQ(reason(Free(1)), "NO_BILLING_ACCOUNT");
}

TEST(TermsOf, IsTheNewestThatBegan) {
  std::vector<Terms> versions = {Free(1), Free(2), Free(3)};
  for (int i = 0; i < 3; ++i) versions[static_cast<std::size_t>(i)].version = i + 1;
  versions[2].start_month = kNovember;
  EXPECT_EQ(TermsOf(versions, kOctober)->version, 2);
  EXPECT_EQ(TermsOf(versions, kNovember)->version, 3);
  EXPECT_EQ(TermsOf(versions, kOctober - std::chrono::days(1)), nullptr);
}

}  // namespace
}  // namespace allod::billing::terms::terms_test
