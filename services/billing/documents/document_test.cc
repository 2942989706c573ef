// Files of one invoice and one credit note, byte for byte as in testdata/, and what is made of hostile words.
#include "services/billing/documents/document.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace allod::billing::documents::document_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 2) + 1h;
const InvoicePeriod kOctober = ParsePeriod("2026-10", kNow).value();

FinaliseState State() {
  OpenUsage late{.month = std::chrono::sys_days(std::chrono::year(2026) / 9 / 1)};
  late.totals = {.instance = "tenants/ke/projects/services/instances/assistant",
                 .variant = "models/starter/versions/v1/variants/q4_k_m",
                 .request_count = 9,
                 .prompt_tokens = 31'000,
                 .prompt_price = Amount::FromPico(50'500'000),
                 .completion_price = Amount::FromPico(150'500'000),
                 .isolation_class = "isolated"};
  late.prompt_tokens_invoiced = 30'000;
  late.requests_invoiced = 8;
  OpenUsage usage = late;
  usage.month = kOctober.start;
  usage.prompt_tokens_invoiced = usage.requests_invoiced = 0;
  usage.totals.prompt_tokens = 1'234'567;
  usage.totals.completion_tokens = 345'678;
  FinaliseState out;
  out.account = BillingAccount{.tenant_name = "tenants/ke", .currency_code = "KES"};
  out.profile = BillingProfile{.legal_entity = "allod-ke",
                               .buyer = {.name = "Ministry of \"Water\" & <Irrigation>",
                                         .street = "Ngong Road",
                                         .city = "Nairobi",
                                         .postal_code = "00100",
                                         .country_code = "ke",
                                         .registration_id = "GOV-7"},
                               .buyer_reference = "=1+1",
                               .tax = {TaxCategory::kStandard, 1600, ""}};
  out.issuer = LegalEntity{.id = "allod-ke",
                           .party = {.name = "Allod Kenya Ltd",
                                     .street = "Moi Avenue 1",
                                     .city = "Nairobi",
                                     .postal_code = "00100",
                                     .country_code = "ke",
                                     .tax_id = "P051234567X"},
                           .payment_days = 30,
                           .payment_terms = "Within 30 days to account 0123 456.\nBank of Nairobi"};
  out.last_period = late.month;
  out.usage = {late, usage};
  return out;
}

// With an instance that was there for a day and a half, and what was taken off.
FinaliseState WithCharges() {
  FinaliseState out = State();
  const InvoiceLine& totals = out.usage.back().totals;
  out.charges.push_back(InstanceTime(kOctober.start, totals.instance, totals.variant, totals.isolation_class,
                                     Uuid::FromName("priceBooks/hours"), 129'601, Amount::FromPico(1'250'000'000'000))
                            .value());
  Charge discount{.terms = {.kind = ChargeKind::kDiscount, .detail = "12.5%", .term = "discount"},
                  .month = kOctober.start,
                  .unit_price = Amount::FromPico(-20'000'000'000'001),
                  .exact = Amount::FromPico(-20'000'000'000'001)};
  out.charges.push_back(discount);
  return out;
}

IssuedInvoice AnInvoice(const FinaliseState& state = State()) {
  IssuedInvoice out = DecideFinalise(state, {.period = kOctober, .grace = 24h}, kNow).value();
  out.number = "KE/000042";
  return out;
}

IssuedInvoice ACreditNote() {
  const CreditCommand command{.period = kOctober,
                              .lines = {{2, Amount::Parse("amount", "12.34").value()}, {1, {}}},
                              .reason = "The price of <prompts> was wrong"};
  IssuedInvoice out = DecideCredit({.invoice = AnInvoice()}, command, kNow + 48h).value();
  out.number = "KE-CN-000001";
  return out;
}

std::string Made(const IssuedInvoice& invoice, Format format, const char* language = "") {
  const auto made = Render(invoice, format, language);
  return made ? made->content : made.error().reason;
}

void ExpectFile(const std::string& name, const std::string& content) {
  const char* source = std::getenv("ALLOD_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run this through ctest";
  std::ifstream file(std::string(source) + "/services/billing/documents/testdata/" + name, std::ios::binary);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(content, expected.str()) << name;
}

TEST(Render, IsTheSameToTheLastByte) {
  ExpectFile("invoice.csv", Made(AnInvoice(), Format::kCsv));
  ExpectFile("invoice.focus.csv", Made(AnInvoice(), Format::kFocus));
  ExpectFile("invoice.xml", Made(AnInvoice(), Format::kUbl));
  ExpectFile("invoice.html", Made(AnInvoice(), Format::kHtml));
  ExpectFile("invoice.ar.html", Made(AnInvoice(), Format::kHtml, "ar"));
  const IssuedInvoice charged = AnInvoice(WithCharges());
  ExpectFile("charges.csv", Made(charged, Format::kCsv));
  ExpectFile("charges.focus.csv", Made(charged, Format::kFocus));
  ExpectFile("charges.xml", Made(charged, Format::kUbl));
  ExpectFile("charges.html", Made(charged, Format::kHtml, "fr"));
  ExpectFile("credit_note.csv", Made(ACreditNote(), Format::kCsv));
  ExpectFile("credit_note.focus.csv", Made(ACreditNote(), Format::kFocus));
  ExpectFile("credit_note.xml", Made(ACreditNote(), Format::kUbl));
  ExpectFile("credit_note.html", Made(ACreditNote(), Format::kHtml));
}

TEST(Render, NamesFilesAndTypes) {
  const auto made = Render(AnInvoice(), Format::kUbl, "").value();
  EXPECT_EQ(made.file_name, "KE-000042.xml");
  EXPECT_EQ(made.media_type, "application/xml");
  EXPECT_EQ(Made(AnInvoice(), Format::kHtml, "tlh"), "UNKNOWN_LANGUAGE");
  for (const char* language : {"ar", "en", "fr", "sw"}) {
    EXPECT_NE(Made(AnInvoice(), Format::kHtml, language).find(std::string("<html lang=\"") + language),
              std::string::npos);
  }
}

// The sum of the column BilledCost.
Amount Billed(const std::string& focus) {
  std::istringstream rows(focus);
  std::string row;
  std::getline(rows, row);
  Amount sum;
  while (std::getline(rows, row)) {
    sum = Add(sum, Amount::Parse("BilledCost", row.substr(0, row.find(','))).value()).value();
  }
  return sum;
}

TEST(MakeFocus, AddsUpToWhatIsToBePaid) {
  EXPECT_EQ(Billed(Made(AnInvoice(), Format::kFocus)), AnInvoice().payable);
  EXPECT_EQ(Billed(Made(ACreditNote(), Format::kFocus)), Amount::FromPico(-ACreditNote().payable.pico()));
}

// What stands between the tags of each such element.
std::vector<std::string> Texts(const std::string& xml, const std::string& element) {
  std::vector<std::string> out;
  for (std::size_t at = xml.find("<" + element); at != std::string::npos; at = xml.find("<" + element, at + 1)) {
    const std::size_t begin = xml.find('>', at) + 1;
    out.push_back(xml.substr(begin, xml.find('<', begin) - begin));
  }
  return out;
}

TEST(Render, ChargesAddUpInEveryFormat) {
  const IssuedInvoice charged = AnInvoice(WithCharges());
  EXPECT_EQ(Billed(Made(charged, Format::kFocus)), charged.payable);
  const std::string xml = Made(charged, Format::kUbl);
  Amount lines;
  const auto amounts = Texts(xml, "cbc:LineExtensionAmount");  // the first is their sum
  for (std::size_t i = 1; i < amounts.size(); ++i) lines = Add(lines, Amount::Parse("", amounts[i]).value()).value();
  EXPECT_EQ(lines, Amount::Parse("", amounts[0]).value());
  EXPECT_EQ(lines, charged.net);
  for (const std::string& price : Texts(xml, "cbc:PriceAmount")) {
    EXPECT_GE(Amount::Parse("", price).value(), Amount()) << "BR-27";
  }
  const auto quantities = Texts(xml, "cbc:InvoicedQuantity");
  EXPECT_EQ(quantities[quantities.size() - 2], "129601");
  EXPECT_EQ(quantities.back(), "-1");
  // Credited as a whole, charges and what they took off go as well.
  IssuedInvoice note = DecideCredit({.invoice = charged}, {.period = kOctober, .reason = "r"}, kNow + 48h).value();
  note.number = "KE-CN-000002";
  EXPECT_EQ(Billed(Made(note, Format::kFocus)), Amount::FromPico(-charged.payable.pico()));
  EXPECT_NE(Made(note, Format::kCsv).find("discount"), std::string::npos);
  EXPECT_EQ(Texts(Made(note, Format::kUbl), "cbc:CreditedQuantity").back(), "-1");
  for (const char* language : {"ar", "en", "fr", "sw"}) {
    EXPECT_NE(Made(charged, Format::kHtml, language).find("12.5%"), std::string::npos);
  }
}

TEST(Render, MakesNothingOfWhatDoesNotAddUp) {
  IssuedInvoice wrong = AnInvoice();
  wrong.net = Amount::FromPico(wrong.net.pico() + 10'000'000'000);
  for (const Format format : {Format::kCsv, Format::kFocus, Format::kUbl, Format::kHtml}) {
    EXPECT_EQ(Made(wrong, format), "INVOICE_ARITHMETIC");
  }
}

TEST(MakeUbl, HasNoCurrencyOfMoreThanTwoDecimals) {
  FinaliseState state = State();
  state.account->currency_code = "TND";
  EXPECT_EQ(Made(AnInvoice(state), Format::kUbl), "UBL_CURRENCY");
  EXPECT_NE(Made(AnInvoice(state), Format::kCsv), "UBL_CURRENCY");
}

TEST(MakeUbl, SaysWhyThereIsNoTaxAndNamesNoTaxIdOutOfItsScope) {
  FinaliseState state = State();
  state.profile->tax = {TaxCategory::kReverseCharge, 0, "Reverse charge"};
  const std::string reverse = Made(AnInvoice(state), Format::kUbl);
  EXPECT_NE(reverse.find("<cbc:ID>AE</cbc:ID>"), std::string::npos);
  EXPECT_NE(reverse.find("<cbc:Percent>0</cbc:Percent>"), std::string::npos);
  EXPECT_NE(reverse.find("<cbc:TaxExemptionReason>Reverse charge<"), std::string::npos);
  state.profile->tax = {TaxCategory::kOutOfScope, 0, "Not subject to VAT"};
  const std::string out_of_scope = Made(AnInvoice(state), Format::kUbl);
  EXPECT_EQ(out_of_scope.find("PartyTaxScheme"), std::string::npos);
  EXPECT_EQ(out_of_scope.find("cbc:Percent"), std::string::npos);
}

TEST(Render, HostileWordsStayWords) {
  FinaliseState state = State();
  for (std::string* text : {&state.profile->buyer.name, &state.profile->buyer.street, &state.profile->buyer_reference,
                            &state.issuer->payment_terms, &state.issuer->party.name}) {
    *text = "</script><script>alert('x')</script>\"&";
  }
  const IssuedInvoice invoice = AnInvoice(state);
  for (const Format format : {Format::kUbl, Format::kHtml}) {
    const std::string made = Made(invoice, format);
    EXPECT_EQ(made.find("<script"), std::string::npos);
    EXPECT_NE(made.find("&lt;script&gt;alert(&#39;x&#39;)"), std::string::npos);
  }
  for (const char* formula : {"=HYPERLINK(\"http://x\")", "+1", "-1", "@x", "\t=1", "\r=1"}) {
    state.profile->buyer.name = formula;
    const std::string focus = Made(AnInvoice(state), Format::kFocus);
    EXPECT_EQ(focus.find(std::string(",") + formula), std::string::npos) << formula;
    EXPECT_NE(focus.find(std::string("'") + std::string(formula).substr(0, 2)), std::string::npos) << formula;
  }
}

}  // namespace
}  // namespace allod::billing::documents::document_test
