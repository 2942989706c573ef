#include "services/billing/wallet/wallet.h"

#include <gtest/gtest.h>

#include <set>

namespace allod::billing::wallet::wallet_test {
namespace {

constexpr std::int64_t kUnit = 1'000'000'000'000;

Amount Units(std::int64_t n) { return Amount::FromPico(Int128{n} * kUnit); }

BillingAccount Account(std::int64_t limit, std::int64_t wallet, std::int64_t owed, std::int64_t held) {
  return {.tenant_name = "tenants/ke",
          .currency_code = "KES",
          .credit_limit = Units(limit),
          .posted = Units(owed),
          .held = Units(held),
          .wallet = Units(wallet)};
}

PaymentCommand Command(PaymentKind kind, const std::string& amount) {
  return {.tenant_name = "tenants/ke",
          .kind = kind,
          .amount = amount,
          .invoice = kind == PaymentKind::kInvoice ? "2025-10" : "",
          .request = {Uuid::FromName("one"), "sha"}};
}

InvoiceBalance Invoice(std::int64_t payable, std::int64_t credited, std::int64_t paid) {
  return {
      .id = "2025-10", .number = "KE-1", .payable = Units(payable), .credited = Units(credited), .paid = Units(paid)};
}

std::string Reason(const auto& result) { return result ? "" : result.error().reason; }

TEST(DecidePayment, Table) {
  struct Row {
    const char* what;
    PaymentState state;
    PaymentCommand command;
    const char* reason;
  };
  const auto account = Account(0, 100, 30, 20);  // 50 may be spent
  const std::vector<Row> rows = {
      {"no account", {}, Command(PaymentKind::kTopUp, "1"), "NO_BILLING_ACCOUNT"},
      {"a top-up", {account}, Command(PaymentKind::kTopUp, "12.34"), ""},
      {"KES has two decimals", {account}, Command(PaymentKind::kTopUp, "12.345"), "INVALID_AMOUNT"},
      {"nothing", {account}, Command(PaymentKind::kTopUp, "0"), "INVALID_AMOUNT"},
      {"less than nothing", {account}, Command(PaymentKind::kTopUp, "-1"), "INVALID_AMOUNT"},
      {"no number", {account}, Command(PaymentKind::kTopUp, "1e3"), "INVALID_AMOUNT"},
      {"more than any wallet", {account}, Command(PaymentKind::kTopUp, "999999999999999.99"), "WALLET_FULL"},
      {"a refund of what is not needed", {account}, Command(PaymentKind::kRefund, "50"), ""},
      {"a refund of what is owed", {account}, Command(PaymentKind::kRefund, "50.01"), "INSUFFICIENT_FUNDS"},
      {"a limit covers what is owed", {Account(1000, 100, 30, 20)}, Command(PaymentKind::kRefund, "100"), ""},
      {"but no more is in it",
       {Account(1000, 100, 30, 20)},
       Command(PaymentKind::kRefund, "100.01"),
       "INSUFFICIENT_FUNDS"},
      {"a refund of what a voucher gave",
       {.account = account, .from_vouchers = Units(60)},
       Command(PaymentKind::kRefund, "40.01"),
       "INSUFFICIENT_FUNDS"},
      {"a refund of the rest",
       {.account = account, .from_vouchers = Units(60)},
       Command(PaymentKind::kRefund, "40"),
       ""},
      {"invoices took what the voucher gave",
       {.account = account, .from_vouchers = Units(60), .taken_by_invoices = Units(70)},
       Command(PaymentKind::kRefund, "50"),
       ""},
      {"credit notes gave more back than invoices took",
       {.account = account, .from_vouchers = Units(60), .taken_by_invoices = Units(-5)},
       Command(PaymentKind::kRefund, "40.01"),
       "INSUFFICIENT_FUNDS"},
      {"no invoice", {account}, Command(PaymentKind::kInvoice, "1"), "NOT_FOUND"},
      {"a part", {.account = account, .invoice = Invoice(10, 2, 3)}, Command(PaymentKind::kInvoice, "1"), ""},
      {"the rest", {.account = account, .invoice = Invoice(10, 2, 3)}, Command(PaymentKind::kInvoice, "5"), ""},
      {"more",
       {.account = account, .invoice = Invoice(10, 2, 3)},
       Command(PaymentKind::kInvoice, "5.01"),
       "OVERPAYMENT"},
      {"paid",
       {.account = account, .invoice = Invoice(10, 2, 8)},
       Command(PaymentKind::kInvoice, "0.01"),
       "OVERPAYMENT"},
      {"the id of a request",
       {.account = account, .id_is_taken = true},
       Command(PaymentKind::kTopUp, "1"),
       "REQUEST_ID_REUSED"},
      {"of another payment",
       {.account = account, .existing = Payment{.payload_sha256 = "other"}},
       Command(PaymentKind::kTopUp, "1"),
       "REQUEST_ID_REUSED"},
      {"again",
       {.account = account, .existing = Payment{.payload_sha256 = "sha"}, .id_is_taken = true},
       Command(PaymentKind::kTopUp, "1"),
       ""}};
  for (const Row& row : rows) {
    EXPECT_EQ(Reason(DecidePayment(row.state, row.command)), row.reason) << row.what;
  }
  EXPECT_TRUE(DecidePayment(rows.back().state, rows.back().command)->replay);
  EXPECT_EQ(DecidePayment(rows[1].state, rows[1].command)->payment.amount.ToString(), "12.34");
}

TEST(VoucherCode, IsReadAsItIsTyped) {
  std::set<std::string> codes;
  for (int i = 0; i < 100; ++i) {
    const std::string code = NewVoucherCode();
    EXPECT_EQ(code.size(), 23U);
    codes.insert(code);
    const auto digest = VoucherDigest(code);
    ASSERT_TRUE(digest) << code;
    std::string typed;
    for (const char c : code) typed += c == '-' ? ' ' : c == '1' ? 'l' : c == '0' ? 'o' : static_cast<char>(tolower(c));
    EXPECT_EQ(VoucherDigest(typed).value(), *digest);
  }
  EXPECT_EQ(codes.size(), 100U);
  for (const char* bad :
       {"", "ABCDE", "ABCDE-12345-FGHJK-6789U", "ABCDE-12345-FGHJK-678901", "ABCDE-12345-FGHJK-6789\xc3"}) {
    EXPECT_EQ(Reason(VoucherDigest(bad)), "INVALID_CODE") << bad;
  }
}

TEST(CheckVoucher, Table) {
  const Time now = std::chrono::sys_days(std::chrono::year(2025) / 11 / 23);
  const Voucher good{
      .amount = Units(5), .currency_code = "KES", .uses_max = 3, .expire_time = now + std::chrono::hours(1)};
  const auto with = [&](auto change) {
    Voucher voucher = good;
    change(voucher);
    const auto checked = CheckVoucher(voucher, now);
    return checked ? std::string() : checked.error().reason;
  };
  EXPECT_EQ(with([](auto&) {}), "");
  EXPECT_EQ(with([](auto& v) { v.amount = Amount(); }), "INVALID_AMOUNT");
  EXPECT_EQ(with([](auto& v) { v.amount = Amount::FromPico(kUnit / 1000); }), "INVALID_AMOUNT");
  EXPECT_EQ(with([](auto& v) { v.currency_code = "XXX1"; }), "UNKNOWN_CURRENCY");
  EXPECT_EQ(with([](auto& v) { v.uses_max = 0; }), "INVALID_USES");
  EXPECT_EQ(with([](auto& v) { v.uses_max = kVoucherUsesMax + 1; }), "INVALID_USES");
  EXPECT_EQ(with([&](auto& v) { v.expire_time = now; }), "INVALID_EXPIRE_TIME");
  EXPECT_EQ(with([&](auto& v) { v.expire_time = now + 2 * kVoucherLifetimeMax; }), "INVALID_EXPIRE_TIME");
}

TEST(DecideRedeem, Table) {
  using std::chrono::minutes;
  const Time now = std::chrono::sys_days(std::chrono::year(2025) / 11 / 23);
  const RedeemState good{
      .now = now,
      .account = Account(0, 1, 0, 0),
      .voucher =
          Voucher{
              .amount = Units(5), .currency_code = "KES", .uses_max = 2, .used = 1, .expire_time = now + minutes(1)},
      .since = now};
  const RedeemCommand command{
      .tenant_name = "tenants/ke", .code_sha256 = "x", .request = {Uuid::FromName("one"), "sha"}};
  const auto with = [&](auto change) {
    RedeemState state = good;
    change(state);
    return Reason(DecideRedeem(state, command));
  };
  EXPECT_EQ(with([](auto&) {}), "");
  EXPECT_EQ(DecideRedeem(good, command)->payment.amount, Units(5));
  EXPECT_EQ(with([](auto& s) { s.account.reset(); }), "NO_BILLING_ACCOUNT");
  EXPECT_EQ(with([](auto& s) { s.voucher.reset(); }), "VOUCHER_NOT_FOUND");
  EXPECT_EQ(with([](auto& s) { s.voucher->used = 2; }), "VOUCHER_USED_UP");
  EXPECT_EQ(with([&](auto& s) { s.voucher->expire_time = now; }), "VOUCHER_EXPIRED");
  EXPECT_EQ(with([](auto& s) { s.voucher->currency_code = "TZS"; }), "VOUCHER_CURRENCY");
  EXPECT_EQ(with([](auto& s) { s.is_redeemed = true; }), "VOUCHER_REDEEMED");
  EXPECT_EQ(with([](auto& s) { s.failed = kVoucherAttemptsMax; }), "TOO_MANY_ATTEMPTS");
  EXPECT_EQ(with([&](auto& s) {
              s.failed = kVoucherAttemptsMax;
              s.since = now - kVoucherAttemptsPer;
            }),
            "");
  EXPECT_EQ(with([](auto& s) { s.existing = Payment{.payload_sha256 = "other"}; }), "REQUEST_ID_REUSED");
  EXPECT_EQ(with([](auto& s) {
              s.existing = Payment{.payload_sha256 = "sha"};
              s.failed = kVoucherAttemptsMax;
            }),
            "")
      << "what was done is answered again whatever came after it";
}

}  // namespace
}  // namespace allod::billing::wallet::wallet_test
