// What `allod ledger` makes of what billing answers.
#pragma once

#include <string>

#include "allod/billing/v1/ledger.pb.h"
#include "services/common/result.h"

namespace allod::cli::commands {

struct LedgerVerdict {
  std::string words;  // "sound", or what else the books are
  Status status;      // DATA_LOSS unless they are sound
};

// What is known to be wrong comes before what is not known: tenants that could not be audited.
LedgerVerdict JudgeLedger(const billing::v1::CheckLedgerResponse& check);

}  // namespace allod::cli::commands
