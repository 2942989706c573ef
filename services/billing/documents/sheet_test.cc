// An invoice as a sheet: what the page for people says, with what is carried from page to page.
#include "services/billing/documents/sheet.h"

#include <gmock/gmock.h>

#include "services/billing/documents/text.h"

namespace allod::billing::documents::sheet_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 2) + 1h + 2min + 3s;

IssuedInvoice AnInvoice() {
  IssuedInvoice out;
  out.id = "2026-10";
  out.number = "KE/000042";
  out.currency_code = "KES";
  out.issue_time = kNow;
  out.due_time = kNow + 30 * 24h;
  out.period = ParsePeriod("2026-10", kNow).value();
  out.seller = {.name = "Allod Kenya Ltd", .city = "Nairobi", .postal_code = "00100", .country_code = "ke"};
  out.buyer = {.name = "Republic of Kenya", .country_code = "ke"};
  out.payment_terms = "Within 30 days.\nBank of Nairobi";
  for (int i = 1; i <= 3; ++i) {
    IssuedLine line;
    line.number = i;
    line.month = out.period.start;
    line.instance = "tenants/ke/projects/p/instances/i";
    line.variant = "models/m/versions/v/variants/q4";
    line.isolation_class = "isolated";
    line.request_count = 1234;
    line.quantity = 1'000'000;
    line.unit_price = Amount::FromPico(1'000'500'000'000 / 1'000'000);
    line.amount = Amount::FromPico(Int128(1'000'500'000'000) * 1000 * i);
    out.lines.push_back(line);
    out.net = Add(out.net, line.amount).value();
  }
  out.payable = out.net;
  out.taxes = {{TaxCategory::kOutOfScope, 0, out.net, Amount(), "note"}};
  return out;
}

TEST(SheetOf, AddsUpFromRowToRow) {
  const auto sheet = SheetOf(AnInvoice(), 2, *WordsIn("").value()).value();
  ASSERT_EQ(sheet.rows.size(), 3U);
  EXPECT_EQ(sheet.rows[0].running, Grouped("1000.50"));
  EXPECT_EQ(sheet.rows[1].running, Grouped("3001.50"));
  EXPECT_EQ(sheet.rows[2].running, Grouped("6003.00"));
  EXPECT_EQ(sheet.rows[2].cells.back().text, Grouped("3001.50"));
  EXPECT_EQ(sheet.rows[2].running, sheet.totals.front().value);
  EXPECT_EQ(sheet.totals.back().value, "KES " + Grouped("6003.00"));
  EXPECT_TRUE(sheet.totals.back().is_due);
  EXPECT_EQ(sheet.created, "2026-11-02T01:02:03Z");
  EXPECT_THAT(sheet.notes.at(0).lines, ElementsAre("Within 30 days.", "Bank of Nairobi"));
  EXPECT_EQ(sheet.columns.size(), 6U);
}

TEST(SheetOf, ACreditNoteNamesTheLinesThatItCorrects) {
  IssuedInvoice note = AnInvoice();
  note.kind = IssuedInvoice::Kind::kCreditNote;
  note.lines.resize(1);
  note.lines[0].credited_line = 17;
  note.corrected_number = "KE/000041";
  note.reason = "wrong price";
  const auto sheet = SheetOf(note, 2, *WordsIn("").value()).value();
  EXPECT_EQ(sheet.title, "Credit note");
  EXPECT_EQ(sheet.columns.size(), 3U);
  EXPECT_EQ(sheet.rows.at(0).cells.at(0).text, "17");
  EXPECT_EQ(sheet.facts.back().value, "wrong price");
}

TEST(SheetOf, HasEveryWordInEveryLanguage) {
  for (const char* language : {"am", "ar", "en", "es", "fr", "hi", "pt", "ru", "sw"}) {
    const Words& words = *WordsIn(language).value();
    EXPECT_EQ(words.language, language);
    for (const std::string_view word : {words.invoice,
                                        words.credit_note,
                                        words.number,
                                        words.issued,
                                        words.due,
                                        words.period,
                                        words.seller,
                                        words.buyer,
                                        words.tax_id,
                                        words.registration,
                                        words.reference,
                                        words.corrects,
                                        words.reason,
                                        words.line,
                                        words.description,
                                        words.prompt_tokens,
                                        words.completion_tokens,
                                        words.requests,
                                        words.tokens,
                                        words.price_per_million,
                                        words.amount,
                                        words.net,
                                        words.tax,
                                        words.payable,
                                        words.credited,
                                        words.payment,
                                        words.country,
                                        words.carried_forward,
                                        words.brought_forward,
                                        words.standard,
                                        words.zero_rated,
                                        words.exempt,
                                        words.reverse_charge,
                                        words.exported,
                                        words.out_of_scope,
                                        words.instance_time,
                                        words.free_allowance,
                                        words.volume_tier,
                                        words.discount,
                                        words.commitment_shortfall,
                                        words.rerating}) {
      EXPECT_FALSE(word.empty()) << language;
    }
    EXPECT_THAT(std::string(words.page_of), HasSubstr("{page}")) << language;
    EXPECT_THAT(std::string(words.page_of), HasSubstr("{pages}")) << language;
    EXPECT_EQ(SheetOf(AnInvoice(), 2, words)->is_right_to_left, std::string_view(language) == "ar");
  }
}

}  // namespace
}  // namespace allod::billing::documents::sheet_test
