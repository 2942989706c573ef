#include "services/billing/wallet/wallet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "services/billing/refusals.h"
#include "services/common/digest.h"

namespace allod::billing::wallet {
namespace {

// Without I, L, O and U: they are read as others, or make words.
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kCodeLength = 20;
constexpr std::size_t kGroup = 5;

// Above 0, of whole minor units, and not beyond what a wallet may have.
Result<Amount> ParseAmount(std::string_view text, const std::string& currency_code) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", currency_code));
  ALLOD_TRY(const Amount amount, Amount::Parse("amount", text, decimals));
  if (amount > Amount() && amount <= kCreditLimitMax) return amount;
  return InvalidArgument("INVALID_AMOUNT", fmt::format("amount: {} is not above 0 and up to {}", amount.ToString(),
                                                       kCreditLimitMax.ToString()));
}

Status CheckRoom(const BillingAccount& account, Amount amount) {
  ALLOD_TRY(const Amount after, Add(account.wallet, amount));
  if (after <= kCreditLimitMax) return {};
  return FailedPrecondition("WALLET_FULL", fmt::format("amount: with {} more the wallet would have more than {}",
                                                       amount.ToString(), kCreditLimitMax.ToString()));
}

Status CheckRefund(const PaymentState& state, const BillingAccount& account, Amount amount) {
  ALLOD_TRY(const Amount available, Available(account, Amount()));
  // What a voucher gave is to be used, and is not paid out.
  ALLOD_TRY(const Amount unused, Subtract(state.from_vouchers, std::max(Amount(), state.taken_by_invoices)));
  const Amount given = std::max(Amount(), unused);
  ALLOD_TRY(const Amount paid, Subtract(account.wallet, given));
  const Amount most = std::max(Amount(), std::min(paid, available));
  if (amount <= most) return {};
  return Fail(Code::kResourceExhausted, "INSUFFICIENT_FUNDS",
              fmt::format("amount: of the wallet's {} {} at most {} can be paid back; {} are owed and {} held, and {} "
                          "are of vouchers, which are not paid out",
                          account.wallet.ToString(), account.currency_code, most.ToString(), account.posted.ToString(),
                          account.held.ToString(), given.ToString()));
}

Status CheckOpen(const std::optional<InvoiceBalance>& invoice, const PaymentCommand& command, Amount amount) {
  if (!invoice) {
    return NotFound(fmt::format("{}/invoices/{} was not issued", command.tenant_name, command.invoice));
  }
  const Amount open = invoice->open();
  if (amount <= open) return {};
  return FailedPrecondition("OVERPAYMENT",
                            fmt::format("amount: {} is more than {}, which is open of invoice {}; record the rest as a "
                                        "top-up of the wallet",
                                        amount.ToString(), open.ToString(), invoice->number));
}

}  // namespace

Amount InvoiceBalance::open() const {
  return Amount::FromPico(payable.pico() - credited.pico() - paid.pico());  // each below 10^38
}

Status CheckLowBalance(Amount low_balance) {
  if (low_balance >= Amount() && low_balance <= kCreditLimitMax) return {};
  return InvalidArgument("INVALID_AMOUNT", fmt::format("wallet.low_balance: {} is not from 0 to {}",
                                                       low_balance.ToString(), kCreditLimitMax.ToString()));
}

Result<PaymentDecision> DecidePayment(const PaymentState& state, const PaymentCommand& command) {
  if (state.existing) {
    if (state.existing->payload_sha256 != command.request.payload_sha256) {
      return RequestIdReused(command.request.id, "payment");
    }
    return PaymentDecision{.payment = *state.existing, .replay = true};
  }
  if (state.id_is_taken) return RequestIdReused(command.request.id, "request");
  if (!state.account) return NoBillingAccount();
  const BillingAccount& account = *state.account;
  ALLOD_TRY(const Amount amount, ParseAmount(command.amount, account.currency_code));
  switch (command.kind) {
    case PaymentKind::kRefund:
      ALLOD_CHECK_OK(CheckRefund(state, account, amount));
      break;
    case PaymentKind::kInvoice:
      ALLOD_CHECK_OK(CheckOpen(state.invoice, command, amount));
      break;
    default:
      ALLOD_CHECK_OK(CheckRoom(account, amount));
  }
  return PaymentDecision{.payment = {.tenant = command.tenant,
                                     .id = command.request.id,
                                     .kind = command.kind,
                                     .amount = amount,
                                     .currency_code = account.currency_code,
                                     .invoice = command.invoice,
                                     .reference = command.reference,
                                     .payload_sha256 = command.request.payload_sha256}};
}

Status CheckVoucher(const Voucher& voucher, Time now) {
  ALLOD_TRY(const int decimals, MinorUnitDecimals("voucher.amount.currency_code", voucher.currency_code));
  if (voucher.amount <= Amount() || voucher.amount > kCreditLimitMax ||
      Round(voucher.amount, decimals) != voucher.amount) {
    return InvalidArgument("INVALID_AMOUNT", fmt::format("voucher.amount: {} is not above 0 with at most {} decimals",
                                                         voucher.amount.ToString(), decimals));
  }
  if (voucher.uses_max < 1 || voucher.uses_max > kVoucherUsesMax) {
    return InvalidArgument("INVALID_USES",
                           fmt::format("voucher.uses_max: {} is not from 1 to {}", voucher.uses_max, kVoucherUsesMax));
  }
  if (voucher.expire_time <= now || voucher.expire_time > now + kVoucherLifetimeMax) {
    return InvalidArgument("INVALID_EXPIRE_TIME", "voucher.expire_time: must be in the future and within five years");
  }
  return {};
}

std::string NewVoucherCode() {
  std::array<std::uint8_t, kCodeLength> random{};
  FillRandom(random);
  std::string out;
  for (std::size_t i = 0; i < kCodeLength; ++i) {
    if (i > 0 && i % kGroup == 0) out += '-';
    out += kAlphabet[random[i] % kAlphabet.size()];  // 256 is a multiple of 32
  }
  return out;
}

Result<std::string> VoucherDigest(std::string_view code) {
  std::string plain;
  const auto refuse = [] {
    return InvalidArgument("INVALID_CODE",
                           "code: is not four groups of five letters and digits, as in "
                           "ABCDE-12345-FGHJK-67890");
  };
  for (char c : code) {
    if (c == ' ' || c == '-') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    // As they are misread.
    if (c == 'I' || c == 'L') c = '1';
    if (c == 'O') c = '0';
    if (kAlphabet.find(c) == std::string_view::npos || plain.size() == kCodeLength) return refuse();
    plain += c;
  }
  if (plain.size() != kCodeLength) return refuse();
  return Sha256Hex("voucher\n" + plain);
}

Result<RedeemDecision> DecideRedeem(const RedeemState& state, const RedeemCommand& command) {
  if (state.existing) {
    if (state.existing->payload_sha256 != command.request.payload_sha256) {
      return RequestIdReused(command.request.id, "payment");
    }
    return RedeemDecision{.payment = *state.existing, .replay = true};
  }
  if (state.id_is_taken) return RequestIdReused(command.request.id, "request");
  if (!state.account) return NoBillingAccount();
  const auto hour = std::chrono::duration_cast<std::chrono::milliseconds>(kVoucherAttemptsPer);
  if (state.failed >= kVoucherAttemptsMax && state.now < state.since + hour) {
    return std::unexpected(
        Error{Code::kResourceExhausted, "TOO_MANY_ATTEMPTS",
              fmt::format("code: {} codes were no voucher's within an hour; try again later", kVoucherAttemptsMax),
              std::chrono::ceil<std::chrono::milliseconds>(state.since + hour - state.now)});
  }
  if (!state.voucher) {
    return Fail(Code::kNotFound, "VOUCHER_NOT_FOUND", "code: there is no such voucher; check what you typed");
  }
  const Voucher& voucher = *state.voucher;
  if (state.is_redeemed) {
    return Fail(Code::kAlreadyExists, "VOUCHER_REDEEMED", "code: this tenant has redeemed the voucher before");
  }
  if (voucher.expire_time <= state.now) {
    return FailedPrecondition("VOUCHER_EXPIRED",
                              fmt::format("code: the voucher was good until {}", Instant(voucher.expire_time)));
  }
  if (voucher.used >= voucher.uses_max) {
    return FailedPrecondition("VOUCHER_USED_UP", "code: the voucher was redeemed as often as it can be");
  }
  if (voucher.currency_code != state.account->currency_code) {
    return FailedPrecondition("VOUCHER_CURRENCY", fmt::format("code: the voucher is in {} and the account in {}",
                                                              voucher.currency_code, state.account->currency_code));
  }
  ALLOD_CHECK_OK(CheckRoom(*state.account, voucher.amount));
  return RedeemDecision{.payment = {.tenant = command.tenant,
                                    .id = command.request.given() ? command.request.id : Uuid::V7(),
                                    .kind = PaymentKind::kVoucher,
                                    .amount = voucher.amount,
                                    .currency_code = voucher.currency_code,
                                    .payload_sha256 = command.request.payload_sha256}};
}

}  // namespace allod::billing::wallet
