// The node that the pretended gateways of `allod prove billing` would have had: it tells billing what it "computed" for
// their requests, so that nothing of them is shown as billed and never computed (`allod ledger`).
#pragma once

#include <string>
#include <vector>

#include "cli/commands/prove_trial.h"

namespace allod::cli::commands {

struct PretendedRequests {
  std::string instance;
  std::vector<std::string> ids;
  int prompt_tokens = 0;  // of each
  int completion_tokens = 0;
};

// Of each twice, as a node tells that was not answered: it counts once. While billing is started again it waits.
Status TellComputed(const net::Services& services, const Trial& trial, const PretendedRequests& requests);

}  // namespace allod::cli::commands
