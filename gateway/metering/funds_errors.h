// What a source of funds says when it has no money. Pure.
#pragma once

#include "services/common/result.h"

namespace allod::gateway::metering {

// The tenant has not the money. Whatever else a source says is not the caller's doing.
inline bool IsMissingMoney(const Error& error) {
  return error.reason == "INSUFFICIENT_FUNDS" || error.reason == "NO_BILLING_ACCOUNT";
}

// Billing does not answer, and what was leased from it is used up or too old.
inline Error FundsUnavailable() {
  return {Code::kUnavailable, "BILLING_UNAVAILABLE", "the request cannot be metered right now and was not run",
          std::chrono::milliseconds(1000)};
}

}  // namespace allod::gateway::metering
