// What `allod prove billing` shows of the ledger, by calls that a gateway makes: nothing here needs a model.
#pragma once

#include <functional>

#include "cli/commands/prove_report.h"
#include "cli/commands/prove_trial.h"

namespace allod::cli::commands {

// Told while it goes on: how far, 0 to 1.
using ProofProgress = std::function<void(double)>;

// Requests that are reserved and settled one to five times each, out of order, by several at once; `disturb`, if there
// is one, is called in the midst of it. Each is counted once, at its exact cost.
Proof ProveReplays(const net::Services& services, const Trial& trial, const std::function<void()>& disturb,
                   const ProofProgress& progress);
// Four pretended gateways at once against credit for exactly 37 requests.
Proof ProveNoOverspend(const net::Services& services, const Trial& trial, const ProofProgress& progress);
// Nothing of the trial is held any more.
Proof ProveNothingHeld(const net::Services& services, const Trial& trial);
// This month's draft is the sum of the trial's records, to the last digit.
Proof ProveDraft(const net::Services& services, const Trial& trial);
// The books of the whole installation, and what was billed in the last hour against what nodes computed.
Proof ProveLedger(const net::Services& services);
// The files of issued invoices, made twice: the newest ones of the installation's tenants, at most 20.
Proof ProveDocuments(const net::Services& services, const ProofProgress& progress);

}  // namespace allod::cli::commands
