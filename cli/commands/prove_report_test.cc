#include "cli/commands/prove_report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace allod::cli::commands::prove_report_test {
namespace {

using testing::HasSubstr;

TEST(ProveReport, OneThatFailsIsNamedAndTheRestIsStillShown) {
  const std::vector<Proof> proofs = {Proven("replays", "each counted once", true, "40 of 40"),
                                     Proven("overspend", "0", false, "1"),
                                     Skipped("streams", "difference 0", "no instance runs")};
  const Status judged = JudgeProofs(proofs);
  ASSERT_FALSE(judged);
  EXPECT_EQ(judged.error().reason, "NOT_PROVEN");
  EXPECT_THAT(judged.error().message, HasSubstr("overspend"));
  EXPECT_THAT(judged.error().message, testing::Not(HasSubstr("replays")));
  const std::string table = ProofTable(proofs);
  for (const char* word : {"PASS", "FAIL", "SKIP", "40 of 40", "no instance runs"}) {
    EXPECT_THAT(table, HasSubstr(word));
  }
  const auto json = nlohmann::json::parse(ProofJson(proofs));
  EXPECT_EQ(json["passed"], 1);
  EXPECT_EQ(json["failed"], 1);
  EXPECT_EQ(json["skipped"], 1);
  EXPECT_EQ(json["proofs"][1]["verdict"], "FAIL");
}

TEST(ProveReport, WhatCouldNotBeTriedBecauseOfAnErrorDoesNotPass) {
  EXPECT_FALSE(JudgeProofs({Failed("ledger", "sums to 0", {Code::kUnavailable, "RPC_FAILED", "nobody answers"})}));
  EXPECT_TRUE(JudgeProofs({Proven("ledger", "sums to 0", true, "0"), Skipped("invoices", "equal", "none is issued")}));
}

}  // namespace
}  // namespace allod::cli::commands::prove_report_test
