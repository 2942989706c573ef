// Re-rating and service level credits in PostgreSQL: each once, booked, and nothing when it is only to be seen.
#include <fmt/format.h>

#include "services/billing/corrections/pg_correction_store.h"
#include "services/billing/terms/pg_terms_store.h"
#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::corrections::billing_corrections_test {
namespace {

using namespace invoicing;

const Uuid kCheap = Uuid::FromName("priceBooks/cheap");

class PgCorrections : public testing::Test {
 protected:
  void SetUp() override {
    OpenInvoicing(store_, "ke");
    // Prompt tokens cheaper, completion tokens dearer.
    ASSERT_TRUE(store_.CreatePriceBook(CheckPriceBook({.id = kCheap,
                                                       .listing = "listings/contract",
                                                       .prices = {{"KES", "", Pico(40'000'000), Pico(160'000'000)}}})
                                           .value(),
                                       kNow));
  }
  static RerateCommand Command(const std::string& payload = "p") {
    return {.tenant = Tenant("ke"),
            .period = ParsePeriod("2025-10", kNow).value(),
            .old_book = kDearBook,
            .new_book = kCheap,
            .reason = "The price was wrong",
            .request = MakeRequestId(Uuid::V7().ToString(), "RerateInvoice", payload).value()};
  }
  static ServiceLevelCommand Level() {
    return {.tenant = Tenant("ke"),
            .period = ParsePeriod("2025-10", kNow).value(),
            .request = MakeRequestId(Uuid::V7().ToString(), "CreditServiceLevel", "p").value()};
  }
  IssuedInvoice Issue(const char* period, Time now) {
    const auto issued = store_.FinaliseInvoice(Finalise("ke", period), now);
    EXPECT_TRUE(issued) << issued.error().reason << ": " << issued.error().message;
    return issued.value_or(IssuedInvoice{});
  }
  std::size_t Documents() { return store_.ListInvoices(Tenant("ke"), "", 10)->size(); }

  PgHarness harness_;
  Store& store_ = harness_.store();
  PgCorrectionStore corrections_{harness_.pool()};
};

TEST_F(PgCorrections, ReratesAnInvoiceOnce) {
  Use(store_, "ke", kOctober + 1h, 31'000, 17'000);
  Issue("2025-10", kAfterOctober);  // 1.57, 2.56
  const RerateCommand command = Command();
  const auto dry = corrections_.Rerate(command, kAfterNovember, true);
  ASSERT_TRUE(dry) << dry.error().message;
  EXPECT_EQ(dry->lines.size(), 2U);
  EXPECT_EQ(dry->credit_note->net, Kes("0.33")) << "1.57 less 1.24";
  EXPECT_EQ(Documents(), 1U);
  const auto done = corrections_.Rerate(command, kAfterNovember, false);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->credit_note->number, "KE-CN-000001");
  EXPECT_EQ(done->credit_note->net, Kes("0.33"));
  ASSERT_EQ(done->charges.size(), 1U);
  EXPECT_EQ(done->charges[0].exact, Kes("0.1615")) << "2.72 less 2.5585";
  const auto again = corrections_.Rerate(command, kAfterNovember, false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->credit_note->number, "KE-CN-000001");
  EXPECT_EQ(again->currency_code, "KES");
  ASSERT_EQ(again->charges.size(), 1U) << "all that it made is said again";
  EXPECT_EQ(again->charges[0].exact, Kes("0.1615"));
  EXPECT_EQ(again->charges[0].terms.detail, "KE-000001 2");
  RerateCommand reused = command;
  reused.request.payload_sha256 = std::string(64, '0');
  EXPECT_EQ(corrections_.Rerate(reused, kAfterNovember, false).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(corrections_.Rerate(Command(), kAfterNovember, false).error().reason, "ALREADY_RERATED");
  EXPECT_EQ(Documents(), 2U);
  // The charge makes the month of the correction due.
  const IssuedInvoice next = Issue("2025-12", kAfterNovember + 24h * 40);
  ASSERT_EQ(next.lines.size(), 1U);
  EXPECT_EQ(next.lines[0].charge->kind, ChargeKind::kRerating);
  EXPECT_EQ(next.lines[0].charge->detail, "KE-000001 2");
  EXPECT_EQ(next.net, Kes("0.16"));
  ExpectSoundBooks(store_, "ke");
}

TEST_F(PgCorrections, SaysWhatCannotBeRerated) {
  EXPECT_EQ(corrections_.Rerate(Command(), kAfterNovember, false).error().code, Code::kNotFound) << "it is a draft";
  Use(store_, "ke", kOctober + 1h, 31'000, 0);
  Issue("2025-10", kAfterOctober);
  RerateCommand command = Command();
  command.new_book = Uuid::FromName("none");
  EXPECT_EQ(corrections_.Rerate(command, kAfterNovember, false).error().code, Code::kNotFound);
  command.new_book = kDearBook;
  EXPECT_EQ(corrections_.Rerate(command, kAfterNovember, false).error().reason, "INVALID_RERATING");
  command.old_book = kCheap;
  EXPECT_EQ(corrections_.Rerate(command, kAfterNovember, false).error().reason, "NOTHING_TO_RERATE");
}

TEST_F(PgCorrections, CreditsWhatWasPromisedForEachInstanceOnce) {
  EXPECT_EQ(corrections_.CreditServiceLevel(Level(), kAfterNovember, false).error().code, Code::kNotFound);
  for (int i = 0; i < 9; ++i) Use(store_, "ke", kOctober + 1h * i, 100'000, 0);
  Use(store_, "ke", kOctober + 30h, 1'000, 0, "i", Outcome::kFault);
  Use(store_, "ke", kOctober + 31h, 100'000, 0, "j");
  Use(store_, "ke", kMonth + 1h, 1'000, 0, "j", Outcome::kFault);
  terms::Terms agreed{.tenant = Tenant("ke"), .tenant_name = "tenants/ke", .start_month = kOctober};
  agreed.service_level = {{9'950, 1'000}, {9'000, 5'000}};
  terms::PgTermsStore store(harness_.pool());
  ASSERT_TRUE(store.Set(agreed, {}, kOctober + 48h));
  Issue("2025-10", kAfterOctober);
  const ServiceLevelCommand command = Level();
  const auto dry = corrections_.CreditServiceLevel(command, kAfterNovember, true);
  ASSERT_TRUE(dry) << dry.error().message;
  EXPECT_EQ(Documents(), 1U);
  const auto done = corrections_.CreditServiceLevel(command, kAfterNovember, false);
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_EQ(done->credits.size(), 1U) << "not j, which failed in another month";
  EXPECT_EQ(done->credits[0].of.requests, 10);
  EXPECT_EQ(done->credits[0].of.faults, 1);
  EXPECT_EQ(done->credits[0].step.below, 9'950) << "90 % is not below 90 %";
  EXPECT_EQ(done->credit_note->net, Kes("4.54")) << "a tenth of 45.45, half to even";
  EXPECT_NE(done->credit_note->reason.find("i: 1 of 10 requests failed"), std::string::npos);
  EXPECT_EQ(corrections_.CreditServiceLevel(command, kAfterNovember, false)->credit_note->id, "2025-10-c1");
  EXPECT_EQ(corrections_.CreditServiceLevel(Level(), kAfterNovember, false).error().reason, "NOTHING_TO_CREDIT");
  EXPECT_EQ(Documents(), 2U);
  ExpectSoundBooks(store_, "ke");
}

TEST_F(PgCorrections, NothingIsPromisedByItself) {
  Use(store_, "ke", kOctober + 1h, 31'000, 17'000);
  Issue("2025-10", kAfterOctober);
  EXPECT_EQ(corrections_.CreditServiceLevel(Level(), kAfterNovember, false).error().reason, "NO_SERVICE_LEVEL");
}

}  // namespace
}  // namespace allod::billing::corrections::billing_corrections_test
