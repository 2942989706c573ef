#include "services/billing/wallet/pg_wallet_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/billing/pg_store_rows.h"
#include "services/billing/refusals.h"
#include "services/common/fault_point.h"

namespace allod {

template <>
inline constexpr auto kRowWords<billing::wallet::PaymentKind> = std::to_array<RowWord<billing::wallet::PaymentKind>>(
    {{billing::wallet::PaymentKind::kTopUp, "top_up"},
     {billing::wallet::PaymentKind::kVoucher, "redeem"},
     {billing::wallet::PaymentKind::kRefund, "refund"},
     {billing::wallet::PaymentKind::kInvoice, "payment"},
     {billing::wallet::PaymentKind::kWalletToInvoice, "wallet_payment"},
     {billing::wallet::PaymentKind::kOverpayment, "overpayment"}});

}  // namespace allod

namespace allod::billing::wallet {
namespace {

constexpr std::string_view kFindLowBalance =
    "SELECT s.low_balance FROM billing.wallet_alerts s WHERE s.tenant_id = $1::uuid";
constexpr std::string_view kSetLowBalance =
    "INSERT INTO billing.wallet_alerts (tenant_id, low_balance) VALUES ($1::uuid, $2::numeric) "
    "ON CONFLICT (tenant_id) DO UPDATE SET low_balance = EXCLUDED.low_balance";
constexpr std::string_view kForgetLowBalance = "DELETE FROM billing.wallet_alerts s WHERE s.tenant_id = $1::uuid";
constexpr std::string_view kCrossedBalances =
    "SELECT c.id FROM billing.tenants_with_crossed_balances($1::uuid, $2) AS c (id) ORDER BY c.id";
constexpr std::string_view kTellOfBalance = "SELECT billing.tell_of_balance($1::uuid)";

constexpr std::string_view kPaymentColumns =
    "p.tenant_id, p.id, p.kind, p.amount, p.currency_code, coalesce(p.invoice_id, ''), p.reference, p.payload_sha256, "
    "billing.to_micros(p.create_time)";
const std::string kFindPayment =
    fmt::format("SELECT {} FROM billing.payments p WHERE p.tenant_id = $1::uuid AND p.id = $2::uuid", kPaymentColumns);
constexpr std::string_view kFromVouchers =
    "SELECT coalesce(sum(p.amount) FILTER (WHERE p.kind = 'redeem'), 0), "
    "coalesce(sum(CASE p.kind WHEN 'wallet_payment' THEN p.amount WHEN 'overpayment' THEN -p.amount END), 0) "
    "FROM billing.payments p WHERE p.tenant_id = $1::uuid";
constexpr std::string_view kIsTaken =
    "SELECT EXISTS (SELECT FROM billing.transfers t WHERE t.tenant_id = $1::uuid AND t.id = $2::uuid)";
constexpr std::string_view kInsertPayment =
    "INSERT INTO billing.payments (tenant_id, id, kind, amount, currency_code, invoice_id, voucher_id, reference, "
    "payload_sha256) VALUES ($1::uuid, $2::uuid, $3, $4::numeric, $5, NULLIF($6, ''), $7::uuid, $8, $9) "
    "RETURNING billing.to_micros(create_time)";
const std::string kListPayments = fmt::format(
    "SELECT {} FROM billing.payments p WHERE p.tenant_id = $1::uuid "
    "AND (p.create_time, p.id) < (coalesce(billing.from_micros($2::bigint), 'infinity'), $3::uuid) "
    "ORDER BY p.tenant_id DESC, p.create_time DESC, p.id DESC LIMIT $4",
    kPaymentColumns);

// All that was issued; of one of them with $4.
constexpr std::string_view kInvoiceBalances = R"(
  SELECT i.id, i.number, i.currency_code, i.payable,
    (SELECT coalesce(sum(c.payable), 0) FROM billing.invoices c WHERE c.tenant_id = i.tenant_id AND c.corrected_id = i.id),
    (SELECT coalesce(sum(CASE p.kind WHEN 'overpayment' THEN -p.amount ELSE p.amount END), 0) FROM billing.payments p
     WHERE p.tenant_id = i.tenant_id AND p.invoice_id = i.id),
    billing.to_micros(i.due_time)
  FROM billing.invoices i
  WHERE i.tenant_id = $1::uuid AND i.kind = 'invoice' AND ($2 = '' OR i.id < $2) AND ($4 = '' OR i.id = $4)
  ORDER BY i.id DESC LIMIT $3)";

constexpr std::string_view kVoucherColumns =
    "v.id, v.amount, v.currency_code, v.uses_max, v.used, billing.to_micros(v.expire_time), v.note";
const std::string kLockVoucher = fmt::format("SELECT {} FROM billing.lock_voucher($1) v", kVoucherColumns);
constexpr std::string_view kAreVouchersMade =
    "SELECT EXISTS (SELECT FROM billing.vouchers v WHERE v.request_id = $1::uuid)";
constexpr std::string_view kInsertVouchers =
    "INSERT INTO billing.vouchers (id, code_sha256, amount, currency_code, uses_max, expire_time, note, request_id) "
    "SELECT n.id, n.code, $3::numeric, $4, $5, billing.from_micros($6), $7, $8::uuid "
    "FROM unnest($1::uuid[], $2::text[]) AS n (id, code)";
const std::string kListVouchers =
    fmt::format("SELECT {} FROM billing.vouchers v WHERE v.id > $1::uuid ORDER BY v.id LIMIT $2", kVoucherColumns);
constexpr std::string_view kRedeemedBefore =
    "SELECT EXISTS (SELECT FROM billing.payments p WHERE p.tenant_id = $1::uuid AND p.voucher_id = $2::uuid)";
constexpr std::string_view kFindAttempts =
    "SELECT billing.to_micros(clock_timestamp()), coalesce(a.failed, 0), "
    "billing.to_micros(coalesce(a.since, clock_timestamp())) FROM (SELECT $1::uuid AS tenant_id) t "
    "LEFT JOIN billing.voucher_attempts a ON a.tenant_id = t.tenant_id";
// $2: how long an attempt counts, in microseconds.
constexpr std::string_view kCountAttempt = R"(
  INSERT INTO billing.voucher_attempts AS a (tenant_id, since, failed) VALUES ($1::uuid, clock_timestamp(), 1)
  ON CONFLICT (tenant_id) DO UPDATE SET
    since = CASE WHEN a.since + $2 * interval '1 microsecond' <= EXCLUDED.since THEN EXCLUDED.since ELSE a.since END,
    failed = CASE WHEN a.since + $2 * interval '1 microsecond' <= EXCLUDED.since THEN 1 ELSE a.failed + 1 END)";

Payment ReadPayment(RowReader& row) {
  Payment p;
  row.Into(p.tenant, p.id, p.kind, p.amount, p.currency_code, p.invoice, p.reference, p.payload_sha256, p.create_time);
  return p;
}

InvoiceBalance ReadBalance(RowReader& row) {
  InvoiceBalance b;
  row.Into(b.id, b.number, b.currency_code, b.payable, b.credited, b.paid, b.due_time);
  return b;
}

Voucher ReadVoucher(RowReader& row) {
  Voucher v;
  row.Into(v.id, v.amount, v.currency_code, v.uses_max, v.used, v.expire_time, v.note);
  return v;
}

bool IsTrue(const pqxx::result& rows) { return rows.at(0)[0].as<bool>(); }

// Under the lock, what is the same of both decisions.
template <typename State>
void ReadAccountAndId(TenantTx& tx, Uuid id, State& state) {
  LockAccount(tx);
  state.account = FindAccountIn(tx);
  if (id.is_nil()) return;
  state.existing = ReadOne(tx.Exec(kFindPayment, tx.tenant(), id), ReadPayment);
  state.id_is_taken = IsTrue(tx.Exec(kIsTaken, tx.tenant(), id));
}

std::optional<Wallet> ReadWallet(TenantTx& tx) {
  auto account = FindAccountIn(tx);
  if (!account) return std::nullopt;
  return Wallet{*std::move(account),
                ReadOne(tx.Exec(kFindLowBalance, tx.tenant()), [](RowReader& row) { return row.Next<Amount>(); })};
}

// What it pays of invoices, the trigger books after it.
Status Write(TenantTx& tx, const audit::PgLog& log, Payment& payment, const std::optional<Uuid>& voucher,
             const std::string& tenant_name, const std::string& action) {
  payment.create_time =
      ReadFirst(tx.Exec(kInsertPayment, payment.tenant, payment.id, payment.kind, payment.amount, payment.currency_code,
                        payment.invoice, voucher, payment.reference, payment.payload_sha256),
                [](RowReader& row) { return row.Next<Time>(); });
  std::vector<audit::Detail> details{{"amount", payment.amount.ToString()},
                                     {"currency_code", payment.currency_code},
                                     {"kind", std::string(ToRowWord(payment.kind))}};
  if (!payment.invoice.empty()) details.push_back({"invoice", payment.invoice});
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kPaymentWritten));
  return log.Append(tx, tenant_name,
                    audit::Act{.action = action,
                               .resource = fmt::format("{}/payments/{}", tenant_name, payment.id.ToString()),
                               .details = std::move(details)});
}

RedeemState ReadRedeemState(TenantTx& tx, const RedeemCommand& command) {
  RedeemState state;
  ReadAccountAndId(tx, command.request.id, state);
  ReadFirst(tx.Exec(kFindAttempts, tx.tenant()), [&](RowReader& row) {
    row.Into(state.now, state.failed, state.since);
    return true;
  });
  if (!state.account || state.existing) return state;
  state.voucher = ReadOne(tx.Exec(kLockVoucher, command.code_sha256), ReadVoucher);
  if (state.voucher) state.is_redeemed = IsTrue(tx.Exec(kRedeemedBefore, tx.tenant(), state.voucher->id));
  return state;
}

}  // namespace

Result<Wallet> PgWalletStore::FindWallet(TenantId tenant) {
  return desk_.Run<Wallet>(tenant, [&](TenantTx& tx) -> Result<Wallet> {
    if (auto wallet = ReadWallet(tx)) return *std::move(wallet);
    return BillingAccountNotFound();
  });
}

Result<Wallet> PgWalletStore::SetLowBalance(TenantId tenant, const std::string& tenant_name,
                                            std::optional<Amount> low_balance) {
  return desk_.Run<Wallet>(
      tenant,
      [&](TenantTx& tx) -> Result<Wallet> {
        LockAccount(tx);
        const std::optional<Wallet> before = ReadWallet(tx);
        if (!before) return NoBillingAccount();
        if (before->low_balance == low_balance) return *before;
        if (low_balance) {
          tx.Exec(kSetLowBalance, tenant, *low_balance);
        } else {
          tx.Exec(kForgetLowBalance, tenant);
        }
        ALLOD_CHECK_OK(audit_.Append(
            tx, tenant_name,
            audit::Act{.action = "billing.wallets.update",
                       .resource = tenant_name + "/wallet",
                       .details = {{"low_balance", low_balance ? low_balance->ToString() : std::string("none")}}}));
        return Wallet{before->account, low_balance};
      },
      RunAgain{});
}

Result<std::vector<TenantId>> PgWalletStore::TenantsWithCrossedBalances(std::optional<TenantId> after, int limit) {
  return desk_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec(kCrossedBalances, after ? after->value : Uuid(), limit),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

Result<bool> PgWalletStore::TellOfBalance(TenantId tenant) {
  return desk_.Run<bool>(
      tenant, [&](TenantTx& tx) -> Result<bool> { return IsTrue(tx.Exec(kTellOfBalance, tenant)); }, RunAgain{});
}

Result<Payment> PgWalletStore::RecordPayment(const PaymentCommand& command) {
  return desk_.Run<Payment>(
      command.tenant,
      [&](TenantTx& tx) -> Result<Payment> {
        PaymentState state;
        ReadAccountAndId(tx, command.request.id, state);
        if (command.kind == PaymentKind::kInvoice) {
          state.invoice = ReadOne(tx.Exec(kInvoiceBalances, command.tenant, "", 1, command.invoice), ReadBalance);
        }
        if (command.kind == PaymentKind::kRefund) {
          ReadFirst(tx.Exec(kFromVouchers, command.tenant), [&](RowReader& row) {
            row.Into(state.from_vouchers, state.taken_by_invoices);
            return true;
          });
        }
        ALLOD_TRY(PaymentDecision decision, DecidePayment(state, command));
        if (decision.replay) return decision.payment;
        const bool is_refund = command.kind == PaymentKind::kRefund;
        ALLOD_CHECK_OK(Write(tx, audit_, decision.payment, std::nullopt, command.tenant_name,
                             is_refund ? "billing.payments.refund" : "billing.payments.record"));
        return decision.payment;
      },
      RunAgain{});
}

Result<std::vector<Payment>> PgWalletStore::ListPayments(const PaymentsQuery& query) {
  return reports_.Run<std::vector<Payment>>(query.tenant, [&](TenantTx& tx) -> Result<std::vector<Payment>> {
    return ReadAll(tx.Exec(kListPayments, query.tenant, query.before_time, query.before_id, query.limit), ReadPayment);
  });
}

Result<std::vector<InvoiceBalance>> PgWalletStore::ListInvoiceBalances(TenantId tenant, const std::string& before,
                                                                       int limit) {
  return reports_.Run<std::vector<InvoiceBalance>>(tenant, [&](TenantTx& tx) -> Result<std::vector<InvoiceBalance>> {
    return ReadAll(tx.Exec(kInvoiceBalances, tenant, before, limit, ""), ReadBalance);
  });
}

Result<std::vector<Voucher>> PgWalletStore::CreateVouchers(const VouchersCommand& command) {
  std::vector<Voucher> made(command.codes_sha256.size(), command.voucher);
  std::vector<std::string> ids;
  for (Voucher& voucher : made) ids.push_back((voucher.id = Uuid::V7()).ToString());
  return desk_.Run<std::vector<Voucher>>(
      [&](GlobalTx& tx) -> Result<std::vector<Voucher>> {
        // Two at once make both; their codes are different.
        if (IsTrue(tx.Exec(kAreVouchersMade, command.request_id))) {
          return Fail(
              Code::kAlreadyExists, "VOUCHERS_MADE",
              "request_id: these vouchers were made already, and codes are said once; make others with a new id");
        }
        const Voucher& v = command.voucher;
        tx.Exec(kInsertVouchers, ids, command.codes_sha256, v.amount, v.currency_code, v.uses_max, v.expire_time,
                v.note, command.request_id);
        return made;
      },
      [&](GlobalTx& tx) -> Result<std::vector<Voucher>> {
        if (IsTrue(tx.Exec(kAreVouchersMade, command.request_id))) return made;
        return NotFound("the vouchers were not made");
      });
}

Result<std::vector<Voucher>> PgWalletStore::ListVouchers(Uuid after, int limit) {
  return reports_.Run<std::vector<Voucher>>([&](GlobalTx& tx) -> Result<std::vector<Voucher>> {
    return ReadAll(tx.Exec(kListVouchers, after, limit), ReadVoucher);
  });
}

Result<Payment> PgWalletStore::RedeemVoucher(const RedeemCommand& command) {
  // Refused for a code that is none, and yet something is written.
  struct Redemption {
    std::optional<Payment> payment;
    std::optional<Error> refused;
  };
  Uuid id;
  const Result<Redemption> done = desk_.Run<Redemption>(
      command.tenant,
      [&](TenantTx& tx) -> Result<Redemption> {
        const RedeemState state = ReadRedeemState(tx, command);
        Result<RedeemDecision> decision = DecideRedeem(state, command);
        if (!decision) {
          if (decision.error().reason != "VOUCHER_NOT_FOUND") return std::unexpected(decision.error());
          tx.Exec(kCountAttempt, tx.tenant(), std::chrono::microseconds(kVoucherAttemptsPer).count());
          return Redemption{.refused = decision.error()};
        }
        id = decision->payment.id;
        if (decision->replay) return Redemption{.payment = decision->payment};
        ALLOD_CHECK_OK(
            Write(tx, audit_, decision->payment, state.voucher->id, command.tenant_name, "billing.vouchers.redeem"));
        return Redemption{.payment = decision->payment};
      },
      // Whether what it would have written is there: run again it would say that the voucher was redeemed before.
      [&](TenantTx& tx) -> Result<Redemption> {
        if (auto payment = ReadOne(tx.Exec(kFindPayment, command.tenant, id), ReadPayment)) {
          return Redemption{.payment = std::move(payment)};
        }
        return NotFound("the voucher was not redeemed");
      });
  if (!done) return std::unexpected(done.error());
  if (done->refused) return std::unexpected(*done->refused);
  return *done->payment;
}

}  // namespace allod::billing::wallet
