// A node agent is killed at each of its fault points: what its workers computed is told, and told as one event each,
// whoever asks how often.
#include <gmock/gmock.h>

#include <map>

#include "tests/integration/node_agent_fixture.h"
#include "tests/support/fault_board.h"

namespace allod::inference::node::node_crash_test {
namespace {

using enum FaultPoint;

class NodeCrash : public NodeAgentFixture {
 protected:
  void StartArmed() {
    const auto config = dir_.Write("node.json", config_.dump());
    umask(077);  // as `allod up` starts it
    agent_ = std::make_unique<Process>(
        std::vector<std::string>{std::string(std::getenv("ALLOD_BUILD_DIR")) + "/tests/allod-node-armed", "--config",
                                 config},
        ProcessOptions{.environment = {board_.environment()}, .output = dir_ / "log"});
  }
  // False: it died before.
  bool AwaitReadyOrDeath() {
    return Eventually([&] {
             return !agent_->Running() || (Reported().state() == WorkerReport::STATE_READY && Reported().pid() > 0);
           }) &&
           agent_->Running();
  }
  // Starts it, and asks until it has died at the point.
  void KillAt(FaultPoint point) {
    const std::uint64_t before = board_.fired(point);
    board_.Arm(point, FaultAction::kKill);
    for (int round = 0; round < 10 && board_.fired(point) == before; ++round) {
      if (agent_ == nullptr || !agent_->Running()) {
        scheduling_.Forget();
        StartArmed();
      }
      if (!AwaitReadyOrDeath()) continue;
      AskOne();
      (void)agent_->Wait(std::chrono::milliseconds(1500));
    }
    EXPECT_EQ(board_.fired(point), before + 1) << kFaultPoints[static_cast<std::size_t>(point)].name;
  }
  void AskOne() {
    const auto request = Request("habari", 5);
    Stream stream = Send(*v1::WorkerService::NewStub(MakeChannel(Reported().target())), request);
    const Answer answer = ReadAll(stream);
    if (answer.has_finished) answered_[request.request_id()] = answer.finished.sampled_tokens();
  }

  FaultBoard board_;
  std::map<std::string, std::int64_t> answered_;  // sampled tokens, by request
};

TEST_F(NodeCrash, WhatWasComputedIsToldOnce) {
  scheduling_.Desire({Wanted(PutModel())});
  for (const FaultPoint point : {kRingDeed, kUsageRead, kUsageAnswered, kUsageFreeing, kRingRemoved}) {
    KillAt(point);
    if (HasFailure()) return;
  }
  if (!agent_->Running()) {
    scheduling_.Forget();
    StartArmed();
  }
  ASSERT_TRUE(AwaitReadyOrDeath());
  AskOne();
  ASSERT_GE(answered_.size(), 2U);
  std::map<std::string, std::vector<std::int64_t>> told;
  EXPECT_TRUE(Eventually([&] {
    told.clear();
    for (const auto& event : usage_.WaitForEvents(answered_.size())) {
      told[event.request_id()].push_back(event.sampled_tokens());
    }
    return std::ranges::all_of(answered_, [&](const auto& one) { return told.contains(one.first); });
  }));
  for (const auto& [request, sampled] : answered_) {
    EXPECT_THAT(told[request], testing::ElementsAre(sampled)) << request;
  }
}

}  // namespace
}  // namespace allod::inference::node::node_crash_test
