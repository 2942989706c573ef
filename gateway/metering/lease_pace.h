// How fast leases and slices of budgets are filled and given back, and the arithmetic of their amounts.
#pragma once

#include <chrono>

#include "services/common/money.h"

namespace allod::gateway::metering {

inline constexpr std::chrono::seconds kGiveBackAfter(2);
inline constexpr std::chrono::seconds kEndAfter(30);
// How long after a recall, or after billing had little, nothing is asked for ahead of need.
inline constexpr std::chrono::seconds kModestFor(1);
inline constexpr int kRequestsKept = 4;

// Far within range: amounts of leases are bounded where they come from (EscrowFunds).
constexpr Amount operator+(Amount a, Amount b) { return Amount::FromPico(a.pico() + b.pico()); }
constexpr Amount operator-(Amount a, Amount b) { return Amount::FromPico(a.pico() - b.pico()); }
constexpr Amount Times(Amount a, int n) { return Amount::FromPico(a.pico() * n); }
constexpr Amount Half(Amount a) { return Amount::FromPico(a.pico() / 2); }

}  // namespace allod::gateway::metering
