// On what terms money is held for a request: what decides its price, and how much it may use at most. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace allod::gateway::serving {

// The most that one request may use.
struct TokenBounds {
  std::int64_t prompt = 0;
  std::int64_t completion = 0;  // over all choices

  bool operator==(const TokenBounds&) const = default;
};

struct HoldTerms {
  std::string variant;
  std::string price_book;
  std::string isolation_class;  // as billing names it; empty: isolated
  TokenBounds bounds;

  bool operator==(const HoldTerms&) const = default;
};

// Whether money that is held on the terms `held` pays for a request that runs on the terms `needed`: at the same price,
// and for no more tokens.
bool Covers(const HoldTerms& held, const HoldTerms& needed);

}  // namespace allod::gateway::serving
