#include "cli/commands/ledger_verdict.h"

#include <gtest/gtest.h>

namespace allod::cli::commands::ledger_verdict_test {
namespace {

class JudgeLedgerTest : public testing::Test {
 protected:
  JudgeLedgerTest() { check_.add_sums()->set_amount("0"); }
  std::string Reason() const {
    const Status status = JudgeLedger(check_).status;
    return status ? "" : status.error().reason;
  }

  billing::v1::CheckLedgerResponse check_;
};

TEST_F(JudgeLedgerTest, CallsSoundWhatAddsUp) {
  EXPECT_EQ(Reason(), "");
  EXPECT_EQ(JudgeLedger(check_).words, "sound");
}

TEST_F(JudgeLedgerTest, FailsAndNamesTheTenantsThatCouldNotBeAudited) {
  check_.add_unaudited_tenants("tenants/ke");
  check_.mutable_usage()->add_unchecked_tenants("tenants/ke");
  check_.mutable_usage()->add_unchecked_tenants("tenants/tz");
  const LedgerVerdict verdict = JudgeLedger(check_);
  ASSERT_FALSE(verdict.status);
  EXPECT_EQ(verdict.status.error().reason, "LEDGER_UNAUDITED");
  EXPECT_TRUE(verdict.status.error().message.starts_with("tenants/ke, tenants/tz could not be audited"))
      << verdict.status.error().message;
}

TEST_F(JudgeLedgerTest, SaysFirstWhatIsKnownToBeWrong) {
  check_.add_unaudited_tenants("tenants/ke");
  check_.set_unrecorded_request_count(1);
  EXPECT_EQ(Reason(), "USAGE_UNRECORDED");
  check_.set_overbilled_usage_record_count(1);
  EXPECT_EQ(Reason(), "USAGE_OVERBILLED");
  check_.mutable_sums(0)->set_amount("0.01");
  EXPECT_EQ(Reason(), "LEDGER_BROKEN");
}

TEST_F(JudgeLedgerTest, FailsWhileMoneyIsLeftInALeasePastItsEnd) {
  check_.set_open_lease_count(3);
  EXPECT_EQ(Reason(), "");
  check_.set_overdue_lease_count(1);
  EXPECT_EQ(Reason(), "USAGE_UNRECORDED");
  EXPECT_NE(JudgeLedger(check_).status.error().message.find("1 leases are open past their end"), std::string::npos);
}

}  // namespace
}  // namespace allod::cli::commands::ledger_verdict_test
