// AdjustLease as the lease book asks it and hears its answer, and what an error of it means. Pure.
#pragma once

#include "allod/billing/v1/lease.pb.h"
#include "gateway/metering/lease_book.h"

namespace allod::gateway::metering {

// Without whose lease it is, and when it is sent.
billing::v1::AdjustLeaseRequest ToRequest(const LeaseBook::Ask& ask);

// Numbers are bounded: what is none, or more than was asked for, is INVALID_ANSWER or an error of Amount::Parse().
Result<LeaseBook::Answer> AnswerFrom(const LeaseBook::Ask& ask, const billing::v1::AdjustLeaseResponse& response);

enum class AdjustError {
  kNothingDone,  // a definite no
  kShort,        // not the money, here and now
  kNoRoom,       // nothing done, and soon there will be room
  kGone,         // the lease is not there any more
  kNobodyKnows,  // it may have been done
};

AdjustError MeaningOf(const Error& error);

// What is held for a request of these bounds. INVALID_ARGUMENT / INVALID_TOKEN_COUNT for more tokens than billing takes
// of any request; OUT_OF_RANGE / AMOUNT_OUT_OF_RANGE.
Result<Amount> CostToHold(const TokenPrices& prices, const TokenBounds& bounds);

}  // namespace allod::gateway::metering
