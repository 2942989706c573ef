#include "cli/commands/prove_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

using Verdict = Proof::Verdict;

const char* WordOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "PASS";
    case Verdict::kFail:
      return "FAIL";
    case Verdict::kSkipped:
      return "SKIP";
  }
  return "FAIL";
}

std::ptrdiff_t CountOf(const std::vector<Proof>& proofs, Verdict verdict) {
  return std::ranges::count(proofs, verdict, &Proof::verdict);
}

}  // namespace

Proof Proven(std::string what, std::string figure, bool holds, std::string measured) {
  return {std::move(what), std::move(figure), std::move(measured), holds ? Verdict::kPass : Verdict::kFail};
}

Proof Skipped(std::string what, std::string figure, std::string why) {
  return {std::move(what), std::move(figure), std::move(why), Verdict::kSkipped};
}

Proof Failed(std::string what, std::string figure, const Error& error) {
  return {std::move(what), std::move(figure), error.reason + ": " + error.message, Verdict::kFail};
}

std::string ProofTable(const std::vector<Proof>& proofs) {
  std::vector<std::vector<std::string>> rows;
  for (const Proof& proof : proofs) {
    rows.push_back(
        {proof.what, proof.figure, proof.measured, fmt::format("{:.1f} s", proof.seconds), WordOf(proof.verdict)});
  }
  return terminal::Table({"WHAT", "MUST HOLD", "MEASURED", "TOOK", "VERDICT"}, rows);
}

std::string ProofJson(const std::vector<Proof>& proofs) {
  nlohmann::json all = nlohmann::json::array();
  for (const Proof& proof : proofs) {
    all.push_back({{"what", proof.what},
                   {"figure", proof.figure},
                   {"measured", proof.measured},
                   {"verdict", WordOf(proof.verdict)},
                   {"seconds", proof.seconds}});
  }
  const nlohmann::json out = {{"passed", CountOf(proofs, Verdict::kPass)},
                              {"failed", CountOf(proofs, Verdict::kFail)},
                              {"skipped", CountOf(proofs, Verdict::kSkipped)},
                              {"proofs", all}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Status JudgeProofs(const std::vector<Proof>& proofs) {
  std::vector<std::string> failed;
  for (const Proof& proof : proofs) {
    if (proof.verdict == Verdict::kFail) failed.push_back(proof.what);
  }
  if (failed.empty()) return {};
  return Fail(Code::kDataLoss, "NOT_PROVEN", "does not hold: " + terminal::Some(failed));
}

}  // namespace allod::cli::commands
