// What a source of funds says when it holds no money. Pure.
#pragma once

#include "services/common/result.h"

namespace allod::gateway::metering {

// The tenant has not the money. Whatever else a source says is not the caller's doing.
inline bool IsMissingMoney(const Error& error) {
  return error.reason == "INSUFFICIENT_FUNDS" || error.reason == "NO_BILLING_ACCOUNT";
}

// It may have been held all the same: the request is to be settled.
inline Error InDoubt() {
  return {Code::kUnavailable, "BILLING_UNAVAILABLE", "the request cannot be metered right now and was not run",
          std::chrono::milliseconds(1000)};
}
inline bool IsInDoubt(const Error& error) { return error.reason == "BILLING_UNAVAILABLE"; }

}  // namespace allod::gateway::metering
