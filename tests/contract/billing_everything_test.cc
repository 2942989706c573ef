// One tenant that does everything at once, on PostgreSQL: requests that are reserved and leased, budgets, a wallet, a
// voucher, instance time, price terms, invoices with charges, credit notes, re-rating, a service level that was not
// kept, publishers, payments, roll-ups and events. The books of all of it agree, and whatever of them is damaged, is
// found.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <set>

#include "services/billing/analysis/pg_rollups.h"
#include "services/billing/audit.h"
#include "services/billing/budget/pg_budget_store.h"
#include "services/billing/corrections/pg_correction_store.h"
#include "services/billing/events/event.h"
#include "services/billing/events/pg_export_store.h"
#include "services/billing/instance_time/pg_instance_time_store.h"
#include "services/billing/payouts/pg_payout_store.h"
#include "services/billing/terms/pg_terms_store.h"
#include "services/billing/wallet/pg_wallet_store.h"
#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::billing_everything_test {
namespace {

using namespace invoicing;
using testing::Contains;
using testing::Not;
using wallet::PaymentKind;

const Uuid kHourlyBook = Uuid::FromName("priceBooks/hourly");
const Uuid kOtherBook = Uuid::FromName("priceBooks/other");
constexpr char kReservedInstance[] = "i", kLeasedInstance[] = "j";

class Everything : public testing::Test {
 protected:
  void SetUp() override {
    OpenInvoicing(store_, "ke");
    MakePrices();
    Agree();
    UseOctober();
    PayAndInvoiceOctober();
    CorrectOctober();
    UseNow();
    if (HasFatalFailure()) return;
    RollUp();
    // One more, which roll-ups do not have yet.
    SettleLeased(now_, {LeasedRequest(open_lease_, now_, 5, 5)});
  }

  void MakePrices() {
    ASSERT_TRUE(store_.CreatePriceBook(
        CheckPriceBook(
            {.id = kHourlyBook, .listing = "listings/hourly", .prices = {{"KES", "", {}, {}, "", Pico(5'000'000'000)}}})
            .value(),
        kNow));
    // Prompt tokens cheaper, completion tokens dearer.
    ASSERT_TRUE(store_.CreatePriceBook(CheckPriceBook({.id = kOtherBook,
                                                       .listing = "listings/contract",
                                                       .prices = {{"KES", "", Pico(40'000'000), Pico(160'000'000)}}})
                                           .value(),
                                       kNow));
    ASSERT_TRUE(payouts_.SetRevenueShare(
        {.listing = "listings/contract", .publisher = "publishers/acme", .basis_points = 3'000}));
  }

  void Agree() {
    terms::Terms agreed{.tenant = Tenant("ke"), .tenant_name = "tenants/ke", .start_month = kOctober};
    agreed.discounts = {{"", 1'000}};
    agreed.service_level = {{9'950, 1'000}};
    const auto set = terms_.Set(agreed, {}, kOctober + 48h);
    ASSERT_TRUE(set) << set.error().message;
    for (const bool hard : {false, true}) {
      Budget budget{.tenant = Tenant("ke"),
                    .tenant_name = "tenants/ke",
                    .id = hard ? "hard" : "soft",
                    .amount = hard ? Kes("100") : Kes("1"),
                    .hard = hard};
      // Requests that are reserved are in none that is hard: leases keep those.
      if (hard) {
        budget.scope.instance = InstanceOf(kLeasedInstance);
      } else {
        budget.thresholds = {50, 100};
      }
      const auto made = budgets_.CreateBudget(CheckBudget(budget).value(), false, now_);
      ASSERT_TRUE(made) << made.error().message;
      if (hard) hard_ = made->uid;
    }
    ASSERT_TRUE(wallets_.SetLowBalance(Tenant("ke"), "tenants/ke", Kes("1")));
  }

  // Reserved, in every way in which a hold can end; leased, likewise; and a replica for five hours.
  void UseOctober() {
    Use(store_, "ke", kOctober + 1h, 31'000, 17'000);
    for (int i = 0; i < 9; ++i) Use(store_, "ke", kOctober + 2h + 1min * i, 100'000, 0);
    Use(store_, "ke", kOctober + 3h, 1'000, 0, kReservedInstance, Outcome::kFault);  // `void`
    const ReserveCommand revised = Dear("ke", kOctober + 4h);
    ASSERT_TRUE(store_.Reserve(revised, kOctober + 4h));
    ASSERT_TRUE(store_.Reserve(Revised(revised, 1, 50), kOctober + 4h));
    ASSERT_TRUE(store_.Settle(Settlement(revised, 10, 10), kOctober + 4h));
    const ReserveCommand late = Dear("ke", kOctober + 5h);
    ASSERT_TRUE(store_.Reserve(late, kOctober + 5h));
    ASSERT_EQ(store_.ExpireReservations(Tenant("ke"), late.expire_time + 1s, 10).value(), 1);
    ASSERT_TRUE(store_.Settle(Settlement(late, 7'000, 0), late.expire_time + 2s));

    const Time at = kOctober + 6h;
    const Uuid lease = Uuid::V7(), poor = Uuid::V7();
    const SliceKey slice{hard_, kOctober};
    AdjustLeaseCommand adjustment = Adjustment("ke", lease, 1, 0, 1);
    adjustment.send_time = at;
    adjustment.need = adjustment.want = Kes("50");
    adjustment.slices = {{slice, Kes("20"), Kes("20"), Amount()}};
    const auto adjusted = store_.AdjustLease(adjustment);
    ASSERT_TRUE(adjusted) << adjusted.error().message;
    ASSERT_EQ(adjusted->lease->slices.at(0).added, Kes("20"));
    LeasedUsage sliced = LeasedRequest(lease, at, 20'000, 10'000);
    sliced.slices = {slice};
    SettleLeased(at, {sliced, LeasedRequest(lease, at, 500, 700), LeasedRequest(lease, at, 5, 0, Outcome::kFault)});
    Adjusted(store_, Adjustment("ke", lease, 2, 0, 0, 1'000));
    Adjusted(store_, Ending("ke", lease, 3));
    SettleLeased(at, {LeasedRequest(lease, at + 1s, 300, 300)});  // `lease_late_post`
    AdjustLeaseCommand little = Adjustment("ke", poor, 1, 1, 1);
    little.send_time = at;
    Adjusted(store_, little);
    SettleLeased(at, {LeasedRequest(poor, at + 2s, 300, 300)});  // `lease_short_post`
    Adjusted(store_, Ending("ke", poor, 2));

    RecordTime("r", kOctober + 1h, kOctober + 6h + 500ms);
  }

  void PayAndInvoiceOctober() {
    Pay(PaymentKind::kTopUp, "3");
    const std::string code = wallet::NewVoucherCode(), digest = wallet::VoucherDigest(code).value();
    ASSERT_TRUE(wallets_.CreateVouchers({.voucher = {.amount = Kes("5"),
                                                     .currency_code = "KES",
                                                     .uses_max = 2,
                                                     .expire_time = std::chrono::system_clock::now() + 1h},
                                         .codes_sha256 = {digest},
                                         .request_id = Uuid::V7()}));
    ASSERT_TRUE(wallets_.RedeemVoucher({Tenant("ke"), "tenants/ke", digest, {}}));
    // It owes far more than it has, and has a limit; what it paid it may have back.
    Pay(PaymentKind::kRefund, "1");
    ASSERT_TRUE(wallets_.TellOfBalance(Tenant("ke")).value());
    const IssuedInvoice october = Issue("2025-10", kAfterOctober);
    EXPECT_EQ(wallets_.FindWallet(Tenant("ke"))->account.wallet, Amount()) << "it paid of the invoice what it could";
    Pay(PaymentKind::kInvoice, "10", "2025-10");
    Pay(PaymentKind::kInvoice, Subtract(october.payable, Kes("17")).value().ToString(), "2025-10");
  }

  // By hand, by another book, and by the service level; each is overpaid then.
  void CorrectOctober() {
    const auto by_hand = store_.CreateCreditNote(Credit("ke", {{1, Kes("1")}}), kAfterOctober);
    ASSERT_TRUE(by_hand) << by_hand.error().message;
    const auto rerated =
        corrections_.Rerate({.tenant = Tenant("ke"),
                             .period = ParsePeriod("2025-10", kNow).value(),
                             .old_book = kDearBook,
                             .new_book = kOtherBook,
                             .reason = "The price was wrong",
                             .request = MakeRequestId(Uuid::V7().ToString(), "RerateInvoice", "p").value()},
                            kAfterOctober, false);
    ASSERT_TRUE(rerated) << rerated.error().message;
    EXPECT_TRUE(rerated->credit_note);
    EXPECT_FALSE(rerated->charges.empty());
    const auto credited = corrections_.CreditServiceLevel(
        {.tenant = Tenant("ke"),
         .period = ParsePeriod("2025-10", kNow).value(),
         .request = MakeRequestId(Uuid::V7().ToString(), "CreditServiceLevel", "p").value()},
        kAfterOctober, false);
    ASSERT_TRUE(credited) << credited.error().message;
    // The next one, with what re-rating left to be charged, and with what came late.
    Use(store_, "ke", kOctober + 7h, 1'000, 0);
    RecordTime("s", kMonth - 10min, kMonth + 10min);
    Issue("2025-11", kAfterNovember);
    const auto payout = payouts_.FinalisePayout(
        payouts::ParsePayoutName("payouts/acme-kes-2025-11", kAfterNovember).value(), "allod-ke", kAfterNovember);
    ASSERT_TRUE(payout) << payout.error().message;
  }

  // Of this month: not invoiced, and some of it open.
  void UseNow() {
    AdjustLeaseCommand adjustment = Adjustment("ke", open_lease_, 1, 0, 1);
    adjustment.send_time = now_;
    adjustment.need = adjustment.want = Kes("50");
    adjustment.slices = {{{hard_, MonthOf(now_)}, Kes("20"), Kes("20"), Amount()}};
    const auto adjusted = store_.AdjustLease(adjustment);
    ASSERT_TRUE(adjusted && adjusted->lease);
    LeasedUsage sliced = LeasedRequest(open_lease_, now_, 2'000, 3'000);
    sliced.slices = {{hard_, MonthOf(now_)}};
    // Long after the budgets were made, so that they are asked for all of it.
    SettleLeased(now_ + 1h, {sliced, LeasedRequest(open_lease_, now_, 100, 200)});
    ASSERT_TRUE(store_.Reserve(Dear("ke", now_), now_)) << "an open hold";
  }

  void RollUp() {
    while (rollups_.RollUp(Tenant("ke"), 10).value() > 0) continue;
  }

  static std::string InstanceOf(const std::string& id) { return "tenants/ke/projects/p/instances/" + id; }
  static Time MonthOf(Time time) {
    const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
    return std::chrono::sys_days(day.year() / day.month() / 1);
  }
  static LeasedUsage LeasedRequest(Uuid lease, Time admitted, std::int64_t prompt, std::int64_t completion,
                                   Outcome outcome = Outcome::kCompleted) {
    LeasedUsage out = Leased("ke", lease, prompt, completion, outcome, admitted);
    out.instance = InstanceOf(kLeasedInstance);
    out.terms.price_book = kDearBook;
    out.prompt_tokens_max = out.completion_tokens_max = 1'000'000;
    return out;
  }
  void SettleLeased(Time now, const std::vector<LeasedUsage>& usage) {
    const auto results = store_.SettleBatch({Tenant("ke"), usage}, now);
    ASSERT_TRUE(results) << results.error().message;
    for (const auto& result : *results) {
      ASSERT_TRUE(result) << result.error().message;
    }
  }
  void RecordTime(const std::string& replica, Time start, Time until) {
    const auto recorded = times_.RecordInstanceTime(
        Tenant("ke"), {{.replica = Uuid::FromName(replica),
                        .start = start,
                        .until = until,
                        .instance = InstanceOf(kReservedInstance),
                        .generation = 1,
                        .terms = {kHourlyBook, "models/m/versions/v/variants/q4_k_m", "isolated"}}});
    ASSERT_TRUE(recorded) << recorded.error().message;
    for (const auto& one : recorded->intervals) {
      ASSERT_TRUE(one) << one.error().message;
    }
  }
  void Pay(PaymentKind kind, const std::string& amount, const std::string& invoice = "") {
    const auto paid = wallets_.RecordPayment({.tenant = Tenant("ke"),
                                              .tenant_name = "tenants/ke",
                                              .kind = kind,
                                              .amount = amount,
                                              .invoice = invoice,
                                              .reference = "bank",
                                              .request = {Uuid::V7(), std::string(64, '0')}});
    ASSERT_TRUE(paid) << amount << ": " << paid.error().message;
  }
  IssuedInvoice Issue(const char* period, Time now) {
    const auto issued = store_.FinaliseInvoice(Finalise("ke", period), now);
    EXPECT_TRUE(issued) << issued.error().reason << ": " << issued.error().message;
    return issued.value_or(IssuedInvoice{});
  }

  // As CheckLedger puts it together.
  LedgerReport Check() {
    LedgerReport report;
    const auto audit = store_.AuditTenant(Tenant("ke"), now_, kAllUsage);
    EXPECT_TRUE(audit) << audit.error().message;
    if (audit) {
      EXPECT_TRUE(AddTenant(report, "tenants/ke", *audit));
    }
    AddPayouts(report, store_.MismatchedPayouts(10).value());
    return report;
  }
  void ExpectSound(const std::string& after) {
    const LedgerReport report = Check();
    EXPECT_THAT(report.mismatches, testing::IsEmpty()) << after;
    ASSERT_EQ(report.sums.size(), 1U) << after;
    EXPECT_EQ(report.sums.at("KES"), Amount()) << after;
    EXPECT_EQ(report.overdue_hold_count + report.overdue_lease_count, 0) << after;
  }

  // As the owner, past every trigger and foreign key.
  void Damage(const std::string& sql, bool may_be_nothing = false) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    work.exec("SET LOCAL session_replication_role = replica");
    const auto rows = work.exec(sql).affected_rows();
    if (!may_be_nothing) {
      EXPECT_GT(rows, 0) << sql;
    }
    work.commit();
  }
  std::vector<std::string> Texts(const std::string& sql) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    std::vector<std::string> out;
    for (const auto& row : work.exec(sql)) out.push_back(row[0].as<std::string>());
    return out;
  }
  // What `damage` does to a table is found, and named so if there is a name; then the table is as it was.
  void ExpectFound(const std::string& name, const std::string& table, const std::string& damage) {
    SCOPED_TRACE(damage);
    const std::string columns =
        Texts(fmt::format("SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a "
                          "WHERE a.attrelid = 'billing.{}'::regclass AND a.attnum > 0 AND NOT a.attisdropped "
                          "AND a.attgenerated = ''",
                          table))
            .at(0);
    Damage(fmt::format("CREATE TABLE public.kept AS SELECT {} FROM billing.{}", columns, table), true);
    Damage(damage);
    if (name.empty()) {
      EXPECT_THAT(Check().mismatches, Not(testing::IsEmpty()));
    } else {
      EXPECT_THAT(Check().mismatches, Contains(name));
    }
    Damage(fmt::format("DELETE FROM billing.{}", table), true);
    Damage(fmt::format("INSERT INTO billing.{} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM public.kept", table, columns,
                       columns));
    Damage("DROP TABLE public.kept", true);
  }
  void ExpectChangeFound(const std::string& name, const std::string& table, const std::string& change,
                         const std::string& where = "true") {
    ExpectFound(name, table, fmt::format("UPDATE billing.{} SET {} WHERE {}", table, change, where));
  }
  void ExpectMissed(const std::string& name, const std::string& table, const std::string& where = "true") {
    ExpectFound(name, table, fmt::format("DELETE FROM billing.{} WHERE {}", table, where));
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
  budget::PgBudgetStore budgets_{harness_.pool()};
  wallet::PgWalletStore wallets_{harness_.pool(), harness_.pool()};
  instance_time::PgInstanceTimeStore times_{harness_.pool(), harness_.pool()};
  terms::PgTermsStore terms_{harness_.pool()};
  corrections::PgCorrectionStore corrections_{harness_.pool()};
  payouts::PgPayoutStore payouts_{harness_.pool()};
  analysis::PgRollupStore rollups_{harness_.pool(), harness_.pool()};
  const Time now_ = FloorToMicros(std::chrono::system_clock::now());
  const Uuid open_lease_ = Uuid::V7();
  Uuid hard_;
};

TEST_F(Everything, AgreesAndSumsToZero) {
  ExpectSound("everything");
  // It is everything: each kind of transfer that there can be, and each account.
  const std::vector<std::string> kinds = Texts(
      "SELECT DISTINCT k[1] FROM pg_constraint c, regexp_matches(pg_get_constraintdef(c.oid), '''([a-z_]+)''', 'g') k "
      "WHERE c.conname = 'transfers_kind_check' ORDER BY 1");
  EXPECT_GT(kinds.size(), 20U);
  EXPECT_EQ(Texts("SELECT DISTINCT kind FROM billing.transfers ORDER BY 1"), kinds)
      << "a new kind of transfer belongs into this test";
  EXPECT_EQ(Texts("SELECT code FROM billing.ledger_accounts ORDER BY code COLLATE \"C\""),
            (std::vector<std::string>{"payments", "publisher-payable", "receivable", "rounding", "tax-payable",
                                      "usage-revenue", "vouchers", "wallet"}));
  // What the invoices ask less what came in is what is owed, beside what no invoice has yet.
  EXPECT_EQ(Texts("SELECT (-l.posted - (SELECT sum(CASE i.kind WHEN 'invoice' THEN i.payable ELSE -i.payable END) FROM "
                  "billing.invoices i) + (SELECT sum(CASE p.kind WHEN 'overpayment' THEN -p.amount ELSE p.amount END) "
                  "FROM billing.payments p WHERE p.invoice_id IS NOT NULL) - (SELECT coalesce(sum(t.amount - "
                  "t.prompt_tokens_invoiced * t.prompt_price - t.completion_tokens_invoiced * t.completion_price), 0) "
                  "FROM billing.usage_totals t))::text FROM billing.ledger_accounts l WHERE l.code = 'receivable'"),
            std::vector<std::string>{"0"});
  // Made anew, roll-ups are the same.
  ASSERT_TRUE(rollups_.Rebuild(Tenant("ke")));
  ExpectSound("rebuilt");
}

TEST_F(Everything, IsToldOfInEvents) {
  events::PgExportStore exports(harness_.pool(),
                                [](const UsageRecord&, const std::string&) { return std::string("{}"); });
  ASSERT_TRUE(exports.SetExports({"file"}));
  std::map<std::string, std::int64_t> told;
  std::map<std::string, std::set<std::string>> subjects;
  std::int64_t last = 0;
  // What roll-ups had read is still there: nothing was trimmed.
  while (true) {
    const auto read = exports.ReadRows(Tenant("ke"), last);
    ASSERT_TRUE(read) << read.error().message;
    if (read->rows.empty()) break;
    for (const events::OutboxRow& row : read->rows) {
      EXPECT_EQ(row.sequence, last + 1);
      last = row.sequence;
      told[row.kind] += row.kind == "usage.recorded" ? static_cast<std::int64_t>(row.usage.size()) : 1;
      for (const std::string& event : events::ToCloudEvents(read->tenant_name, row)) {
        constexpr std::string_view kSubject = R"("subject":")";
        const std::size_t begin = event.find(kSubject) + kSubject.size();
        subjects[row.kind].insert(event.substr(begin, event.find('"', begin) - begin));
      }
    }
  }
  EXPECT_EQ(told["usage.recorded"], Check().usage_record_count);
  EXPECT_EQ(told["invoice.issued"], 2);
  EXPECT_EQ(told["credit_note.issued"], 3);
  EXPECT_EQ(told["wallet.low"], 1);
  EXPECT_GE(told["budget.threshold"], 2);
  EXPECT_EQ(subjects["wallet.low"], (std::set<std::string>{"tenants/ke/wallet"}));
  EXPECT_EQ(subjects["budget.threshold"], (std::set<std::string>{"tenants/ke/budgets/soft"}));
  EXPECT_EQ(subjects["invoice.issued"],
            (std::set<std::string>{"tenants/ke/invoices/2025-10", "tenants/ke/invoices/2025-11"}));
  EXPECT_EQ(subjects["usage.recorded"].size(), static_cast<std::size_t>(told["usage.recorded"]));
}

TEST_F(Everything, ABalanceThatIsNoSumIsFound) {
  for (const std::string& code : Texts("SELECT code FROM billing.ledger_accounts ORDER BY 1")) {
    ExpectChangeFound("tenants/ke/ledgerAccounts/" + code, "ledger_accounts", "posted = posted + 1",
                      "code = '" + code + "'");
  }
  ExpectChangeFound("tenants/ke/ledgerAccounts/receivable", "ledger_accounts", "held = held + 1",
                    "code = 'receivable'");
  // Of two that are wrong alike, the sum is zero all the same.
  ExpectChangeFound("tenants/ke/ledgerAccounts/rounding", "ledger_accounts",
                    "posted = posted + CASE code WHEN 'rounding' THEN 1 ELSE -1 END",
                    "code IN ('rounding', 'tax-payable')");
  Damage("UPDATE billing.ledger_accounts SET posted = posted + 1 WHERE code = 'rounding'");
  EXPECT_EQ(Check().sums.at("KES"), Pico(1));
  Damage("UPDATE billing.ledger_accounts SET posted = posted - 1 WHERE code = 'rounding'");
  ExpectSound("mended");
}

TEST_F(Everything, ATransferThatIsChangedOrGoneIsFound) {
  for (const std::string& kind : Texts("SELECT DISTINCT kind FROM billing.transfers ORDER BY 1")) {
    SCOPED_TRACE(kind);
    const std::string one =
        fmt::format("id = (SELECT t.id FROM billing.transfers t WHERE t.kind = '{}' ORDER BY t.id LIMIT 1)", kind);
    ExpectChangeFound("", "transfers", "amount = amount + 1", one);
    ExpectMissed("", "transfers", one);
  }
  ExpectSound("mended");
}

TEST_F(Everything, WhateverElseIsChangedIsFoundAndNamed) {
  const auto changed = [&](const char* name, const char* table, const char* change, const char* where = "true") {
    ExpectChangeFound(std::string("tenants/ke/") + name, table, change, where);
  };
  changed("usageRecords", "usage_records", "prompt_tokens = prompt_tokens + 1, cost = cost + prompt_price", "billed");
  changed("invoices", "usage_records", "instance = instance || 'x'", "billed");
  changed("invoices", "usage_records", "invoice_epoch = invoice_epoch + 1", "cost > 0 AND invoice_epoch = 0");
  changed("invoices", "usage_totals", "request_count = request_count + 1");
  changed("invoices", "usage_totals", "prompt_tokens_invoiced = 0, open = true", "NOT open AND prompt_tokens > 0");
  changed("invoices", "invoices", "net = net + 1, payable = payable + 1", "kind = 'invoice'");
  changed("invoices", "invoices", "tax = tax + 1, payable = payable + 1", "kind = 'credit_note'");
  changed("invoices", "invoices", "residue = residue + 1", "kind = 'invoice'");
  changed("invoices", "invoice_lines", "amount = amount + 1", "number = 1");
  changed("invoices", "invoice_lines", "last_epoch = last_epoch + 1, first_epoch = last_epoch + 1",
          "number = 1 AND invoice_id = '2025-10'");
  changed("invoices", "invoice_charges", "amount = amount + 1", "amount > 0");
  changed("invoices", "credit_note_lines", "amount = amount + 1");
  changed("invoices", "credit_note_charges", "amount = amount + 1");
  changed("invoices", "invoice_taxes", "tax = tax + 1");
  changed("invoices", "charges", "open = true", "NOT open");
  changed("invoices", "instance_time_totals", "seconds_invoiced = seconds_invoiced - 1", "seconds_invoiced > 0");
  changed("invoices", "publisher_shares", "net = net * 2, share = share * 2");
  changed("invoices", "publisher_earnings", "net = net * 2, share = share * 2");
  changed("usageReports", "usage_rollups", "amount = amount + 1", "grain = 'day'");
  changed("usageReports", "usage_rollups", "request_count = request_count + 1", "grain = 'hour'");
  changed("usageReports", "outbox_cursors", "sequence = sequence + 1", "consumer = 'usage_rollups'");
  changed("budgets", "budget_periods", "spent = spent + 1",
          "start_time = date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'");
  changed("budgets", "budget_slices", "lease_id = gen_random_uuid()");
  changed("instanceTime", "instance_time_intervals", "until_time = until_time + interval '1 hour'");
  changed("instanceTime", "instance_time_totals", "seconds = seconds + 1");
  changed("instanceTime", "instance_time_entries", "seconds = seconds + 1");
  changed("payments", "payments", "amount = amount + 1", "kind = 'top_up'");
  changed("payments", "payments", "amount = amount + 1", "kind = 'overpayment'");
  changed("payments", "vouchers", "used = 2");
  changed("transfers", "reservations", "hold_id = gen_random_uuid()");
  ExpectChangeFound("tenants/ke/leases/" + open_lease_.ToString(), "leases", "remaining = remaining + 1",
                    "id = '" + open_lease_.ToString() + "'");
  ExpectChangeFound("payouts/acme-kes-2025-11", "payouts", "earned = earned + 1");
  ExpectSound("mended");
}

TEST_F(Everything, WhateverIsGoneIsMissed) {
  ExpectMissed("tenants/ke/openReservations", "open_reservations");
  ExpectMissed("tenants/ke/transfers", "reservations");
  ExpectMissed("tenants/ke/usageRecords", "usage_records", "cost > 0 AND lease_id IS NOT NULL");
  ExpectMissed("tenants/ke/usageReports", "usage_records", "cost = 0");
  ExpectMissed("tenants/ke/usageReports", "usage_rollups", "grain = 'hour'");
  ExpectMissed("tenants/ke/invoices", "usage_totals");
  ExpectMissed("tenants/ke/invoices", "invoice_lines", "number = 1");
  ExpectMissed("tenants/ke/invoices", "invoice_charges", "kind = 'rerating'");
  ExpectMissed("tenants/ke/invoices", "credit_note_lines", "number = 1");
  ExpectMissed("tenants/ke/invoices", "invoice_taxes");
  ExpectMissed("tenants/ke/invoices", "publisher_shares");
  ExpectMissed("tenants/ke/invoices", "publisher_earnings");
  ExpectMissed("tenants/ke/budgets", "budget_periods");
  ExpectMissed("tenants/ke/budgets", "leases");
  ExpectMissed("tenants/ke/instanceTime", "instance_time_entries");
  ExpectMissed("tenants/ke/instanceTime", "instance_time_totals");
  ExpectMissed("tenants/ke/payments", "payments", "kind = 'redeem'");
  ExpectMissed("payouts/acme-kes-2025-11", "payout_lines");
  ExpectSound("mended");
}

}  // namespace
}  // namespace allod::billing::billing_everything_test
