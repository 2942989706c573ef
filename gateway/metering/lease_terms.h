// On what terms money is taken from a lease for one request: what decides the price of a token, what one costs, and how
// many may be used. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "services/common/ids.h"
#include "services/common/money.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

// The most that one request may use.
struct TokenBounds {
  std::int64_t prompt = 0;
  std::int64_t completion = 0;  // over all choices

  bool operator==(const TokenBounds&) const = default;
};

// What decides what a token costs the tenant.
struct PriceKey {
  std::string variant;
  std::string price_book;
  std::string isolation_class;  // as billing names it; empty: isolated

  bool operator==(const PriceKey&) const = default;
};

// What one token costs, in the currency of the tenant's account.
struct TokenPrices {
  Amount prompt;
  Amount completion;

  bool operator==(const TokenPrices&) const = default;
};

// Exact. OUT_OF_RANGE / AMOUNT_OUT_OF_RANGE.
inline Result<Amount> CostOf(const TokenPrices& prices, const TokenBounds& tokens) {
  ALLOD_TRY(const Amount prompt, Multiply(prices.prompt, tokens.prompt));
  ALLOD_TRY(const Amount completion, Multiply(prices.completion, tokens.completion));
  return Add(prompt, completion);
}

// Of a request that may run. What is held for it is the cost of its bounds.
struct LeaseTerms {
  Uuid lease_id;
  PriceKey price;
  TokenPrices prices;
  TokenBounds bounds;
  std::string api_key;  // its full name

  bool operator==(const LeaseTerms&) const = default;
};

}  // namespace allod::gateway::metering
