// Wallets, payments and vouchers: what may be recorded, and what it does. Pure; see ../decide.h for how a store uses
// it.
//
// What a tenant may still spend is said by Available() (../refusals.h), here as for requests and leases.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/billing/domain.h"
#include "services/common/request_id.h"

namespace allod::billing::wallet {

inline constexpr std::size_t kReferenceCharsMax = 200;
inline constexpr int kVouchersPerRequestMax = 1000;
inline constexpr std::int32_t kVoucherUsesMax = 100'000;
inline constexpr std::chrono::hours kVoucherLifetimeMax{24 * 366 * 5};
// Codes of one tenant that were no voucher's, in an hour.
inline constexpr std::int32_t kVoucherAttemptsMax = 10;
inline constexpr std::chrono::hours kVoucherAttemptsPer{1};

struct Wallet {
  BillingAccount account;
  std::optional<Amount> low_balance;  // the tenant is told when less is left
};

// INVALID_ARGUMENT / INVALID_AMOUNT.
Status CheckLowBalance(Amount low_balance);

enum class PaymentKind { kTopUp, kVoucher, kRefund, kInvoice, kWalletToInvoice, kOverpayment };

struct Payment {
  TenantId tenant;
  Uuid id;  // the request's
  PaymentKind kind = PaymentKind::kTopUp;
  Amount amount;
  std::string currency_code;
  std::string invoice;  // YYYY-MM, or empty
  std::string reference;
  std::string payload_sha256;
  Time create_time;
};

struct InvoiceBalance {
  std::string id;  // YYYY-MM
  std::string number;
  std::string currency_code;
  Amount payable;
  Amount credited;
  Amount paid;
  Time due_time;
  Amount open() const;
};

// A top-up, a refund or the payment of an invoice, as an operator records it.
struct PaymentCommand {
  TenantId tenant;
  std::string tenant_name;
  PaymentKind kind = PaymentKind::kTopUp;
  std::string amount;   // as it was typed: how many decimals it may have, the account's currency says
  std::string invoice;  // of kInvoice
  std::string reference;
  RequestId request;  // given
};

struct PaymentState {
  std::optional<BillingAccount> account;
  std::optional<Payment> existing;        // with the request's id
  bool id_is_taken = false;               // by a transfer that is none of these
  std::optional<InvoiceBalance> invoice;  // of kInvoice
  // Of kRefund: what vouchers gave. Invoices take it first.
  Amount from_vouchers;
  Amount taken_by_invoices;  // out of the wallet, less what credit notes gave back; may be below zero
};

struct PaymentDecision {
  Payment payment;
  bool replay = false;  // nothing is to be written
};

// FAILED_PRECONDITION / NO_BILLING_ACCOUNT, OVERPAYMENT, WALLET_FULL; NOT_FOUND; INVALID_ARGUMENT / INVALID_AMOUNT;
// RESOURCE_EXHAUSTED / INSUFFICIENT_FUNDS; ALREADY_EXISTS / REQUEST_ID_REUSED.
Result<PaymentDecision> DecidePayment(const PaymentState& state, const PaymentCommand& command);

struct Voucher {
  Uuid id;
  Amount amount;
  std::string currency_code;
  std::int32_t uses_max = 1;
  std::int32_t used = 0;
  Time expire_time;
  std::string note;
};

struct VouchersCommand {
  Voucher voucher;  // without its id
  std::vector<std::string> codes_sha256;
  Uuid request_id;
};

// INVALID_ARGUMENT / INVALID_AMOUNT, INVALID_EXPIRE_TIME, INVALID_USES, UNKNOWN_CURRENCY.
Status CheckVoucher(const Voucher& voucher, Time now);

// Four groups of five of 32 letters and digits that nobody takes for another: 100 random bits.
std::string NewVoucherCode();
// The digest of a code as it is typed. INVALID_ARGUMENT / INVALID_CODE for what has no code's shape.
Result<std::string> VoucherDigest(std::string_view code);

struct RedeemCommand {
  TenantId tenant;
  std::string tenant_name;
  std::string code_sha256;
  RequestId request;  // may be absent
};

struct RedeemState {
  Time now;  // of the database
  std::optional<BillingAccount> account;
  std::optional<Payment> existing;  // with the request's id
  bool id_is_taken = false;
  std::optional<Voucher> voucher;
  bool is_redeemed = false;  // by this tenant
  // Codes that were none, in the hour that began at `since`.
  std::int32_t failed = 0;
  Time since;
};

struct RedeemDecision {
  Payment payment;
  bool replay = false;
};

// FAILED_PRECONDITION / NO_BILLING_ACCOUNT, VOUCHER_USED_UP, VOUCHER_EXPIRED, VOUCHER_CURRENCY, WALLET_FULL;
// ALREADY_EXISTS / VOUCHER_REDEEMED, REQUEST_ID_REUSED; RESOURCE_EXHAUSTED / TOO_MANY_ATTEMPTS; NOT_FOUND /
// VOUCHER_NOT_FOUND: then one more has failed.
Result<RedeemDecision> DecideRedeem(const RedeemState& state, const RedeemCommand& command);

}  // namespace allod::billing::wallet
