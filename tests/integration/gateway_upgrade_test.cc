// A gateway takes over the journal of one of before leases, whose requests wait to be settled: all are, none twice,
// whatever is killed on the way.
#include "gateway/metering/old_journal_fixture.h"
#include "tests/integration/gateway_program_fixture.h"

namespace allod::gateway::gateway_upgrade_test {
namespace {

class GatewayUpgrade : public GatewayProgramTest {
 protected:
  static constexpr int kWaiting = 40;

  void SetUp() override {
    GatewayProgramTest::SetUp();
    billing_server_.reset();
    billing_.end_calls = 0;  // the gateway that there was had nothing left to settle
    StartPeer(billing_server_, "billing", {&billing_, &old_});
    billing_.end_calls = 0;  // of the fixture's own gateway
  }
  // What an old gateway left: some of its requests had ended, some were running.
  void WriteOldJournal() {
    metering::OldJournalBytes bytes(64, 1);
    for (int i = 0; i < kWaiting; ++i) {
      const bool ended = i % 2 == 0;
      const Uuid id = Uuid::V7();
      bytes.Put(static_cast<std::size_t>(i), {id, ended ? 2U : 1U, ended ? 1U : 0U, 7, i + 1});
      expected_[id.ToString()] = {ended ? billing::v1::OUTCOME_COMPLETED : billing::v1::OUTCOME_GATEWAY_LOST, i + 1};
    }
    std::filesystem::create_directories(directory_ / "program-journal");
    directory_.Write("program-journal/requests.journal", bytes.file());
  }

  struct Expected {
    billing::v1::Outcome outcome;
    std::int64_t completion_tokens;
  };
  std::map<std::string, Expected> expected_;
  OldSettlePeer old_;
};

TEST_F(GatewayUpgrade, WhileSettlementsOfBeforeAreWaitingAllAreSettledAndNoneTwice) {
  WriteOldJournal();
  int port = 0;
  old_.failures = 3;  // some are settled, then billing is away
  old_.settle_max = kWaiting / 2;
  {
    auto first = StartProgram("first.log", port);
    EXPECT_EQ(Fetch(port, "POST", "/v1/chat/completions", key_, ChatBody()).status, 200) << "it serves meanwhile";
    ASSERT_TRUE(Eventually([&] { return old_.Settled().size() == kWaiting / 2; }));
    first->Signal(SIGKILL);
    ASSERT_TRUE(first->Wait(std::chrono::seconds(5)));
  }
  EXPECT_EQ(billing_.end_calls, 0) << "not before all of them are settled";
  old_.settle_max = 1'000'000;
  auto second = StartProgram("second.log", port);
  ASSERT_TRUE(Eventually([&] { return old_.Settled().size() == kWaiting; }));
  for (const auto& [id, settled] : old_.Settled()) {
    ASSERT_TRUE(expected_.contains(id));
    EXPECT_EQ(settled.outcome(), expected_.at(id).outcome);
    EXPECT_EQ(settled.prompt_tokens(), 7);
    EXPECT_EQ(settled.completion_tokens(), expected_.at(id).completion_tokens);
  }
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 3) << "that of the first one's own request";
  EXPECT_EQ(old_.conflicts, 0);
  EXPECT_EQ(billing_.conflicts, 0);
  EXPECT_TRUE(Eventually([&] { return billing_.lease_count() == 0; })) << "and what it had leased is free again";
  EXPECT_EQ(second->Stop(), 0);
}

}  // namespace
}  // namespace allod::gateway::gateway_upgrade_test
