// The throw-away tenant of `allod prove billing`, and what of the installation its requests run on.
#pragma once

#include <string>

#include "cli/net/services.h"
#include "services/common/result.h"

namespace allod::cli::commands {

struct Trial {
  std::string tenant;  // `tenants/prove-0123456789ab`
  std::string project;
  std::string currency;
  std::string price_book;  // of the proofs without a model: 1 unit for a million prompt tokens, 2 for completion tokens
  std::string instance;    // that streams are asked of; empty: none could be made, `no_instance` says why
  std::string no_instance;
  std::string api_key;  // its text, for that instance
};

// What it makes, in a sentence for people, before it makes it.
std::string WhatATrialMakes();

// A tenant with a project, a billing account without credit, and an instance of the first listing that is for sale
// where this installation has a region; waits until it is ready. The price book is made once for each currency and
// stays: they never change.
Result<Trial> MakeTrial(const net::Services& services);

// Its instance stops, its key is refused; what it has is removed when the shortest grace that there is (a day) is over.
// Its usage and its ledger stay, as those of every tenant.
Status EndTrial(const net::Services& services, const Trial& trial);

// Until billing has it.
Status SetTrialLimit(const net::Services& services, const Trial& trial, const std::string& amount);

}  // namespace allod::cli::commands
