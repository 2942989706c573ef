// What `allod prove billing` shows of answers: streams through the gateway, some of them cut by their client.
#pragma once

#include "cli/commands/prove_ledger.h"

namespace allod::cli::commands {

struct StreamsToProve {
  std::string base_url;  // of the gateway
  std::string instance;
  std::string api_key;
  int count = 40;
};

// Each is recorded once. What came to its end is billed as the client was told; what was cut is billed for no less than
// came, and for no more than a node computed. Waits until all of them are settled.
Proof ProveStreams(const net::Services& services, const StreamsToProve& streams, const ProofProgress& progress);

}  // namespace allod::cli::commands
