// On what terms money is held for a request: what decides its price, and how much it may use at most. Pure.
#pragma once

#include <string>

#include "gateway/metering/lease_terms.h"

namespace allod::gateway::serving {

using metering::TokenBounds;

struct HoldTerms {
  metering::PriceKey price;
  TokenBounds bounds;

  bool operator==(const HoldTerms&) const = default;
};

// Whether money that is held on the terms `held` pays for a request that runs on the terms `needed`: at the same price,
// and for no more tokens.
bool Covers(const HoldTerms& held, const HoldTerms& needed);

}  // namespace allod::gateway::serving
