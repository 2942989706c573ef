#include "services/billing/refusals.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::billing {
namespace {

constexpr std::string_view kNoAccount =
    "the tenant has no billing account; the operator opens one with SetBillingAccount";

}  // namespace

Status CheckTokens(std::string_view field, std::int64_t tokens) {
  if (tokens < 0 || tokens > kTokensMax) {
    return InvalidArgument("INVALID_TOKEN_COUNT", fmt::format("{}: {} is not from 0 to {}", field, tokens, kTokensMax));
  }
  return {};
}

std::int64_t Beyond(std::int64_t tokens, std::int64_t held) { return std::max<std::int64_t>(0, tokens - held); }

Result<Amount> Available(const BillingAccount& account, Amount freed) {
  ALLOD_TRY(const Amount held, Subtract(account.held, freed));
  ALLOD_TRY(const Amount used, Add(account.posted, held));
  ALLOD_TRY(const Amount funds, Add(account.credit_limit, account.wallet));
  return Subtract(funds, used);
}

Status CheckFunds(const BillingAccount& account, Amount hold, Amount freed) {
  ALLOD_TRY(const Amount available, Available(account, freed));
  if (hold <= available) return {};
  ALLOD_TRY(const Amount held, Subtract(account.held, freed));
  if (account.wallet > Amount() || account.credit_limit == Amount()) {
    return Fail(
        Code::kResourceExhausted, "INSUFFICIENT_FUNDS",
        fmt::format(
            "{}: the request needs {} {} more, but of the {} in the wallet and the credit limit of {} are {} owed and "
            "{} held, for requests or ready for them at gateways; lower max_tokens, try again when others have ended, "
            "or top up the wallet",
            account.tenant_name, hold.ToString(), account.currency_code, account.wallet.ToString(),
            account.credit_limit.ToString(), account.posted.ToString(), held.ToString()));
  }
  return Fail(
      Code::kResourceExhausted, "INSUFFICIENT_FUNDS",
      fmt::format(
          "{}: the request needs {} {} more, but of the credit limit of {} are {} owed and {} held, for requests "
          "or ready for them at gateways; lower max_tokens, try again when others have ended, or ask the "
          "operator for a higher limit",
          account.tenant_name, hold.ToString(), account.currency_code, account.credit_limit.ToString(),
          account.posted.ToString(), held.ToString()));
}

std::unexpected<Error> RequestIdReused(Uuid request_id, std::string_view earlier) {
  return Fail(Code::kAlreadyExists, "REQUEST_ID_REUSED",
              fmt::format("request_id: {} was already used for another {}; a new request needs a new id",
                          request_id.ToString(), earlier));
}

std::unexpected<Error> NoBillingAccount() { return FailedPrecondition("NO_BILLING_ACCOUNT", std::string(kNoAccount)); }

std::unexpected<Error> BillingAccountNotFound() { return NotFound(std::string(kNoAccount)); }

std::unexpected<Error> PriceNotFound(const PriceKey& terms, bool book_exists, const std::string& currency_code) {
  return FailedPrecondition(
      "PRICE_NOT_FOUND",
      book_exists
          ? fmt::format("price_book: {} has no price in {} for the variant '{}' in the {} class and none for "
                        "every variant and class",
                        terms.price_book.ToString(), currency_code, VariantId(terms.variant), terms.isolation_class)
          : fmt::format("price_book: {} does not exist", terms.price_book.ToString()));
}

}  // namespace allod::billing
