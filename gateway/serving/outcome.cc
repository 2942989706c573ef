#include "gateway/serving/outcome.h"

#include "gateway/serving/peer_errors.h"

namespace allod::gateway::serving {

billing::v1::Outcome OutcomeOf(const RunEnd& end) {
  if (end.answered) return billing::v1::OUTCOME_COMPLETED;
  if (end.client_gone) return billing::v1::OUTCOME_CLIENT_CANCELLED;
  if (end.error.reason == "INSTANCE_CHANGED" || end.error.reason == "READER_TOO_SLOW") {
    return billing::v1::OUTCOME_CLIENT_CANCELLED;
  }
  if (!IsCallersDoing(end.error)) return billing::v1::OUTCOME_FAULT;
  if (!end.started) return billing::v1::OUTCOME_COMPLETED;  // refused before anything was computed
  if (end.delivered && end.error.reason != "CONSTRAINT_TOO_COSTLY") return billing::v1::OUTCOME_FAULT;
  return billing::v1::OUTCOME_CLIENT_CANCELLED;
}

}  // namespace allod::gateway::serving
