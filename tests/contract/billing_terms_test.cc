// Price terms in PostgreSQL: versions that follow each other, and what they do to invoices, drafts and the ledger.
#include <fmt/format.h>

#include "services/billing/terms/pg_terms_store.h"
#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::terms::billing_terms_test {
namespace {

using namespace invoicing;

const Time kSet = kOctober + 24h * 3;

class PgTerms : public testing::Test {
 protected:
  void SetUp() override { OpenInvoicing(store_, "ke"); }
  static Terms Agreed(Time start = kOctober) {
    return {.tenant = Tenant("ke"), .tenant_name = "tenants/ke", .start_month = start};
  }
  static Terms Off(std::int32_t basis_points, Time start = kOctober) {
    Terms out = Agreed(start);
    out.discounts = {{"", basis_points}};
    return out;
  }
  static Terms Committed(const char* monthly, std::int32_t months) {
    Terms out = Agreed();
    out.commitment = {Kes(monthly), months, 0};
    return out;
  }
  Terms Set(const Terms& terms, const RequestId& request = {}, Time now = kSet) {
    const auto set = terms_.Set(terms, request, now);
    EXPECT_TRUE(set) << set.error().reason << ": " << set.error().message;
    return set.value_or(Terms{});
  }
  IssuedInvoice Issue(const char* period, Time now) {
    const auto issued = store_.FinaliseInvoice(Finalise("ke", period), now);
    EXPECT_TRUE(issued) << issued.error().reason << ": " << issued.error().message;
    return issued.value_or(IssuedInvoice{});
  }
  std::vector<std::string> Due(Time now) {
    std::vector<std::string> out;
    const auto due = store_.TenantsWithDuePeriods(now, {}, 10);
    for (const DuePeriod& each : due.value()) out.push_back(PeriodOf(each.month).name);
    return out;
  }
  std::string Attempt(const std::string& sql) {
    std::string state = "done";
    const auto run = harness_.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
      try {
        tx.Exec(sql);
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

  PgHarness harness_;
  Store& store_ = harness_.store();
  PgTermsStore terms_{harness_.pool()};
};

TEST_F(PgTerms, AreReadAsTheyWereSetAndSetOnceByRequest) {
  Terms all = Off(1'000);
  all.free_tokens = {{"", 5}, {"models/m", 7}};
  all.tiers = {{"models/m", {{1'000, 100}, {2'000, 200}}}};
  all.free_amount = Kes("1.5");
  all.commitment = {Kes("10"), 3, 50};
  all.service_level = {{9'950, 1'000}, {9'000, 5'000}};
  all.note = "Contract 7";
  const RequestId request = MakeRequestId(Uuid::V7().ToString(), "SetPriceTerms", "a").value();
  const Terms set = Set(all, request);
  EXPECT_EQ(set.version, 1);
  EXPECT_TRUE(SameContent(set, all));
  EXPECT_EQ(Set(all, request).version, 1);
  EXPECT_EQ(Set(all).version, 1) << "they say the same";
  const RequestId reused{.id = request.id, .payload_sha256 = std::string(64, '0')};
  EXPECT_EQ(terms_.Set(Off(1), reused, kSet).error().reason, "REQUEST_ID_REUSED");
  Terms next = all;
  next.start_month = kMonth;
  EXPECT_EQ(terms_.Preview(next, kSet)->version, 2);
  EXPECT_EQ(terms_.List(Tenant("ke"), 0, 10)->size(), 1U) << "nothing was written";
  EXPECT_EQ(Set(next).version, 2);
  const Terms found = terms_.Get(Tenant("ke"), {}, kOctober).value();
  EXPECT_EQ(found.version, 1);
  EXPECT_TRUE(SameContent(found, all));
  EXPECT_EQ(terms_.Get(Tenant("ke"), {}, kMonth)->version, 2);
  EXPECT_EQ(terms_.Get(Tenant("ke"), 3, kMonth).error().code, Code::kNotFound);
  EXPECT_EQ(terms_.Get(Tenant("tz"), {}, kMonth).error().code, Code::kNotFound);
  const auto page = terms_.List(Tenant("ke"), 2, 1).value();
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].version, 1);
  EXPECT_EQ(Attempt("UPDATE billing.price_terms SET note = ''"), "42501");
  EXPECT_EQ(Attempt("DELETE FROM billing.price_terms"), "42501");
}

TEST_F(PgTerms, TakeOffInTheDraftAndInTheInvoiceAndOfWhatComesLate) {
  Set(Off(1'000));
  Use(store_, "ke", kOctober + 24h * 4, 31'000, 17'000);
  const auto draft = store_.OpenCharges({Tenant("ke"), kOctober, 10, ""}).value();
  ASSERT_EQ(draft.size(), 1U);
  EXPECT_EQ(draft[0].exact, Kes("-0.4124")) << "a tenth of 4.124";
  EXPECT_TRUE(store_.OpenCharges({Tenant("ke"), kOctober, 10, "p"})->empty()) << "they are the tenant's as a whole";
  EXPECT_EQ(store_.GetBillingAccount(Tenant("ke"))->posted, Kes("4.124")) << "at the list price";
  const IssuedInvoice invoice = Issue("2025-10", kAfterOctober);
  ASSERT_EQ(invoice.lines.size(), 3U);
  EXPECT_EQ(invoice.lines[2].charge->term, "discount");
  EXPECT_EQ(invoice.lines[2].amount, Kes("-0.41"));
  EXPECT_EQ(invoice.net, Kes("3.72"));
  EXPECT_EQ(Balances(store_, "ke").at("usage-revenue"), "3.7116");
  EXPECT_EQ(Everything(store_.FindInvoice(Tenant("ke"), "2025-10").value()), Everything(invoice));
  // Settled late: at the terms of its own month, though others count since.
  EXPECT_EQ(terms_.Set(Off(5'000), {}, kSet).error().reason, "TERMS_MONTH_INVOICED");
  Set(Off(5'000, kMonth));
  Use(store_, "ke", kOctober + 24h * 5, 31'000, 17'000);
  Use(store_, "ke", kMonth + 24h, 31'000, 17'000);
  const IssuedInvoice second = Issue("2025-11", kAfterNovember);
  ASSERT_EQ(second.lines.size(), 6U);
  EXPECT_EQ(second.lines[4].month, kOctober);
  EXPECT_EQ(second.lines[4].exact, Kes("-0.4124"));
  EXPECT_EQ(second.lines[5].month, kMonth);
  EXPECT_EQ(second.lines[5].exact, Kes("-2.062"));
  ExpectSoundBooks(store_, "ke");
  EXPECT_EQ(store_.GetBillingAccount(Tenant("ke"))->posted, Add(invoice.payable, second.payable).value());
  EXPECT_EQ(
      Attempt(fmt::format("INSERT INTO billing.price_terms SELECT tenant_id, 3, start_month, content, 0, '', NULL, "
                          "'', now() FROM billing.price_terms WHERE version = 2")),
      "23514")
      << "whoever writes it: the month is invoiced";
}

TEST_F(PgTerms, ACommitmentIsInvoicedMonthByMonthWhateverWasUsed) {
  Set(Committed("10", 2));
  EXPECT_EQ(Due(kAfterOctober), (std::vector<std::string>{"2025-10"}));
  EXPECT_EQ(store_.FinaliseInvoice(Finalise("ke", "2025-11"), kAfterNovember).error().reason, "EARLIER_PERIOD_OPEN");
  const IssuedInvoice unused = Issue("2025-10", kAfterOctober);
  ASSERT_EQ(unused.lines.size(), 1U);
  EXPECT_EQ(unused.lines[0].charge->kind, ChargeKind::kCommitmentShortfall);
  EXPECT_EQ(unused.net, Kes("10"));
  // What comes late of a month counts towards what it was committed to.
  Use(store_, "ke", kOctober + 24h * 5, 31'000, 17'000);
  Use(store_, "ke", kMonth + 24h, 31'000, 17'000);
  EXPECT_EQ(Due(kAfterNovember), (std::vector<std::string>{"2025-11"}));
  const IssuedInvoice second = Issue("2025-11", kAfterNovember);
  EXPECT_EQ(Add(second.net, second.residue).value(), Kes("10")) << "4.124 and what is missing, and nothing for October";
  EXPECT_TRUE(Due(kAfterNovember + 24h * 70).empty()) << "it is over";
  ExpectSoundBooks(store_, "ke");
}

}  // namespace
}  // namespace allod::billing::terms::billing_terms_test
