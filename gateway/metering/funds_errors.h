// What a source of funds says when it has no money. Pure.
#pragma once

#include "services/common/result.h"

namespace allod::gateway::metering {

// The tenant has not the money. Whatever else a source says is not the caller's doing.
inline bool IsMissingMoney(const Error& error) {
  return error.reason == "INSUFFICIENT_FUNDS" || error.reason == "NO_BILLING_ACCOUNT" ||
         error.reason == "BUDGET_EXHAUSTED";
}

// A hard budget of the tenant has not enough left. A key is told its name and no amount: it may be of other projects
// too.
inline Error BudgetExhausted(const std::string& tenant, const std::string& budget) {
  return {
      Code::kResourceExhausted, "BUDGET_EXHAUSTED",
      "what is left of the budget " + tenant + "/budgets/" + budget +
          " does not cover the cost that this request could have; lower max_tokens, try again when others have ended "
          "or the budget's next period has begun, or ask who manages the tenant's budgets"};
}

// Billing does not answer, and what was leased from it is used up or too old.
inline Error FundsUnavailable() {
  return {Code::kUnavailable, "BILLING_UNAVAILABLE", "the request cannot be metered right now and was not run",
          std::chrono::milliseconds(1000)};
}

}  // namespace allod::gateway::metering
