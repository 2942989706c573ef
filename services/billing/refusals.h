// What the decisions about reservations and about leases check and refuse alike. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "services/billing/domain.h"

namespace allod::billing {

// INVALID_ARGUMENT / INVALID_TOKEN_COUNT.
Status CheckTokens(std::string_view field, std::int64_t tokens);
// Tokens that were not paid for beforehand.
std::int64_t Beyond(std::int64_t tokens, std::int64_t held);

// What may still be spent once `freed` of what is held was given back: credit limit + wallet - owed - held. Below zero
// after a late settlement or a lower limit.
Result<Amount> Available(const BillingAccount& account, Amount freed);
// Whether `hold` more may be held, after `freed` of what is held was given back. RESOURCE_EXHAUSTED /
// INSUFFICIENT_FUNDS.
Status CheckFunds(const BillingAccount& account, Amount hold, Amount freed);

std::unexpected<Error> RequestIdReused(Uuid request_id, std::string_view earlier);  // ALREADY_EXISTS
std::unexpected<Error> NoBillingAccount();                                          // FAILED_PRECONDITION
std::unexpected<Error> BillingAccountNotFound();                                    // NOT_FOUND
std::unexpected<Error> PriceNotFound(const PriceKey& terms, bool book_exists,
                                     const std::string& currency_code);  // FAILED_PRECONDITION

}  // namespace allod::billing
