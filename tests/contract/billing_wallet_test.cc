// Wallets, vouchers and payments in PostgreSQL: exactly once under races, paid invoices, and books that stay sound.
#include <fmt/format.h>

#include <atomic>
#include <random>
#include <thread>

#include "services/billing/wallet/balance_watch.h"
#include "services/billing/wallet/pg_wallet_store.h"
#include "services/common/digest.h"
#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::wallet::billing_wallet_test {
namespace {

using namespace std::chrono_literals;

class BillingWallet : public testing::Test {
 protected:
  PaymentCommand Pay(PaymentKind kind, const std::string& amount, const std::string& tenant = "ke",
                     const Uuid& id = Uuid::V7()) {
    return {.tenant = Tenant(tenant),
            .tenant_name = "tenants/" + tenant,
            .kind = kind,
            .amount = amount,
            .invoice = kind == PaymentKind::kInvoice ? "2025-10" : "",
            .reference = "bank 1",
            .request = {id, Sha(kind, amount)}};
  }
  static std::string Sha(PaymentKind kind, const std::string& amount) {
    return Sha256Hex(std::to_string(static_cast<int>(kind)) + amount);
  }
  std::string Record(PaymentKind kind, const std::string& amount, const std::string& tenant = "ke") {
    const auto payment = wallets_.RecordPayment(Pay(kind, amount, tenant));
    return payment ? "" : payment.error().reason;
  }
  void Open(const std::string& tenant, std::int64_t limit = 0) {
    ASSERT_TRUE(store_.SetBillingAccount(Account(tenant, limit), kNow));
  }
  // A code that may be redeemed `uses` times.
  std::string MakeVoucher(std::int32_t uses, const std::string& currency = "KES", std::chrono::hours good = 1h) {
    const std::string code = NewVoucherCode();
    const auto made = wallets_.CreateVouchers({.voucher = {.amount = Units(5),
                                                           .currency_code = currency,
                                                           .uses_max = uses,
                                                           .expire_time = std::chrono::system_clock::now() + good},
                                               .codes_sha256 = {VoucherDigest(code).value()},
                                               .request_id = Uuid::V7()});
    EXPECT_TRUE(made) << made.error().message;
    return code;
  }
  Result<Payment> Redeem(const std::string& tenant, const std::string& code, const RequestId& request = {}) {
    return wallets_.RedeemVoucher({Tenant(tenant), "tenants/" + tenant, VoucherDigest(code).value(), request});
  }
  Amount WalletOf(const std::string& tenant) { return store_.GetBillingAccount(Tenant(tenant))->wallet; }
  static Amount Units(std::int64_t n) { return Amount::FromPico(Int128{n} * 1'000'000'000'000); }
  // What is open of the invoice of October, as "payable credited paid open".
  std::string Balance() {
    const auto all = wallets_.ListInvoiceBalances(Tenant("ke"), "", 10).value();
    if (all.size() != 1) return std::to_string(all.size()) + " invoices";
    return fmt::format("{} {} {} {}", all[0].payable.ToString(), all[0].credited.ToString(), all[0].paid.ToString(),
                       all[0].open().ToString());
  }
  void ExpectSound(const std::string& tenant) {
    ExpectSoundBooks(store_, tenant);
    EXPECT_EQ(store_.AuditTenant(Tenant(tenant), kNow, {})->payment_fault_count, 0);
  }
  // The data of the first event `wallet.low` of Kenya, as "key=value key=value".
  std::string FirstEvent() {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    return work
        .exec_params(
            "SELECT string_agg(e.key || '=' || e.value, ' ' ORDER BY e.key) FROM billing.outbox o, "
            "jsonb_each_text(o.payload) e WHERE o.kind = 'wallet.low' AND o.tenant_id = $1::uuid "
            "GROUP BY o.sequence ORDER BY o.sequence LIMIT 1",
            Tenant("ke").ToString())
        .at(0)[0]
        .as<std::string>();
  }
  // As the owner, past every trigger: what the audit is to find.
  void Damage(const std::string& sql) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    work.exec("SET LOCAL session_replication_role = replica");
    work.exec("SELECT set_config('allod.tenant', '" + Tenant("ke").ToString() + "', true)");
    EXPECT_GT(work.exec(sql).affected_rows(), 0) << sql;
    work.commit();
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
  PgWalletStore wallets_{harness_.pool()};
};

TEST_F(BillingWallet, WhatIsPaidBeforehandIsSpentAndNoMore) {
  ASSERT_TRUE(store_.CreatePriceBook(ContractPriceBook(), kNow));
  Open("ke");
  const Uuid lease = Uuid::V7();
  ASSERT_TRUE(store_.AdjustLease(Adjustment("ke", lease, 1, 1, 1))->refused) << "there is nothing";
  ASSERT_EQ(Record(PaymentKind::kTopUp, "0.01"), "");
  const std::int64_t cent = 10'000'000'000;
  Adjusted(store_, Adjustment("ke", lease, 1, cent, cent));
  EXPECT_TRUE(store_.AdjustLease(Adjustment("ke", lease, 2, 1, 1))->refused);
  EXPECT_EQ(Record(PaymentKind::kRefund, "0.01"), "INSUFFICIENT_FUNDS") << "it is held";
  EXPECT_EQ(Settled(store_, "ke", {Leased("ke", lease, 10, 100)}), std::vector<std::string>{std::to_string(kHold)});
  Adjusted(store_, Ending("ke", lease, 2));
  EXPECT_EQ(WalletOf("ke"), Pico(cent)) << "an invoice takes it";
  EXPECT_EQ(Record(PaymentKind::kRefund, "0.01"), "INSUFFICIENT_FUNDS") << "of it a part is owed";
  ReserveCommand request = Request("ke");
  EXPECT_TRUE(store_.Reserve(request, kNow)) << "the older way asks the same";
  ExpectSound("ke");
}

TEST_F(BillingWallet, APaymentCountsOnceHoweverOftenItIsSaid) {
  Open("ke");
  const Uuid id = Uuid::V7();
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] { failed += !wallets_.RecordPayment(Pay(PaymentKind::kTopUp, "3.50", "ke", id)); });
    }
  }
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(WalletOf("ke").ToString(), "3.5");
  EXPECT_EQ(wallets_.RecordPayment(Pay(PaymentKind::kTopUp, "3.51", "ke", id)).error().reason, "REQUEST_ID_REUSED");
  const auto listed = wallets_.ListPayments({.tenant = Tenant("ke")}).value();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].reference, "bank 1");
  ExpectSound("ke");
}

TEST_F(BillingWallet, AVoucherIsUsedOnceByEachTenantAndNeverTooOften) {
  constexpr int kTenants = 6, kUses = 4;
  for (int t = 0; t < kTenants; ++t) Open("t" + std::to_string(t));
  const std::string code = MakeVoucher(kUses);
  std::atomic<int> redeemed = 0, used_up = 0, before = 0, other = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4 * kTenants; ++i) {
      threads.emplace_back([&, tenant = "t" + std::to_string(i % kTenants)] {
        const auto payment = Redeem(tenant, code);
        const std::string reason = payment ? "" : payment.error().reason;
        ++(payment ? redeemed : reason == "VOUCHER_USED_UP" ? used_up : reason == "VOUCHER_REDEEMED" ? before : other);
      });
    }
  }
  EXPECT_EQ(redeemed, kUses);
  EXPECT_EQ(before, 3 * kUses);
  EXPECT_EQ(used_up, 4 * (kTenants - kUses));
  EXPECT_EQ(other, 0);
  Amount sum;
  for (int t = 0; t < kTenants; ++t) {
    sum = Add(sum, WalletOf("t" + std::to_string(t))).value();
    ExpectSound("t" + std::to_string(t));
  }
  EXPECT_EQ(sum, Units(5 * kUses));
  const auto vouchers = wallets_.ListVouchers(Uuid(), 10).value();
  ASSERT_EQ(vouchers.size(), 1U);
  EXPECT_EQ(vouchers[0].used, kUses);
}

TEST_F(BillingWallet, WhatIsNoVoucherIsRefusedAndGuessingEnds) {
  Open("ke");
  Open("tz");
  EXPECT_EQ(Redeem("ke", MakeVoucher(1, "TZS")).error().reason, "VOUCHER_CURRENCY");
  EXPECT_EQ(Redeem("ke", MakeVoucher(1, "KES", -1h)).error().reason, "VOUCHER_EXPIRED");
  const std::string code = MakeVoucher(1);
  const RequestId request{Uuid::V7(), "sha"};
  ASSERT_TRUE(Redeem("ke", code, request));
  for (int i = 0; i < kVoucherAttemptsMax; ++i) {
    EXPECT_EQ(Redeem("ke", NewVoucherCode()).error().reason, "VOUCHER_NOT_FOUND");
  }
  const auto refused = Redeem("ke", MakeVoucher(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "TOO_MANY_ATTEMPTS");
  EXPECT_TRUE(refused.error().retry_after);
  EXPECT_TRUE(Redeem("ke", code, request)) << "what was done is answered again";
  EXPECT_TRUE(Redeem("tz", MakeVoucher(1))) << "others do not notice";
  EXPECT_EQ(WalletOf("ke"), Units(5));
  EXPECT_EQ(Redeem("none", code).error().reason, "NO_BILLING_ACCOUNT");
  ExpectSound("ke");
}

TEST_F(BillingWallet, TheWalletPaysInvoicesAndCreditComesBackIntoIt) {
  invoicing::OpenInvoicing(store_, "ke");
  // 4.124 exactly, 4.13 with 0.66 of tax.
  invoicing::Use(store_, "ke", invoicing::kOctober + 1h, 31'000, 17'000);
  ASSERT_EQ(Record(PaymentKind::kTopUp, "1"), "");
  const auto invoice = store_.FinaliseInvoice(invoicing::Finalise("ke"), invoicing::kAfterOctober);
  ASSERT_TRUE(invoice) << invoice.error().message;
  EXPECT_EQ(Balance(), "4.79 0 1 3.79");
  EXPECT_EQ(WalletOf("ke"), Amount());
  EXPECT_EQ(Record(PaymentKind::kInvoice, "3.80"), "OVERPAYMENT");
  EXPECT_EQ(Record(PaymentKind::kInvoice, "0.79"), "");
  EXPECT_EQ(Record(PaymentKind::kTopUp, "5"), "") << "pays the rest at once";
  EXPECT_EQ(Balance(), "4.79 0 4.79 0");
  EXPECT_EQ(WalletOf("ke"), Units(2));
  EXPECT_EQ(store_.GetBillingAccount(Tenant("ke"))->posted, Amount());
  CreditCommand credit = invoicing::Credit("ke", {{.number = 1}});
  const auto note = store_.CreateCreditNote(credit, invoicing::kAfterOctober);
  ASSERT_TRUE(note) << note.error().message;
  const Amount back = note->payable;
  EXPECT_GT(back, Amount());
  EXPECT_EQ(WalletOf("ke"), Add(Units(2), back).value());
  EXPECT_EQ(wallets_.ListInvoiceBalances(Tenant("ke"), "", 10)->at(0).open(), Amount());
  EXPECT_EQ(Record(PaymentKind::kRefund, WalletOf("ke").ToString()), "");
  EXPECT_EQ(WalletOf("ke"), Amount());
  const auto payments = wallets_.ListPayments({.tenant = Tenant("ke")}).value();
  EXPECT_EQ(payments.size(), 7U);
  // Page by page it is the same list.
  std::vector<Uuid> ids;
  PaymentsQuery query{.tenant = Tenant("ke"), .limit = 2};
  while (true) {
    const auto page = wallets_.ListPayments(query).value();
    for (const Payment& payment : page) ids.push_back(payment.id);
    if (page.size() < 2) break;
    query.before_time = page.back().create_time;
    query.before_id = page.back().id;
  }
  ASSERT_EQ(ids.size(), payments.size());
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], payments[i].id);
  ExpectSound("ke");
}

TEST_F(BillingWallet, WhatAVoucherGaveIsNotPaidOut) {
  invoicing::OpenInvoicing(store_, "ke");
  ASSERT_TRUE(Redeem("ke", MakeVoucher(1)));
  EXPECT_EQ(Record(PaymentKind::kRefund, "0.01"), "INSUFFICIENT_FUNDS");
  ASSERT_EQ(Record(PaymentKind::kTopUp, "3"), "");
  EXPECT_EQ(Record(PaymentKind::kRefund, "3.01"), "INSUFFICIENT_FUNDS");
  EXPECT_EQ(Record(PaymentKind::kRefund, "1"), "");
  // Invoices take what the voucher gave first: 4.79 of 5.
  invoicing::Use(store_, "ke", invoicing::kOctober + 1h, 31'000, 17'000);
  ASSERT_TRUE(store_.FinaliseInvoice(invoicing::Finalise("ke"), invoicing::kAfterOctober));
  EXPECT_EQ(WalletOf("ke"), invoicing::Kes("2.21"));
  EXPECT_EQ(Record(PaymentKind::kRefund, "2.01"), "INSUFFICIENT_FUNDS");
  // And what a credit note gives back of it is the voucher's again.
  ASSERT_TRUE(store_.CreateCreditNote(invoicing::Credit("ke", {}), invoicing::kAfterOctober));
  EXPECT_EQ(WalletOf("ke"), Units(7));
  EXPECT_EQ(Record(PaymentKind::kRefund, "2.01"), "INSUFFICIENT_FUNDS");
  EXPECT_EQ(Record(PaymentKind::kRefund, "2"), "");
  ExpectSound("ke");
}

TEST_F(BillingWallet, TheAuditFindsWhatDoesNotAddUp) {
  Open("ke");
  ASSERT_TRUE(Redeem("ke", MakeVoucher(2)));
  ASSERT_EQ(Record(PaymentKind::kTopUp, "7"), "");
  const auto faults = [&] { return store_.AuditTenant(Tenant("ke"), kNow, {})->payment_fault_count; };
  EXPECT_EQ(faults(), 0);
  Damage("UPDATE billing.payments SET amount = amount + 1 WHERE kind = 'top_up'");
  EXPECT_EQ(faults(), 1);
  Damage("UPDATE billing.payments SET amount = amount - 1 WHERE kind = 'top_up'");
  Damage("UPDATE billing.vouchers SET used = 2");
  EXPECT_EQ(faults(), 1);
  Damage("UPDATE billing.vouchers SET used = 1");
  Damage("DELETE FROM billing.payments WHERE kind = 'top_up'");
  EXPECT_EQ(faults(), 1);
}

TEST_F(BillingWallet, ALowBalanceIsToldOfOnceUntilItWasAboveAgain) {
  Open("ke", 1'000'000);
  Open("tz");
  const auto told = [&](const std::string& tenant) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    return work
        .exec_params("SELECT count(*) FROM billing.outbox WHERE kind = 'wallet.low' AND tenant_id = $1::uuid",
                     Tenant(tenant).ToString())
        .at(0)[0]
        .as<int>();
  };
  const SystemClock clock;
  BalanceWatch watch(wallets_, clock);
  ASSERT_EQ(Record(PaymentKind::kTopUp, "10"), "");
  EXPECT_EQ(wallets_.FindWallet(Tenant("ke"))->low_balance, std::nullopt);
  ASSERT_TRUE(wallets_.SetLowBalance(Tenant("ke"), "tenants/ke", Units(5)));
  ASSERT_TRUE(wallets_.SetLowBalance(Tenant("tz"), "tenants/tz", Units(5)));
  EXPECT_EQ(wallets_.FindWallet(Tenant("ke"))->low_balance, Units(5));
  ASSERT_TRUE(watch.RunOnce());
  EXPECT_EQ(told("ke"), 0);
  EXPECT_EQ(told("tz"), 1) << "it has nothing";
  ASSERT_EQ(Record(PaymentKind::kRefund, "6"), "");
  ASSERT_TRUE(watch.RunOnce());
  ASSERT_TRUE(watch.RunOnce());
  EXPECT_EQ(told("ke"), 1);
  EXPECT_EQ(FirstEvent(), "balance=4 currencyCode=KES lowBalance=5 name=tenants/ke/wallet")
      << "docs/events.md has these keys; `name` is what the event is about";
  ASSERT_EQ(Record(PaymentKind::kTopUp, "1"), "");
  ASSERT_TRUE(watch.RunOnce());
  ASSERT_EQ(Record(PaymentKind::kRefund, "0.01"), "");
  ASSERT_TRUE(watch.RunOnce());
  EXPECT_EQ(told("ke"), 2);
  ASSERT_TRUE(wallets_.SetLowBalance(Tenant("ke"), "tenants/ke", std::nullopt));
  EXPECT_EQ(wallets_.SetLowBalance(Tenant("none"), "tenants/none", Units(1)).error().reason, "NO_BILLING_ACCOUNT");
  ASSERT_TRUE(watch.RunOnce());
  EXPECT_EQ(told("ke"), 2);
  ExpectSound("ke");
}

TEST_F(BillingWallet, TenantsSeeTheirOwn) {
  Open("ke");
  Open("tz");
  ASSERT_EQ(Record(PaymentKind::kTopUp, "7"), "");
  EXPECT_TRUE(wallets_.ListPayments({.tenant = Tenant("tz")})->empty());
  EXPECT_EQ(WalletOf("tz"), Amount());
}

// The same operations on a model of a few numbers.
TEST_F(BillingWallet, AtRandomItIsTheModel) {
  Open("ke", 0);
  std::mt19937 random(7);
  std::int64_t wallet = 0;  // in hundredths
  std::vector<PaymentCommand> done;
  for (int i = 0; i < 300; ++i) {
    if (!done.empty() && random() % 4 == 0) {
      EXPECT_TRUE(wallets_.RecordPayment(done[random() % done.size()]));
      continue;
    }
    const auto kind = random() % 2 == 0 ? PaymentKind::kTopUp : PaymentKind::kRefund;
    const std::int64_t amount = 1 + random() % 40;
    const PaymentCommand command = Pay(kind, std::to_string(amount));
    const auto payment = wallets_.RecordPayment(command);
    const bool fits = kind == PaymentKind::kTopUp || amount * 100 <= wallet;
    ASSERT_EQ(payment.has_value(), fits) << amount << " of " << wallet;
    if (fits) {
      wallet += (kind == PaymentKind::kTopUp ? 100 : -100) * amount;
      done.push_back(command);
    }
  }
  EXPECT_EQ(WalletOf("ke"), Amount::FromPico(Int128{wallet} * 10'000'000'000));
  ExpectSound("ke");
}

}  // namespace
}  // namespace allod::billing::wallet::billing_wallet_test
