// Invoices and credit notes, on both stores: issued once, without a gap in their numbers, every token in one of them,
// and the ledger with them.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <thread>

#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::billing_invoices_test {
namespace {

using namespace invoicing;

template <typename Harness>
class BillingInvoices : public testing::Test {
 protected:
  Store& store() { return harness_.store(); }
  Harness harness_;
};

using Harnesses = testing::Types<FakeHarness, PgHarness>;
TYPED_TEST_SUITE(BillingInvoices, Harnesses);

TYPED_TEST(BillingInvoices, IssuesAMonthOnceWithItsTaxAndBooksWhatRoundingLeft) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  Use(store, "ke", kOctober + 1h, 31'000, 17'000);
  Use(store, "ke", kOctober + 48h, 1'001, 999);
  Use(store, "ke", kOctober + 49h, 777, 100, "j");
  Use(store, "ke", kOctober + 50h, 500, 500, "j", Outcome::kFault);
  const Amount owed = store.GetBillingAccount(Tenant("ke"))->posted;
  const auto invoice = store.FinaliseInvoice(Finalise("ke"), kAfterOctober);
  ASSERT_TRUE(invoice) << invoice.error().message;
  EXPECT_EQ(invoice->id, "2025-10");
  EXPECT_EQ(invoice->number, "KE-000001");
  EXPECT_EQ(invoice->seller, Operator().party);
  EXPECT_EQ(invoice->buyer, Profile("ke").buyer);
  ASSERT_EQ(invoice->lines.size(), 4U);
  EXPECT_EQ(invoice->lines[0].quantity, 32'001);
  EXPECT_EQ(invoice->lines[0].request_count, 2);
  EXPECT_EQ(invoice->lines[0].exact, Kes("1.6160505"));
  EXPECT_EQ(invoice->lines[0].amount, Kes("1.62"));
  EXPECT_EQ(invoice->lines[1].amount, Kes("2.71")) << "17999 x 0.0001505 = 2.7088495";
  EXPECT_EQ(invoice->lines[2].amount, Kes("0.04"));
  EXPECT_EQ(invoice->lines[3].amount, Kes("0.02")) << "0.01505";
  EXPECT_EQ(invoice->net, Kes("4.39"));
  EXPECT_EQ(invoice->tax, Kes("0.7")) << "0.7024";
  EXPECT_EQ(invoice->payable, Kes("5.09"));
  EXPECT_EQ(Add(invoice->net, invoice->residue).value(), owed) << "rounded and residue are what was used";
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->posted, invoice->payable) << "what is owed is what is invoiced";
  const auto balances = Balances(store, "ke");
  EXPECT_EQ(balances.at("receivable"), "-5.09");
  EXPECT_EQ(balances.at("tax-payable"), "0.7");
  EXPECT_EQ(balances.at("usage-revenue"), owed.ToString());
  EXPECT_EQ(balances.at("rounding"), Amount::FromPico(-invoice->residue.pico()).ToString());
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), owed);

  const auto again = store.FinaliseInvoice(Finalise("ke"), kAfterNovember);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(Everything(*again), Everything(*invoice)) << "to the last byte";
  ASSERT_TRUE(store.SetLegalEntity(
      [] {
        LegalEntity moved = Operator();
        moved.party.street = "Somewhere else";
        return moved;
      }(),
      kAfterNovember));
  EXPECT_EQ(Everything(store.FindInvoice(Tenant("ke"), "2025-10").value()), Everything(*invoice))
      << "whatever became of the seller since";
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), owed);
}

TYPED_TEST(BillingInvoices, SaysWhyAMonthCannotBeIssuedYet) {
  Store& store = this->store();
  const auto reason = [&](const std::string& period, Time now = kAfterNovember) {
    const auto done = store.FinaliseInvoice(Finalise("ke", period), now);
    return done ? std::string() : done.error().reason;
  };
  EXPECT_EQ(reason("2025-10"), "NO_BILLING_ACCOUNT");
  ASSERT_TRUE(store.SetBillingAccount(Account("ke", 1), kNow));
  EXPECT_EQ(reason("2025-10"), "NO_BILLING_PROFILE");
  EXPECT_EQ(store.SetBillingProfile(Profile("ke"), kNow).error().reason, "NO_LEGAL_ENTITY");
  EXPECT_EQ(store.SetBillingProfile(Profile("tz"), kNow).error().reason, "NO_BILLING_ACCOUNT");
  OpenInvoicing(store, "ke");
  EXPECT_EQ(reason("2025-10"), "NOTHING_TO_INVOICE");
  Use(store, "ke", kOctober + 1h, 1000, 1000);
  Use(store, "ke", kNow, 1000, 1000);
  EXPECT_EQ(reason("2025-10", kOctober + 240h), "PERIOD_OPEN");
  EXPECT_EQ(reason("2025-10", kMonth + kSettlementGraceDefault - 1s), "PERIOD_OPEN") << "the grace";
  EXPECT_EQ(reason("2025-11", kAfterNovember), "EARLIER_PERIOD_OPEN");
  const ReserveCommand held = Dear("ke", kMonth - 1s);
  ASSERT_TRUE(store.Reserve(held, kMonth - 1s));
  const auto refused = store.FinaliseInvoice(Finalise("ke"), kAfterOctober);
  EXPECT_EQ(refused.error().reason, "HOLDS_OPEN");
  EXPECT_NE(refused.error().message.find(held.request_id.ToString()), std::string::npos) << refused.error().message;
  ASSERT_TRUE(store.Settle(Settlement(held, 1, 1), kMonth + 1s));
  EXPECT_EQ(reason("2025-10", kAfterOctober), "");
  EXPECT_EQ(reason("2025-11"), "");
  EXPECT_EQ(reason("2025-09"), "LATER_PERIOD_FINALISED");
  EXPECT_EQ(reason("2025-10"), "") << "it is there";
  EXPECT_EQ(store.FindInvoice(Tenant("ke"), "2025-09").error().code, Code::kNotFound);
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingInvoices, WhatIsSettledLateComesIntoTheNextOnce) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  Use(store, "ke", kOctober + 1h, 1000, 2000);
  const ReserveCommand late = Dear("ke", kOctober + 2h);
  const ReserveCommand later = Dear("ke", kOctober + 3h);
  ASSERT_TRUE(store.Reserve(late, kOctober + 2h));
  ASSERT_TRUE(store.Reserve(later, kOctober + 3h));
  ASSERT_EQ(store.ExpireReservations(Tenant("ke"), kOctober + 30h, 10).value(), 2);
  ASSERT_EQ(store.SumMonth({Tenant("ke"), kOctober, 10})->size(), 1U);
  const IssuedInvoice october = store.FinaliseInvoice(Finalise("ke"), kAfterOctober).value();
  ASSERT_TRUE(store.Settle(Settlement(late, 10'000, 0), kAfterOctober + 1h));
  ASSERT_TRUE(store.Settle(Settlement(later, 5'000, 7'000), kAfterOctober + 1h));
  EXPECT_EQ(Everything(store.FinaliseInvoice(Finalise("ke"), kAfterOctober + 2h).value()), Everything(october));
  const auto draft = store.SumMonth({Tenant("ke"), kOctober, 10}).value();
  ASSERT_EQ(draft.size(), 1U) << "what no invoice has yet";
  EXPECT_EQ(draft[0].request_count, 2);
  EXPECT_EQ(draft[0].prompt_tokens, 15'000);
  EXPECT_EQ(draft[0].completion_tokens, 7'000);
  EXPECT_EQ(draft[0].amount, Pico(15'000 * kDearPrompt + 7'000 * kDearCompletion));
  Use(store, "ke", kNow, 400, 0);
  EXPECT_TRUE(store.TenantsWithDuePeriods(kMonth, {}, 10)->empty()) << "the month after has not ended";
  const IssuedInvoice november = store.FinaliseInvoice(Finalise("ke", "2025-11"), kAfterNovember).value();
  EXPECT_TRUE(store.SumMonth({Tenant("ke"), kOctober, 10})->empty()) << "no money is shown twice";
  ASSERT_EQ(november.lines.size(), 3U);
  EXPECT_EQ(november.lines[0].month, kOctober);
  EXPECT_EQ(november.lines[0].quantity, 15'000);
  EXPECT_EQ(november.lines[1].month, kOctober);
  EXPECT_EQ(november.lines[1].quantity, 7'000);
  EXPECT_EQ(november.lines[2].month, kMonth);
  EXPECT_EQ(november.lines[2].quantity, 400) << "no line for completion tokens that there are none of";
  for (const auto& [invoice, expected] : {std::pair{october, std::size_t{1}}, std::pair{november, std::size_t{2}}}) {
    const auto records =
        store.ListUsageRecords({.tenant = Tenant("ke"), .limit = 10, .line = invoice.lines.front()}).value();
    EXPECT_EQ(records.size(), expected) << invoice.id;
  }
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingInvoices, WhatIsSettledLateAndFollowedByNothingIsInvoicedAlone) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  Use(store, "ke", kOctober + 1h, 1000, 2000);
  const ReserveCommand late = Dear("ke", kOctober + 2h);
  ASSERT_TRUE(store.Reserve(late, kOctober + 2h));
  ASSERT_EQ(store.ExpireReservations(Tenant("ke"), kOctober + 30h, 10).value(), 1);
  ASSERT_TRUE(store.FinaliseInvoice(Finalise("ke"), kAfterOctober));
  EXPECT_TRUE(store.TenantsWithDuePeriods(kAfterNovember, {}, 10)->empty());
  ASSERT_TRUE(store.Settle(Settlement(late, 10'000, 0), kAfterNovember));
  const auto due = [&](Time before) {
    const auto found = store.TenantsWithDuePeriods(before, {}, 10).value();
    return found.empty() ? std::string() : PeriodOf(found.front().month).name;
  };
  EXPECT_EQ(due(kNow), "") << "November has not ended";
  EXPECT_EQ(due(kAfterNovember), "2025-11");
  EXPECT_EQ(due(kAfterNovember + 24h * 62), "2025-11") << "the month after the last invoice";
  Use(store, "ke", kAfterNovember, 1, 1);
  EXPECT_EQ(due(kAfterNovember + 24h * 62), "2025-12") << "one that has something of its own takes it along";
  const auto december = store.FinaliseInvoice(Finalise("ke", "2025-12"), kAfterNovember + 24h * 62);
  ASSERT_TRUE(december) << december.error().message;
  ASSERT_EQ(december->lines.size(), 3U);
  EXPECT_EQ(december->lines[0].month, kOctober);
  EXPECT_EQ(due(kAfterNovember + 24h * 93), "");

  OpenInvoicing(store, "tz");
  Use(store, "tz", kOctober + 1h, 1000, 2000);
  ASSERT_TRUE(store.FinaliseInvoice(Finalise("tz"), kAfterOctober));
  Use(store, "tz", kOctober + 3h, 7000, 0);
  EXPECT_EQ(due(kAfterNovember), "2025-11");
  const auto november = store.FinaliseInvoice(Finalise("tz", "2025-11"), kAfterNovember);
  ASSERT_TRUE(november) << november.error().message;
  ASSERT_EQ(november->lines.size(), 1U);
  EXPECT_EQ(november->lines[0].month, kOctober);
  EXPECT_EQ(november->lines[0].quantity, 7000);
  EXPECT_EQ(due(kAfterNovember + 24h * 93), "");
  ExpectSoundBooks(store, "ke");
  ExpectSoundBooks(store, "tz");
}

TYPED_TEST(BillingInvoices, WhatHasNoRoomInAnInvoiceIsInTheNext) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  constexpr std::size_t kInstances = kIssuedLinesMax / 2 + 2;
  std::vector<LeasedUsage> batch;
  for (std::size_t i = 0; i < kInstances; ++i) {
    LeasedUsage usage = Leased("ke", Uuid::V7(), 10, 20, Outcome::kCompleted, kOctober + 1h);
    usage.terms.price_book = kDearBook;
    usage.instance = fmt::format("tenants/ke/projects/p/instances/i{:05}", i);
    batch.push_back(std::move(usage));
    if (batch.size() < kSettleBatchMax && i + 1 < kInstances) continue;
    Settled(store, "ke", batch, kOctober + 2h);
    batch.clear();
  }
  const auto october = store.FinaliseInvoice(Finalise("ke"), kAfterOctober);
  ASSERT_TRUE(october) << october.error().message;
  EXPECT_EQ(october->lines.size(), kIssuedLinesMax);
  const auto due = store.TenantsWithDuePeriods(kAfterNovember, {}, 10).value();
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(PeriodOf(due[0].month).name, "2025-11");
  const auto november = store.FinaliseInvoice(Finalise("ke", "2025-11"), kAfterNovember);
  ASSERT_TRUE(november) << november.error().message;
  ASSERT_EQ(november->lines.size(), 4U);
  EXPECT_EQ(november->lines[0].month, kOctober);
  EXPECT_EQ(november->lines[3].instance, fmt::format("tenants/ke/projects/p/instances/i{:05}", kInstances - 1));
  EXPECT_EQ(store.ListUsageRecords({.tenant = Tenant("ke"), .limit = 10, .line = november->lines[3]})->size(), 1U);
  EXPECT_TRUE(store.TenantsWithDuePeriods(kAfterNovember + 24h * 93, {}, 10)->empty());
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingInvoices, ALeaseHoldsUpNoMonthAndWhatComesOfItLaterIsInTheNext) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  const Uuid lease = Uuid::V7();
  AdjustLeaseCommand made = Adjustment("ke", lease, 1, 0, 1'000'000'000'000'000);
  made.send_time = kOctober;
  Adjusted(store, made);
  const auto leased = [&](Time admitted, std::int64_t prompt, std::int64_t completion) {
    LeasedUsage usage = Leased("ke", lease, prompt, completion, Outcome::kCompleted, admitted);
    usage.terms.price_book = kDearBook;
    usage.prompt_tokens_max = usage.completion_tokens_max = 1'000'000;
    return usage;
  };
  EXPECT_EQ(Settled(store, "ke", {leased(kOctober + 1h, 1000, 2000), leased(kOctober + 2h, 500, 0)}, kOctober + 3h),
            (std::vector<std::string>{"351500000000", "25250000000"}));
  const auto october = store.FinaliseInvoice(Finalise("ke"), kAfterOctober);
  ASSERT_TRUE(october) << october.error().message;
  ASSERT_EQ(october->lines.size(), 2U);
  EXPECT_EQ(october->lines[0].quantity, 1500);
  EXPECT_EQ(october->lines[0].request_count, 2);
  EXPECT_EQ(october->lines[1].quantity, 2000);
  EXPECT_GT(store.GetBillingAccount(Tenant("ke"))->held, Amount()) << "the lease is as it was";
  Settled(store, "ke", {leased(kMonth - 1s, 7, 0), leased(kNow, 400, 0)}, kNow);
  const auto november = store.FinaliseInvoice(Finalise("ke", "2025-11"), kAfterNovember);
  ASSERT_TRUE(november) << november.error().message;
  ASSERT_EQ(november->lines.size(), 2U);
  EXPECT_EQ(november->lines[0].month, kOctober);
  EXPECT_EQ(november->lines[0].quantity, 7);
  EXPECT_EQ(november->lines[1].month, kMonth);
  EXPECT_EQ(november->lines[1].quantity, 400);
  for (const auto& [line, expected] :
       {std::pair{october->lines[0], std::size_t{2}}, std::pair{november->lines[0], std::size_t{1}}}) {
    EXPECT_EQ(store.ListUsageRecords({.tenant = Tenant("ke"), .limit = 10, .line = line})->size(), expected);
  }
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingInvoices, EveryLineIsTheSumOfItsRequests) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  for (int i = 0; i < 40; ++i) {
    Use(store, "ke", kOctober + i * 1h, 100 + i, i % 3 == 0 ? 0 : 7 * i, i % 2 == 0 ? "i" : "j",
        i % 5 == 0 ? Outcome::kFault : Outcome::kCompleted);
  }
  const IssuedInvoice invoice = store.FinaliseInvoice(Finalise("ke"), kAfterOctober).value();
  Use(store, "ke", kNow, 1, 1);
  ASSERT_EQ(invoice.lines.size(), 4U);
  Amount exact;
  for (const IssuedLine& stored : invoice.lines) {
    const IssuedLine line = store.FindInvoiceLine(Tenant("ke"), "2025-10", stored.number).value();
    std::int64_t tokens = 0, requests = 0;
    std::optional<Uuid> before;
    while (true) {
      const auto page =
          store.ListUsageRecords({.tenant = Tenant("ke"), .limit = 3, .before = before, .line = line}).value();
      for (const UsageRecord& record : page) {
        EXPECT_TRUE(record.billed);
        tokens += line.meter == Meter::kPrompt ? record.prompt_tokens : record.completion_tokens;
        ++requests;
      }
      if (page.empty()) break;
      before = page.back().request_id;
    }
    EXPECT_EQ(tokens, line.quantity) << line.number;
    EXPECT_EQ(requests, line.request_count) << line.number;
    exact = Add(exact, line.exact).value();
  }
  EXPECT_EQ(exact, Add(invoice.net, invoice.residue).value());
  EXPECT_EQ(store.FindInvoiceLine(Tenant("ke"), "2025-10", 5).error().code, Code::kNotFound);
  EXPECT_EQ(store.FindInvoiceLine(Tenant("tz"), "2025-10", 1).error().code, Code::kNotFound);
}

TYPED_TEST(BillingInvoices, CreditsPartsNeverMoreThanIsLeftAndInTheEndAllOfIt) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  Use(store, "ke", kOctober + 1h, 200'000, 300'000);
  const IssuedInvoice invoice = store.FinaliseInvoice(Finalise("ke"), kAfterOctober).value();
  EXPECT_EQ(invoice.net, Kes("55.25")) << "10.10 and 45.15";
  EXPECT_EQ(invoice.tax, Kes("8.84"));
  const auto refused = [&](const CreditCommand& command) {
    const auto done = store.CreateCreditNote(command, kNow);
    return done ? std::string() : done.error().reason;
  };
  EXPECT_EQ(refused(Credit("ke", {{1, Kes("10.11")}})), "CREDIT_EXCEEDS_INVOICE");
  EXPECT_EQ(refused(Credit("ke", {{1, Kes("0.001")}})), "INVALID_CREDIT");
  EXPECT_EQ(refused(Credit("ke", {{1, Kes("0")}})), "INVALID_CREDIT");
  EXPECT_EQ(refused(Credit("ke", {{1, Kes("-1")}})), "INVALID_CREDIT");
  EXPECT_EQ(refused(Credit("ke", {{3, Kes("1")}})), "INVALID_CREDIT");
  EXPECT_EQ(refused(Credit("ke", {{1, Kes("1")}, {1, Kes("1")}})), "INVALID_CREDIT");
  CreditCommand of_september = Credit("ke", {});
  of_september.period = ParsePeriod("2025-09", kNow).value();
  EXPECT_EQ(refused(of_september), "NOT_FOUND");

  const CreditCommand part = Credit("ke", {{1, Kes("3.33")}}, "part");
  const IssuedInvoice first = store.CreateCreditNote(part, kNow).value();
  EXPECT_EQ(first.id, "2025-10-c1");
  EXPECT_EQ(first.number, "KE-CN-000001");
  EXPECT_EQ(first.corrected_number, invoice.number);
  EXPECT_EQ(first.net, Kes("3.33"));
  EXPECT_EQ(first.tax, Kes("0.53"));
  EXPECT_EQ(Everything(store.CreateCreditNote(part, kNow + 1h).value()), Everything(first)) << "a retry";
  CreditCommand reused = part;
  reused.request = MakeRequestId(part.request.id.ToString(), "CreateCreditNote", "other").value();
  EXPECT_EQ(refused(reused), "REQUEST_ID_REUSED");
  EXPECT_EQ(refused(Credit("ke", {{1, Kes("6.78")}})), "CREDIT_EXCEEDS_INVOICE") << "6.77 are left";
  ASSERT_TRUE(store.CreateCreditNote(Credit("ke", {{1, {}}}), kNow));
  const IssuedInvoice rest = store.CreateCreditNote(Credit("ke", {}), kNow).value();
  EXPECT_EQ(rest.id, "2025-10-c3");
  ASSERT_EQ(rest.lines.size(), 1U);
  EXPECT_EQ(rest.lines[0].credited_line, 2);
  EXPECT_EQ(refused(Credit("ke", {})), "NOTHING_TO_CREDIT");
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->posted, Amount()) << "all of it, its tax to the last cent too";
  EXPECT_EQ(Balances(store, "ke").at("tax-payable"), "0");
  ExpectSoundBooks(store, "ke");
  EXPECT_EQ(Everything(store.FindInvoice(Tenant("ke"), "2025-10-c3").value()), Everything(rest));

  const auto page = store.ListInvoices(Tenant("ke"), "", 2).value();
  ASSERT_EQ(page.size(), 2U);
  EXPECT_EQ(page[0].id, "2025-10-c3");
  EXPECT_TRUE(page[0].lines.empty());
  EXPECT_EQ(store.ListInvoices(Tenant("ke"), "2025-10-c2", 10)->size(), 2U);
  EXPECT_TRUE(store.ListInvoices(Tenant("tz"), "", 10)->empty());
}

// docs/ledger.md
TYPED_TEST(BillingInvoices, TheExampleOfTheLedgersPage) {
  Store& store = this->store();
  OpenInvoicing(store, "ke");
  Use(store, "ke", kOctober + 1h, 31'000, 17'000);
  using Row = std::map<std::string, std::string>;
  const auto row = [](const char* receivable, const char* revenue, const char* tax, const char* rounding) {
    return Row{{"receivable", receivable}, {"usage-revenue", revenue}, {"tax-payable", tax}, {"rounding", rounding},
               {"payments", "0"},          {"vouchers", "0"},          {"wallet", "0"}};
  };
  EXPECT_EQ(Balances(store, "ke"), row("-4.124", "4.124", "0", "0"));
  ASSERT_TRUE(store.FinaliseInvoice(Finalise("ke"), kAfterOctober));
  EXPECT_EQ(Balances(store, "ke"), row("-4.79", "4.124", "0.66", "0.006"));
  ASSERT_TRUE(store.CreateCreditNote(Credit("ke", {{2, Kes("1")}}), kNow));
  EXPECT_EQ(Balances(store, "ke"), row("-3.63", "3.124", "0.5", "0.006"));
  ASSERT_TRUE(store.CreateCreditNote(Credit("ke", {}), kNow));
  EXPECT_EQ(Balances(store, "ke"), row("0", "-0.006", "0", "0.006"));
}

TYPED_TEST(BillingInvoices, FindsWhoseMonthsAreDue) {
  Store& store = this->store();
  for (const char* tenant : {"ke", "tz", "ug"}) OpenInvoicing(store, tenant);
  for (const char* tenant : {"ke", "tz"}) Use(store, tenant, kOctober + 1h, 1, 1);
  Use(store, "ke", kNow, 1, 1);
  Use(store, "ug", kNow, 1, 1);
  BillingProfile by_hand = Profile("tz");
  by_hand.finalise_by_hand = true;
  ASSERT_TRUE(store.SetBillingProfile(by_hand, kNow));
  const auto due = [&](Time before) {
    std::set<std::string> out;
    std::optional<TenantId> after;
    while (true) {
      const auto page = store.TenantsWithDuePeriods(before, after, 1).value();
      if (page.empty()) return out;
      after = page.back().tenant;
      for (const char* tenant : {"ke", "tz", "ug"}) {
        if (page.back().tenant == Tenant(tenant)) out.insert(tenant + (" " + PeriodOf(page.back().month).name));
      }
    }
  };
  EXPECT_EQ(due(kNow), (std::set<std::string>{"ke 2025-10"}));
  ASSERT_TRUE(store.FinaliseInvoice(Finalise("ke"), kAfterOctober));
  EXPECT_EQ(due(kNow), std::set<std::string>{});
  EXPECT_EQ(due(kAfterNovember), (std::set<std::string>{"ke 2025-11", "ug 2025-11"}));
}

TYPED_TEST(BillingInvoices, AHundredAtOnceIssueOneOfEachWithoutAGap) {
  Store& store = this->store();
  // 1,000 for the long form.
  const char* periods = std::getenv("ALLOD_FAULT_PERIODS");
  const int tenant_count = periods == nullptr ? 10 : std::atoi(periods);
  constexpr int kThreads = 100;
  std::vector<std::string> tenants;
  for (int i = 0; i < tenant_count; ++i) tenants.push_back("t" + std::to_string(i));
  for (const std::string& tenant : tenants) {
    OpenInvoicing(store, tenant);
    Use(store, tenant, kOctober + 1h, 1234, 5678);
  }
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < tenant_count; ++round) {
          const auto done = store.FinaliseInvoice(
              Finalise(tenants.at(static_cast<std::size_t>((i + round) % tenant_count))), kAfterOctober);
          failures += done ? 0 : 1;
        }
      });
    }
  }
  EXPECT_EQ(failures, 0) << "of " << kThreads * tenant_count;
  std::set<std::string> numbers;
  for (const std::string& tenant : tenants) {
    const auto listed = store.ListInvoices(Tenant(tenant), "", 10).value();
    ASSERT_EQ(listed.size(), 1U) << tenant;
    numbers.insert(listed[0].number);
    ExpectSoundBooks(store, tenant);
  }
  EXPECT_EQ(numbers.size(), tenants.size());
  EXPECT_EQ(*numbers.begin(), "KE-000001");
  EXPECT_EQ(*numbers.rbegin(), fmt::format("KE-{:06}", tenant_count));
}

TYPED_TEST(BillingInvoices, DatesDoNotGoBackAlongNumbers) {
  Store& store = this->store();
  for (const char* tenant : {"ke", "tz"}) {
    OpenInvoicing(store, tenant);
    Use(store, tenant, kOctober + 1h, 10, 10);
  }
  const IssuedInvoice first = store.FinaliseInvoice(Finalise("ke"), kAfterOctober + 1h).value();
  const IssuedInvoice second = store.FinaliseInvoice(Finalise("tz"), kAfterOctober).value();
  EXPECT_EQ(second.sequence, first.sequence + 1);
  EXPECT_EQ(second.issue_time, first.issue_time);
  EXPECT_EQ(second.due_time, first.due_time);
  EXPECT_EQ(Everything(store.FindInvoice(Tenant("tz"), "2025-10").value()), Everything(second));
}

TYPED_TEST(BillingInvoices, PrefixesOfNumbersAreForGood) {
  Store& store = this->store();
  ASSERT_TRUE(store.SetLegalEntity(Operator(), kNow));
  LegalEntity other = Operator();
  other.invoice_prefix = "X-";
  EXPECT_EQ(store.SetLegalEntity(other, kNow).error().reason, "NUMBER_PREFIX_IMMUTABLE");
  EXPECT_EQ(store.GetLegalEntity("allod-ke")->invoice_prefix, "KE-");
  for (const auto& [invoice, credit_note] :
       {std::pair{"KE-", "TZ-CN-"}, std::pair{"TZ-", "KE-CN-"}, std::pair{"KE-CN-", "TZ-"}}) {
    other = Operator("allod-tz");
    other.invoice_prefix = invoice;
    other.credit_note_prefix = credit_note;
    const auto taken = store.SetLegalEntity(other, kNow);
    ASSERT_FALSE(taken) << invoice;
    EXPECT_EQ(taken.error().reason, "NUMBER_PREFIX_TAKEN") << invoice;
    EXPECT_NE(taken.error().message.find("legalEntities/allod-ke"), std::string::npos) << taken.error().message;
  }
  EXPECT_EQ(store.ListLegalEntities("", 10)->size(), 1U);
  EXPECT_TRUE(store.ListLegalEntities("allod-ke", 10)->empty());
  EXPECT_EQ(store.GetLegalEntity("nobody").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace allod::billing::billing_invoices_test
