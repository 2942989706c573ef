// How a request ended for billing, by how its run ended. Pure: docs/billing-contract.md as code, as far as the gateway
// decides it.
#pragma once

#include "allod/billing/v1/usage.pb.h"
#include "services/common/result.h"

namespace allod::gateway::serving {

struct RunEnd {
  bool answered = false;        // also if the end was cut off by a limit, or by the client
  bool client_gone = false;     // it left, or does not take anything any more
  bool started = false;         // a worker accepted the prompt
  bool delivered = false;       // the client has some of the answer
  Error error{Code::kUnknown};  // of what was not answered
};

// What a caller's own constraint, its way of reading or its change of the instance cuts short ends as if the caller had
// left: else a constraint that fails after the last token, or a change before it, would make an answer free. Nothing
// else that a worker says in the middle of an answer is the caller's doing.
billing::v1::Outcome OutcomeOf(const RunEnd& end);

}  // namespace allod::gateway::serving
