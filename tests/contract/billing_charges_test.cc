// Charges in invoices and credit notes, on both stores: each in one invoice, booked with it, and never less than
// nothing.
#include <fmt/format.h>

#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::billing_charges_test {
namespace {

using namespace invoicing;

Charge Time(std::int64_t seconds, const char* hour_price, allod::Time month = kOctober, const char* instance = "i") {
  return InstanceTime(month, fmt::format("tenants/ke/projects/p/instances/{}", instance),
                      "models/m/versions/v/variants/q4_k_m", "pooled", kDearBook, seconds, Kes(hour_price))
      .value();
}

Charge Single(const char* amount, allod::Time month = kOctober) {
  Charge out{.terms = {.kind = ChargeKind::kRerating, .detail = "KE-000000 1", .id = Uuid::V7()},
             .month = month,
             .unit_price = Kes(amount)};
  out.exact = out.unit_price;
  return out;
}

template <typename Harness>
class BillingCharges : public testing::Test {
 protected:
  void SetUp() override { OpenInvoicing(store(), "ke"); }
  Store& store() { return harness_.store(); }
  void Add(const Charge& charge) { harness_.AddCharge(Tenant("ke"), charge); }
  IssuedInvoice Issue(const char* period, allod::Time now) {
    const auto issued = store().FinaliseInvoice(Finalise("ke", period), now);
    EXPECT_TRUE(issued) << issued.error().reason << ": " << issued.error().message;
    return issued.value_or(IssuedInvoice{});
  }
  Harness harness_;
};

using Harnesses = testing::Types<FakeHarness, PgHarness>;
TYPED_TEST_SUITE(BillingCharges, Harnesses);

TYPED_TEST(BillingCharges, AreLinesAfterThoseOfTokensAndAreBookedExactly) {
  Store& store = this->store();
  Use(store, "ke", kOctober + 1h, 31'000, 17'000);
  this->Add(Time(5'400, "2.01"));
  this->Add(Single("1"));
  this->Add(Single("-0.5"));
  const auto open = store.OpenCharges({Tenant("ke"), kOctober, 10, ""});
  ASSERT_EQ(open->size(), 3U);
  EXPECT_EQ(store.OpenCharges({Tenant("ke"), kOctober, 10, "p"})->size(), 1U) << "of its instances only";
  EXPECT_EQ(store.OpenCharges({Tenant("ke"), kMonth, 10, ""})->size(), 0U);
  const IssuedInvoice invoice = this->Issue("2025-10", kAfterOctober);
  ASSERT_EQ(invoice.lines.size(), 5U);
  EXPECT_EQ(invoice.lines[2].charge->kind, ChargeKind::kInstanceTime);
  EXPECT_EQ(invoice.lines[2].exact, Kes("3.015"));
  EXPECT_EQ(invoice.lines[2].amount, Kes("3.02"));
  EXPECT_EQ(invoice.lines[4].amount, Kes("-0.5"));
  EXPECT_EQ(invoice.net, Kes("7.65")) << "1.57 + 2.56 + 3.02 + 1 - 0.5";
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->posted, invoice.payable);
  EXPECT_EQ(Balances(store, "ke").at("usage-revenue"), "7.639") << "1.5655 + 2.5585 + 3.015 + 1 - 0.5";
  EXPECT_TRUE(store.OpenCharges({Tenant("ke"), kOctober, 10, ""})->empty());
  const auto found = store.FindInvoice(Tenant("ke"), "2025-10").value();
  EXPECT_EQ(Everything(found), Everything(invoice));
  EXPECT_EQ(found.lines[4].charge, invoice.lines[4].charge);
  EXPECT_EQ(store.FindInvoiceLine(Tenant("ke"), "2025-10", 3)->quantity, 5'400);
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingCharges, MakeAMonthDueUnlessTheyTakeSomethingOff) {
  Store& store = this->store();
  const auto due = [&] { return store.TenantsWithDuePeriods(kAfterNovember, {}, 10).value(); };
  this->Add(Single("-1"));
  EXPECT_TRUE(due().empty());
  this->Add(Time(3'600, "2"));
  ASSERT_EQ(due().size(), 1U);
  EXPECT_EQ(due()[0].month, kOctober);
  const auto early = store.FinaliseInvoice(Finalise("ke", "2025-11"), kAfterNovember);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().reason, "EARLIER_PERIOD_OPEN");
  EXPECT_EQ(this->Issue("2025-10", kAfterOctober).net, Kes("1"));
  EXPECT_TRUE(due().empty());
  // More time of the same month: in the next invoice.
  this->Add(Time(1'800, "2"));
  ASSERT_EQ(due().size(), 1U);
  EXPECT_EQ(due()[0].month, kMonth);
  const IssuedInvoice late = this->Issue("2025-11", kAfterNovember);
  ASSERT_EQ(late.lines.size(), 1U);
  EXPECT_EQ(late.lines[0].month, kOctober);
  EXPECT_EQ(late.lines[0].quantity, 1'800);
  EXPECT_EQ(late.net, Kes("1"));
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingCharges, WhatWouldTakeOffMoreThanThereIsWaits) {
  Store& store = this->store();
  this->Add(Time(3'600, "2"));
  this->Add(Single("-2.01"));
  EXPECT_EQ(this->Issue("2025-10", kAfterOctober).lines.size(), 1U);
  EXPECT_EQ(store.OpenCharges({Tenant("ke"), kOctober, 10, ""})->size(), 1U);
  const auto nothing = store.FinaliseInvoice(Finalise("ke", "2025-11"), kAfterNovember);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().reason, "NOTHING_TO_INVOICE");
  this->Add(Time(3'600, "3", kMonth));
  EXPECT_EQ(this->Issue("2025-11", kAfterNovember).net, Kes("0.99"));
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingCharges, AreCreditedToNoMoreThanTheInvoiceAsked) {
  Store& store = this->store();
  Use(store, "ke", kOctober + 1h, 31'000, 17'000);
  this->Add(Time(3'600, "5"));
  this->Add(Single("-5"));
  const IssuedInvoice invoice = this->Issue("2025-10", kAfterOctober);  // 1.57, 2.56, 5, -5
  const auto reason = [&](std::vector<CreditCommand::Line> lines) {
    const auto made = store.CreateCreditNote(Credit("ke", std::move(lines)), kAfterNovember);
    return made ? std::string() : made.error().reason;
  };
  EXPECT_EQ(reason({{3, {}}}), "CREDIT_EXCEEDS_INVOICE") << "5 of 4.13";
  EXPECT_EQ(reason({{4, {}}}), "INVALID_CREDIT") << "less than nothing";
  EXPECT_EQ(reason({{3, {}}, {4, Kes("1")}}), "INVALID_CREDIT") << "of another sign";
  EXPECT_EQ(reason({{3, {}}, {4, Kes("-5.01")}}), "CREDIT_EXCEEDS_INVOICE");
  EXPECT_EQ(reason({{3, {}}, {4, {}}}), "NOTHING_TO_CREDIT");
  const auto part = store.CreateCreditNote(Credit("ke", {{3, {}}, {4, Kes("-4")}}), kAfterNovember);
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->net, Kes("1"));
  ASSERT_EQ(part->lines.size(), 2U);
  EXPECT_EQ(Everything(store.FindInvoice(Tenant("ke"), "2025-10-c1").value()), Everything(*part));
  EXPECT_EQ(reason({{1, {}}, {2, {}}}), "CREDIT_EXCEEDS_INVOICE") << "4.13 of 3.13";
  const auto rest = store.CreateCreditNote(Credit("ke", {}), kAfterNovember);
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_EQ(rest->net, Kes("3.13"));
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->posted, Amount());
  ExpectSoundBooks(store, "ke");
}

class PgCharges : public BillingCharges<PgHarness> {
 protected:
  void SetUp() override {
    BillingCharges::SetUp();
    this->Add(Time(3'600, "2"));
    this->Add(Single("1"));
  }
  std::string Attempt(const std::string& sql) {
    std::string state = "done";
    const auto run = harness_.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
      try {
        tx.Exec(sql);
        tx.Exec("SET CONSTRAINTS ALL IMMEDIATE");
      } catch (const pqxx::insufficient_privilege&) {
        state = "42501";
        return Fail(Code::kUnknown, "X", "");
      } catch (const pqxx::sql_error& e) {
        state = e.sqlstate();
        return Fail(Code::kUnknown, "X", "");
      }
      return 0;
    });
    return state;
  }
  std::int64_t Faults() { return store().AuditTenant(Tenant("ke"), kNow, {})->invoice_fault_count; }
  void Spoil(const std::string& sql) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    work.exec("SET session_replication_role = replica");
    work.exec(sql);
    work.commit();
  }
};

TEST_F(PgCharges, TheServiceCanNeitherMakeTimeNorOpenWhatIsInvoiced) {
  EXPECT_EQ(Attempt("UPDATE billing.charges SET open = true"), "42501");
  EXPECT_EQ(Attempt("DELETE FROM billing.charges"), "42501");
  EXPECT_EQ(Attempt("UPDATE billing.instance_time_totals SET seconds = 0"), "42501");
  EXPECT_EQ(Attempt("INSERT INTO billing.instance_time_totals (tenant_id) SELECT tenant_id FROM billing.charges"),
            "42501");
  Issue("2025-10", kAfterOctober);
  for (const char* table : {"invoice_charges", "credit_note_charges"}) {
    EXPECT_EQ(Attempt(fmt::format("DELETE FROM billing.{}", table)), "42501") << table;
    EXPECT_EQ(Attempt(fmt::format("UPDATE billing.{} SET tenant_id = tenant_id", table)), "42501") << table;
  }
  EXPECT_EQ(Attempt("INSERT INTO billing.invoice_charges SELECT * FROM billing.invoice_charges"), "42501")
      << "it is immutable";
}

TEST_F(PgCharges, TheAuditFindsWhatDoesNotAddUp) {
  Issue("2025-10", kAfterOctober);
  EXPECT_EQ(Faults(), 0);
  Spoil("UPDATE billing.instance_time_totals SET seconds_invoiced = 0");
  EXPECT_EQ(Faults(), 1);
  Spoil("UPDATE billing.instance_time_totals SET seconds_invoiced = seconds");
  Spoil("UPDATE billing.charges SET open = true");
  EXPECT_EQ(Faults(), 1);
  Spoil("UPDATE billing.charges SET open = false");
  EXPECT_EQ(Faults(), 0);
  Spoil("UPDATE billing.transfers SET amount = amount + 1 WHERE kind = 'charge'");
  EXPECT_EQ(Faults(), 1);
  Spoil("UPDATE billing.transfers SET amount = amount - 1 WHERE kind = 'charge'");
  Spoil("UPDATE billing.invoice_charges SET amount = amount + 10000000000 WHERE number = 1");
  EXPECT_EQ(Faults(), 1);
}

}  // namespace
}  // namespace allod::billing::billing_charges_test
