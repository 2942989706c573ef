// What `allod prove billing` found: one row for each promise, with what was measured. Pure.
#pragma once

#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::commands {

struct Proof {
  enum class Verdict { kPass, kFail, kSkipped };
  std::string what;
  std::string figure;    // that must hold
  std::string measured;  // or why it was not
  Verdict verdict = Verdict::kSkipped;
  double seconds = 0;
};

// Skipped when `measured` says why it could not be tried.
Proof Proven(std::string what, std::string figure, bool holds, std::string measured);
Proof Skipped(std::string what, std::string figure, std::string why);
// An error while it was tried: it is not shown to hold.
Proof Failed(std::string what, std::string figure, const Error& error);

std::string ProofTable(const std::vector<Proof>& proofs);
// {"passed": 5, "failed": 0, "skipped": 1, "proofs": [{"what", "figure", "measured", "verdict", "seconds"}]}
std::string ProofJson(const std::vector<Proof>& proofs);
// DATA_LOSS / NOT_PROVEN names what failed; OK also when something was skipped.
Status JudgeProofs(const std::vector<Proof>& proofs);

}  // namespace allod::cli::commands
