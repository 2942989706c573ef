#include "services/billing/audit.h"

#include <gtest/gtest.h>

namespace allod::billing::audit_test {
namespace {

TenantAudit::Account Account(const char* code, std::int64_t kept, std::int64_t held = 0) {
  return {.code = code,
          .currency_code = "KES",
          .kept_balance = Amount::FromPico(kept),
          .kept_held = Amount::FromPico(held),
          .balance = Amount::FromPico(kept),
          .held = Amount::FromPico(held)};
}

TenantAudit SoundBooks() {
  return {.accounts = {Account("receivable", -70, 30), Account("usage-revenue", 70)},
          .transfer_count = 5,
          .usage_record_count = 2,
          .open_hold_count = 1,
          .open_reservation_count = 1,
          .posted_usage = Amount::FromPico(70),
          .recorded_usage = Amount::FromPico(70),
          .invoiced_usage = Amount::FromPico(70)};
}

TEST(LedgerReport, AddsUpTenants) {
  LedgerReport report;
  ASSERT_TRUE(AddTenant(report, "tenants/ke", SoundBooks()));
  ASSERT_TRUE(AddTenant(report, "tenants/tz", SoundBooks()));
  EXPECT_EQ(report.sums.at("KES"), Amount());
  EXPECT_TRUE(report.mismatches.empty());
  EXPECT_EQ(report.transfer_count, 10);
  EXPECT_EQ(report.usage_record_count, 4);
  EXPECT_EQ(report.open_reservation_count, 2);
}

TEST(LedgerReport, NamesEveryKindOfBreakage) {
  const auto mismatch = [](auto damage) {
    TenantAudit audit = SoundBooks();
    damage(audit);
    LedgerReport report;
    EXPECT_TRUE(AddTenant(report, "tenants/ke", audit));
    return report.mismatches.empty() ? std::string() : report.mismatches.at(0);
  };
  EXPECT_EQ(mismatch([](auto& a) { a.accounts[0].kept_balance = Amount::FromPico(-69); }),
            "tenants/ke/ledgerAccounts/receivable");
  EXPECT_EQ(mismatch([](auto& a) { a.accounts[0].kept_held = Amount(); }), "tenants/ke/ledgerAccounts/receivable");
  EXPECT_EQ(mismatch([](auto& a) { a.accounts[1].balance = Amount(); }), "tenants/ke/ledgerAccounts/usage-revenue");
  EXPECT_EQ(mismatch([](auto& a) { a.open_reservation_count = 0; }), "tenants/ke/openReservations");
  EXPECT_EQ(mismatch([](auto& a) { a.recorded_usage = Amount::FromPico(71); }), "tenants/ke/usageRecords");
  EXPECT_EQ(mismatch([](auto& a) { a.invoiced_usage = Amount::FromPico(69); }), "tenants/ke/invoices");
  EXPECT_EQ(mismatch([](auto& a) { a.transfer_fault_count = 1; }), "tenants/ke/transfers");
  EXPECT_EQ(mismatch([](auto& a) { a.payment_fault_count = 1; }), "tenants/ke/payments");
  EXPECT_EQ(mismatch([](auto& a) { a.budget_fault_count = 1; }), "tenants/ke/budgets");
  EXPECT_EQ(mismatch([](auto& a) { a.instance_time_fault_count = 1; }), "tenants/ke/instanceTime");
  const Uuid lease = Uuid::FromName("leases/one");
  EXPECT_EQ(mismatch([&](auto& a) { a.mismatched_leases = {lease}; }), "tenants/ke/leases/" + lease.ToString());
}

TEST(LedgerReport, CountsWhatWasLeftOpenOrNotRecorded) {
  LedgerReport report;
  TenantAudit audit = SoundBooks();
  audit.overdue_hold_count = 2;
  audit.excess_record_count = 1;
  audit.open_lease_count = 3;
  audit.overdue_lease_count = 1;
  audit.short_record_count = 5;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(AddTenant(report, "tenants/ke", audit));
    AddCounts(report.usage, {.unbilled_count = 3, .unsettled_count = 4});
  }
  EXPECT_EQ(report.overdue_hold_count, 4);
  EXPECT_EQ(report.excess_record_count, 2);
  EXPECT_EQ(report.open_lease_count, 6);
  EXPECT_EQ(report.overdue_lease_count, 2);
  EXPECT_EQ(report.short_record_count, 10);
  EXPECT_EQ(UnrecordedCount(report), 14);
  EXPECT_TRUE(report.mismatches.empty());
}

TEST(LedgerReport, AddsAllOfATenantOrNothing) {
  LedgerReport report;
  ASSERT_TRUE(AddTenant(report, "tenants/ke", SoundBooks()));
  TenantAudit audit = SoundBooks();
  for (auto& account : audit.accounts) account.kept_balance = *Amount::ParsePico(std::string(38, '9'));
  EXPECT_EQ(AddTenant(report, "tenants/tz", audit).error().code, Code::kOutOfRange);
  EXPECT_EQ(report.sums.at("KES"), Amount());
  EXPECT_TRUE(report.mismatches.empty());
  EXPECT_EQ(report.transfer_count, 5);
}

TEST(LedgerReport, ShowsASumThatIsNotZero) {
  TenantAudit audit = SoundBooks();
  audit.accounts[1].kept_balance = Amount::FromPico(71);
  LedgerReport report;
  ASSERT_TRUE(AddTenant(report, "tenants/ke", audit));
  EXPECT_EQ(report.sums.at("KES").pico(), 1);
}

}  // namespace
}  // namespace allod::billing::audit_test
