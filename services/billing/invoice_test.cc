// What an invoice says: rounded once a line, taxed by category, added up as EN 16931 wants it.
#include "services/billing/invoice.h"

#include <gtest/gtest.h>

#include <random>

namespace allod::billing::invoice_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 2) + 1h;
const InvoicePeriod kOctober = ParsePeriod("2026-10", kNow).value();

OpenUsage Usage(std::int64_t prompt, std::int64_t completion, std::int64_t prompt_price = 50'500'000,
                std::int64_t completion_price = 150'500'000, const std::string& instance = "i") {
  OpenUsage out{.month = kOctober.start};
  out.totals = {.instance = "tenants/ke/projects/p/instances/" + instance,
                .variant = "models/m/versions/v/variants/q4_k_m",
                .request_count = 3,
                .prompt_tokens = prompt,
                .completion_tokens = completion,
                .prompt_price = Amount::FromPico(prompt_price),
                .completion_price = Amount::FromPico(completion_price),
                .isolation_class = "isolated"};
  return out;
}

FinaliseState State(std::vector<OpenUsage> usage, const std::string& currency = "KES", std::int32_t rate = 1600) {
  FinaliseState out;
  out.account = BillingAccount{.tenant_name = "tenants/ke", .currency_code = currency};
  out.profile = BillingProfile{.tenant_name = "tenants/ke", .legal_entity = "e", .buyer = {.name = "Buyer"}};
  out.profile->tax = {.category = rate > 0 ? TaxCategory::kStandard : TaxCategory::kZeroRated, .basis_points = rate};
  out.issuer = LegalEntity{.id = "e", .party = {.name = "Seller", .tax_id = "KE1"}, .payment_days = 14};
  out.usage = std::move(usage);
  return out;
}

IssuedInvoice Decide(const FinaliseState& state) {
  const auto decided = DecideFinalise(state, {.period = kOctober, .grace = 24h}, kNow);
  EXPECT_TRUE(decided) << (decided ? "" : decided.error().message);
  return decided.value_or(IssuedInvoice{});
}

std::string Reason(const Status& status) { return status ? "" : status.error().reason; }

TEST(DecideFinalise, RoundsEachLineOnceHalfToEvenInTheCurrencysMinorUnit) {
  struct Row {
    const char* currency;
    std::int64_t price;  // of one token, in 10^-12
    const char* amount;
    const char* residue;
  };
  for (const Row& row : {Row{"KES", 5'000'000'000, "0", "0.005"}, Row{"KES", 15'000'000'000, "0.02", "-0.005"},
                         Row{"KES", 25'000'000'000, "0.02", "0.005"}, Row{"JPY", 500'000'000'000, "0", "0.5"},
                         Row{"JPY", 1'500'000'000'000, "2", "-0.5"}, Row{"TND", 1'500'000'000, "0.002", "-0.0005"}}) {
    const IssuedInvoice invoice = Decide(State({Usage(1, 0, row.price)}, row.currency, 0));
    ASSERT_EQ(invoice.lines.size(), 1U);
    EXPECT_EQ(invoice.lines[0].amount.ToString(), row.amount) << row.currency << " " << row.price;
    EXPECT_EQ(invoice.residue.ToString(), row.residue) << row.currency << " " << row.price;
  }
}

TEST(DecideFinalise, LinesAndResidueAreWhatWasUsedWhateverTheNumbers) {
  std::mt19937_64 random(7);
  const auto any = [&](std::int64_t max) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(max));
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<OpenUsage> usage;
    Amount used;
    for (int i = 0; i < 1 + round % 20; ++i) {
      usage.push_back(Usage(1 + any(100'000'000), any(100'000'000), any(1'000'000'000), any(1'000'000'000),
                            "i" + std::to_string(i)));
      const InvoiceLine& totals = usage.back().totals;
      used =
          Add(used, Cost(totals.prompt_price, totals.prompt_tokens, totals.completion_price, totals.completion_tokens)
                        .value())
              .value();
    }
    const char* currency = round % 3 == 0 ? "JPY" : (round % 3 == 1 ? "KES" : "TND");
    const IssuedInvoice invoice = Decide(State(usage, currency, static_cast<std::int32_t>(any(3000))));
    EXPECT_EQ(Add(invoice.net, invoice.residue).value(), used);
    EXPECT_TRUE(CheckTotals(invoice));

    // Credited in three parts, all of it is given back, tax included.
    CreditState state{.invoice = invoice};
    Amount back;
    for (int part = 0; part < 3; ++part) {
      CreditCommand command{.period = kOctober, .reason = "r"};
      for (const IssuedLine& line : invoice.lines) {
        if (part < 2 && line.amount > Amount() && line.number % 2 == part) {
          command.lines.push_back({line.number, part == 0 ? std::optional(line.amount) : std::nullopt});
        }
      }
      if (part < 2 && command.lines.empty()) continue;
      const auto note = DecideCredit(state, command, kNow);
      if (!note) {
        EXPECT_EQ(note.error().reason, "NOTHING_TO_CREDIT");
        continue;
      }
      back = Add(back, note->payable).value();
      ++state.credit_notes;
      for (const IssuedLine& line : note->lines) {
        Amount& credited = state.credited[line.credited_line];
        credited = Add(credited, line.amount).value();
      }
    }
    EXPECT_EQ(back, invoice.payable);
  }
}

TEST(DecideFinalise, TakesOnlyWhatNoInvoiceHasOfEachMeter) {
  OpenUsage usage = Usage(100, 50);
  usage.prompt_tokens_invoiced = 60;
  usage.completion_tokens_invoiced = 50;
  usage.requests_invoiced = 2;
  usage.next_epoch = 4;
  FinaliseState state = State({usage});
  state.epoch = 6;
  const IssuedInvoice invoice = Decide(state);
  ASSERT_EQ(invoice.lines.size(), 1U);
  EXPECT_EQ(invoice.lines[0].quantity, 40);
  EXPECT_EQ(invoice.lines[0].request_count, 1);
  EXPECT_EQ(invoice.lines[0].first_epoch, 4);
  EXPECT_EQ(invoice.lines[0].last_epoch, 6);
  EXPECT_EQ(invoice.due_time, std::chrono::floor<std::chrono::microseconds>(kNow) + 24h * 14);
}

TEST(DecideFinalise, TakesTheWholeRowsThatFitAndLeavesTheRestForTheNext) {
  const auto lines = [](std::size_t rows, bool one_first) {
    std::vector<OpenUsage> usage;
    for (std::size_t i = 0; i < rows; ++i) {
      usage.push_back(Usage(1, one_first && i == 0 ? 0 : 1, 50'500'000, 150'500'000, std::to_string(i)));
    }
    return Decide(State(usage)).lines;
  };
  EXPECT_EQ(lines(kIssuedLinesMax / 2, false).size(), kIssuedLinesMax);
  const auto full = lines(kIssuedLinesMax / 2 + 1, false);
  ASSERT_EQ(full.size(), kIssuedLinesMax);
  EXPECT_EQ(full.back().meter, Meter::kCompletion);
  const auto odd = lines(kIssuedLinesMax / 2 + 1, true);
  ASSERT_EQ(odd.size(), kIssuedLinesMax - 1) << "one line would fit, and the next row has two";
  EXPECT_EQ(odd.back().meter, Meter::kCompletion);
}

TEST(DecideFinalise, MakesNoInvoiceThatNobodyCouldRead) {
  OpenUsage usage = Usage(1, 1);
  for (const int year : {1970, 2019, 2200}) {
    usage.month = std::chrono::sys_days(std::chrono::year(year) / 1 / 1);
    const auto refused =
        DecideFinalise(State({usage}), {.period = PeriodOf(usage.month), .grace = 24h}, usage.month + 24h * 60);
    ASSERT_FALSE(refused) << year;
    EXPECT_EQ(refused.error().reason, "INVALID_PERIOD") << year;
  }
}

TEST(CheckTotals, FindsWhateverDoesNotAddUp) {
  const IssuedInvoice sound = Decide(State({Usage(1'000'000, 2'000'000)}));
  ASSERT_TRUE(CheckTotals(sound));
  const auto rule = [&](auto&& spoil) {
    IssuedInvoice invoice = sound;
    spoil(invoice);
    const Status checked = CheckTotals(invoice);
    if (checked) return std::string("nothing");
    EXPECT_EQ(checked.error().reason, "INVOICE_ARITHMETIC");
    const std::string& message = checked.error().message;
    const std::size_t begin = message.find("tenants/ke: ") + 12;
    return message.substr(begin, message.find(" does not hold") - begin);
  };
  const Amount cent = Amount::FromPico(10'000'000'000);
  EXPECT_EQ(rule([&](auto& i) { i.net = Add(i.net, cent).value(); }), "BR-CO-10 and BR-CO-13");
  EXPECT_EQ(rule([&](auto& i) { i.tax = Add(i.tax, cent).value(); }), "BR-CO-14");
  EXPECT_EQ(rule([&](auto& i) { i.payable = Add(i.payable, cent).value(); }), "BR-CO-15 and BR-CO-16");
  EXPECT_EQ(rule([&](auto& i) { i.taxes[0].tax = Add(i.taxes[0].tax, cent).value(); }), "BR-CO-17");
  EXPECT_EQ(rule([&](auto& i) { i.taxes[0].basis_points = 1; }), "the taxable amount of a category");
  EXPECT_EQ(rule([&](auto& i) { i.taxes.clear(); }), "BR-CO-18");
  EXPECT_EQ(rule([&](auto& i) { i.lines[0].amount = Add(i.lines[0].amount, Amount::FromPico(1)).value(); }),
            "the minor unit of a line");
  EXPECT_EQ(rule([&](auto& i) { i.lines.pop_back(); }), "the taxable amount of a category");
}

TEST(CheckBillingProfile, WantsARateOrAReason) {
  const auto reason = [](TaxCategory category, std::int32_t rate, const std::string& note) {
    BillingProfile profile{.legal_entity = "e", .buyer = {.name = "B", .country_code = "ke"}};
    profile.tax = {category, rate, note};
    return Reason(CheckBillingProfile(profile));
  };
  EXPECT_EQ(reason(TaxCategory::kStandard, 1600, ""), "");
  EXPECT_EQ(reason(TaxCategory::kStandard, 0, ""), "INVALID_TAX");
  EXPECT_EQ(reason(TaxCategory::kStandard, 10'001, ""), "INVALID_TAX");
  EXPECT_EQ(reason(TaxCategory::kStandard, -1, ""), "INVALID_TAX");
  EXPECT_EQ(reason(TaxCategory::kStandard, 1600, "why"), "INVALID_TAX");
  EXPECT_EQ(reason(TaxCategory::kZeroRated, 0, ""), "");
  EXPECT_EQ(reason(TaxCategory::kReverseCharge, 0, "Reverse charge"), "");
  EXPECT_EQ(reason(TaxCategory::kReverseCharge, 0, ""), "INVALID_TAX");
  EXPECT_EQ(reason(TaxCategory::kExempt, 1600, "Exempt"), "INVALID_TAX");
}

TEST(CheckTaxIds, WantsThoseThatTheCategoryNeeds) {
  const Party named{.tax_id = "KE1"};
  const auto reason = [](TaxCategory category, const Party& seller, const Party& buyer) {
    return Reason(CheckTaxIds({.category = category}, seller, buyer));
  };
  EXPECT_EQ(reason(TaxCategory::kOutOfScope, {}, {}), "");
  EXPECT_EQ(reason(TaxCategory::kStandard, {}, named), "TAX_ID_MISSING");
  EXPECT_EQ(reason(TaxCategory::kStandard, named, {}), "");
  EXPECT_EQ(reason(TaxCategory::kReverseCharge, named, {}), "TAX_ID_MISSING");
  EXPECT_EQ(reason(TaxCategory::kReverseCharge, named, named), "");
}

TEST(CheckLegalEntity, WantsPrefixesThatTellDocumentsApart) {
  LegalEntity entity{
      .id = "e", .party = {.name = "E", .country_code = "ke"}, .invoice_prefix = "KE-", .credit_note_prefix = "KE-CN-"};
  EXPECT_EQ(Reason(CheckLegalEntity(entity)), "");
  entity.credit_note_prefix = "KE-";
  EXPECT_EQ(Reason(CheckLegalEntity(entity)), "INVALID_NUMBER_PREFIX");
  entity.credit_note_prefix = "ke";
  EXPECT_EQ(Reason(CheckLegalEntity(entity)), "INVALID_NUMBER_PREFIX");
  entity.credit_note_prefix = "KC2";
  EXPECT_EQ(Reason(CheckLegalEntity(entity)), "INVALID_NUMBER_PREFIX") << "KC2 and 000001 could be KC and 2000001";
  entity.credit_note_prefix = "KC";
  entity.payment_days = 366;
  EXPECT_EQ(Reason(CheckLegalEntity(entity)), "INVALID_PAYMENT_DAYS");
  entity.payment_days = 0;
  entity.party.country_code = "xx";
  EXPECT_EQ(Reason(CheckLegalEntity(entity)), "UNKNOWN_COUNTRY");
}

TEST(ChangesOf, NamesEachFieldWithBothValues) {
  LegalEntity before{.id = "e",
                     .party = {.name = "E", .street = "Moi Avenue 1", .country_code = "ke"},
                     .payment_days = 14,
                     .payment_terms = "IBAN 1"};
  EXPECT_EQ(ChangesOf(before, before), "");
  LegalEntity after = before;
  after.party.street = "Moi Avenue 2";
  after.payment_terms = "IBAN 2";
  EXPECT_EQ(ChangesOf(before, after), "party.street: Moi Avenue 1 -> Moi Avenue 2; payment_terms: IBAN 1 -> IBAN 2");
  after = before;
  after.party = {.name = "F",
                 .street = "S",
                 .city = "C",
                 .postal_code = "1",
                 .country_code = "tz",
                 .tax_id = "T",
                 .registration_id = "R"};
  after.payment_days = 30;
  const std::string all = ChangesOf(before, after);
  for (const char* field : {"display_name: E -> F", "street: ", "city: ", "postal_code: ", "country_code: ke -> tz",
                            "tax_id: ", "registration_id: ", "payment_days: 14 -> 30"}) {
    EXPECT_NE(all.find(field), std::string::npos) << field << " in " << all;
  }
}

TEST(ParseInvoiceId, TakesMonthsAndCreditNotes) {
  EXPECT_EQ(ParseInvoiceId("2026-10", kNow)->ToString(), "2026-10");
  EXPECT_EQ(ParseInvoiceId("current", kNow)->ToString(), "2026-11");
  EXPECT_EQ(ParseInvoiceId("2026-10-c12", kNow)->ToString(), "2026-10-c12");
  for (const char* text :
       {"2026-10-c", "2026-10-c0", "2026-10-c01", "2026-10-c1x", "2026-10-c-1", "2026-13", "c1", ""}) {
    EXPECT_FALSE(ParseInvoiceId(text, kNow)) << text;
  }
}

}  // namespace
}  // namespace allod::billing::invoice_test
