// Publishers' money in PostgreSQL: what documents earn and take back, payouts over several tenants, each earning in one
// of them, and books that show it when something is wrong.
#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "services/billing/documents/pg_file_store.h"
#include "services/billing/payouts/pg_payout_store.h"
#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::payouts::billing_payouts_test {
namespace {

using namespace invoicing;
using testing::HasSubstr;

class BillingPayouts : public testing::Test {
 protected:
  BillingPayouts() : payouts_(harness_.pool()) {}
  void SetUp() override {
    OpenInvoicing(store(), "ke");
    OpenInvoicing(store(), "tz");
  }
  Store& store() { return harness_.store(); }
  void Share(std::int32_t basis_points, const std::string& publisher = "publishers/acme") {
    ASSERT_TRUE(payouts_.SetRevenueShare(
        {.listing = "listings/contract", .publisher = publisher, .basis_points = basis_points}));
  }
  IssuedInvoice Issue(const std::string& tenant, const char* period = "2025-10", Time now = kAfterOctober) {
    const auto issued = store().FinaliseInvoice(Finalise(tenant, period), now);
    EXPECT_TRUE(issued) << issued.error().message;
    return issued.value_or(IssuedInvoice{});
  }
  static PayoutKey Key(const char* name = "payouts/acme-kes-2025-11") {
    return ParsePayoutName(name, kAfterNovember).value();
  }
  Result<Payout> Pay(const PayoutKey& key = Key(), Time now = kAfterNovember) {
    return payouts_.FinalisePayout(key, "allod-ke", now);
  }
  void AsOwner(const std::string& sql) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    work.exec(sql);
    work.commit();
  }
  bool IsSound(const std::string& tenant) {
    const auto audit = store().AuditTenant(Tenant(tenant), kAfterNovember, {});
    EXPECT_TRUE(audit) << audit.error().message;
    return audit && audit->invoice_fault_count == 0;
  }

  PgHarness harness_;
  PgPayoutStore payouts_;
};

TEST_F(BillingPayouts, AnInvoiceEarnsAndACreditNoteTakesBackTheSameShare) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  const IssuedInvoice invoice = Issue("ke");
  ASSERT_EQ(invoice.net, Kes("4.13"));
  EXPECT_EQ(Balances(store(), "ke").at("publisher-payable"), "1.239");
  EXPECT_EQ(Balances(store(), "ke").at("usage-revenue"), "2.885") << "4.124 less 1.239";
  // Other terms from now on; what was given is taken back as it was given.
  Share(5000, "publishers/other");
  ASSERT_TRUE(store().CreateCreditNote(Credit("ke", {{2, Kes("1")}}), kAfterOctober));
  EXPECT_EQ(Balances(store(), "ke").at("publisher-payable"), "0.939");
  ExpectSoundBooks(store(), "ke");
  ASSERT_TRUE(store().CreateCreditNote(Credit("ke", {}), kAfterOctober));
  EXPECT_EQ(Balances(store(), "ke").at("publisher-payable"), "0");
  ExpectSoundBooks(store(), "ke");
}

TEST_F(BillingPayouts, APayoutIsOverAllTenantsAndTakesEachEarningOnce) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Use(store(), "tz", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  Issue("tz");
  ASSERT_TRUE(store().CreateCreditNote(Credit("tz", {{2, Kes("1")}}), kAfterOctober));
  EXPECT_EQ(Pay(Key(), kAfterOctober).error().reason, "PERIOD_OPEN");
  EXPECT_EQ(payouts_.FinalisePayout(Key(), "nobody", kAfterNovember).error().reason, "NO_LEGAL_ENTITY");
  EXPECT_EQ(Pay(Key("payouts/other-kes-2025-11")).error().reason, "NOTHING_TO_PAY");
  EXPECT_EQ(Pay(Key("payouts/acme-kes-2025-10")).error().reason, "NOTHING_TO_PAY");
  const auto payout = Pay();
  ASSERT_TRUE(payout) << payout.error().message;
  EXPECT_EQ(payout->number, "PAYOUT-allod-ke-000001");
  EXPECT_EQ(payout->earned, Kes("2.178")) << "1.239 + 1.239 - 0.3";
  EXPECT_EQ(payout->payable, Kes("2.17"));
  ASSERT_EQ(payout->lines.size(), 1U);
  EXPECT_EQ(payout->lines[0].document_count, 3);
  EXPECT_EQ(payout->lines[0].net, Kes("7.26"));
  EXPECT_EQ(payout->payer.name, "Allod Kenya Ltd");
  // Again it is the same, and the month before is closed.
  EXPECT_EQ(Pay()->number, payout->number);
  EXPECT_EQ(Pay(Key("payouts/acme-kes-2025-10")).error().reason, "LATER_PERIOD_FINALISED");
  EXPECT_EQ(payouts_.ListPayouts("", 10)->size(), 1U);
  EXPECT_TRUE(payouts_.ListPayouts(SortKey(Key()), 10)->empty());
  // What comes later is in the next one; what is less than nothing stays open.
  ASSERT_TRUE(store().CreateCreditNote(Credit("ke", {{2, Kes("1")}}), kAfterNovember));
  const Time january = kAfterNovember + 31 * 24h;
  EXPECT_EQ(Pay(Key("payouts/acme-kes-2025-12"), january).error().reason, "NOTHING_TO_PAY");
}

TEST_F(BillingPayouts, ManyAtOnceMakeOnePayoutAndNumbersHaveNoGap) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  std::set<std::string> numbers;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      const auto payout = Pay();
      const std::lock_guard lock(mutex);
      numbers.insert(payout ? payout->number : payout.error().message);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(numbers, testing::ElementsAre("PAYOUT-allod-ke-000001"));
}

TEST_F(BillingPayouts, APaymentIsRecordedOnce) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  EXPECT_EQ(payouts_.RecordPayment(Key(), {"2025-12-03", "SWIFT 1"}).error().code, Code::kNotFound);
  ASSERT_TRUE(Pay());
  EXPECT_EQ(payouts_.RecordPayment(Key(), {"2025-12-03", "SWIFT 1"})->paid_on, "2025-12-03");
  EXPECT_TRUE(payouts_.RecordPayment(Key(), {"2025-12-03", "SWIFT 1"}));
  EXPECT_EQ(payouts_.RecordPayment(Key(), {"2025-12-04", "SWIFT 1"}).error().reason, "ALREADY_PAID");
  EXPECT_EQ(payouts_.GetPayout(Key())->payment_reference, "SWIFT 1");
}

TEST_F(BillingPayouts, TermsAreVersionsAndTheNewestCounts) {
  Share(3000);
  Share(3000);
  Share(2000);
  const auto shares = payouts_.ListRevenueShares("", 10).value();
  ASSERT_EQ(shares.size(), 1U);
  EXPECT_EQ(shares[0].version, 2);
  EXPECT_EQ(shares[0].basis_points, 2000);
  Share(0);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  EXPECT_EQ(Balances(store(), "ke").count("publisher-payable"), 0U) << "nothing any more";
  ExpectSoundBooks(store(), "ke");
}

TEST_F(BillingPayouts, TheAuditFindsWhatIsWrong) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  ASSERT_TRUE(IsSound("ke"));
  AsOwner(
      "ALTER TABLE billing.publisher_earnings DISABLE TRIGGER refuse_change;"
      "UPDATE billing.publisher_earnings SET net = net * 2, share = share * 2");
  EXPECT_FALSE(IsSound("ke"));
  AsOwner("UPDATE billing.publisher_earnings SET net = net / 2, share = share / 2");
  ASSERT_TRUE(IsSound("ke"));
  AsOwner(
      "ALTER TABLE billing.publisher_shares NO FORCE ROW LEVEL SECURITY;"
      "ALTER TABLE billing.publisher_shares DISABLE TRIGGER refuse_change;"
      "UPDATE billing.publisher_shares SET basis_points = 6000, share = share * 2");
  EXPECT_FALSE(IsSound("ke"));
}

TEST_F(BillingPayouts, NothingJoinsAPayoutLaterAndTheAuditNamesOneThatDoesNotAddUp) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  ASSERT_TRUE(Pay());
  EXPECT_TRUE(store().MismatchedPayouts(10)->empty());
  Use(store(), "tz", kOctober + 1h, 31'000, 17'000);
  Issue("tz");
  const std::string join =
      "INSERT INTO billing.payout_items (earning_id, publisher, currency_code, month) SELECT e.id, e.publisher, "
      "e.currency_code, e.month FROM billing.publisher_earnings e WHERE NOT EXISTS (SELECT FROM billing.payout_items i "
      "WHERE i.earning_id = e.id)";
  EXPECT_FALSE(harness_.pool().Run<int>([&](GlobalTx& tx) -> Result<int> {
    tx.Exec(join);
    return 0;
  })) << "at commit";
  EXPECT_TRUE(store().MismatchedPayouts(10)->empty());
  AsOwner("SET session_replication_role = replica;" + join);
  EXPECT_EQ(store().MismatchedPayouts(10).value(), std::vector<std::string>{"payouts/acme-kes-2025-11"});
}

TEST_F(BillingPayouts, TheServiceCanNeitherInventNorChange) {
  Share(3000);
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  ASSERT_TRUE(Pay());
  for (const char* sql :
       {"INSERT INTO billing.publisher_earnings (publisher, currency_code, month, listing, basis_points, document, "
        "net, "
        "share, source, source_id) VALUES ('publishers/acme', 'KES', '2025-11-01', 'listings/x', 10000, 'x', 1, 1, "
        "gen_random_uuid(), 'x')",
        "UPDATE billing.revenue_shares SET basis_points = 1", "DELETE FROM billing.payouts",
        "UPDATE billing.payout_numbers SET last = 7",
        "INSERT INTO billing.payout_lines (publisher, currency_code, month, number, listing, basis_points, "
        "document_count, net, share) VALUES ('publishers/acme', 'KES', '2025-11-01', 9, 'listings/x', 10000, 1, 1, "
        "1)"}) {
    const auto done = harness_.pool().Run<int>([&](GlobalTx& tx) -> Result<int> {
      tx.Exec(sql);
      return 0;
    });
    EXPECT_FALSE(done) << sql;
  }
}

// PDF of invoices, beside: kept as first made, and each tenant's own.
TEST_F(BillingPayouts, AFileIsKeptAsItWasFirstMade) {
  Use(store(), "ke", kOctober + 1h, 31'000, 17'000);
  Issue("ke");
  documents::PgFileStore files(harness_.pool());
  const documents::FileKey key{Tenant("ke"), "2025-10", "ar"};
  EXPECT_EQ(files.FindFile(key).value(), std::nullopt);
  const std::string bytes("%PDF\0\xff\\'", 8);
  EXPECT_EQ(files.KeepFile(key, bytes).value(), bytes);
  EXPECT_EQ(files.KeepFile(key, "another").value(), bytes);
  EXPECT_EQ(files.FindFile(key).value(), bytes);
  EXPECT_EQ(files.FindFile({Tenant("tz"), "2025-10", "ar"}).value(), std::nullopt);
  EXPECT_EQ(files.FindFile({Tenant("ke"), "2025-10", "en"}).value(), std::nullopt);
  EXPECT_FALSE(files.KeepFile({Tenant("ke"), "2025-09", "en"}, bytes)) << "no such invoice";
}

}  // namespace
}  // namespace allod::billing::payouts::billing_payouts_test
