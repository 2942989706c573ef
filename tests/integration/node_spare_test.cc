// Spare workers: forked ahead, nobody's until somebody needs one, used once, and gone with everything else.

#include <csignal>
#include <set>
#include <thread>

#include "tests/integration/node_agent_fixture.h"

namespace allod::inference::node::node_spare_test {
namespace {

class NodeSpares : public NodeAgentFixture {
 protected:
  NodeSpares() { config_["spare_worker_seconds"] = 600; }
  // One instance is ready, and beside it the spare: its process.
  pid_t AwaitFirstAndSpare(const std::string& sha256) {
    scheduling_.Desire({Wanted(sha256, 1)});
    EXPECT_TRUE(WaitReady(1));
    return AwaitSpare(sha256, {Reported(1).pid()});
  }
  // The youngest process of the model that is none of these.
  pid_t AwaitSpare(const std::string& sha256, const std::set<pid_t>& workers) {
    std::vector<pid_t> spares;
    EXPECT_TRUE(Eventually([&] {
      spares = Processes(sha256);
      // Neither what the agent started nor the zygote, which is its only child.
      const pid_t agent = agent_->pid();
      std::erase_if(spares, [&](pid_t pid) {
        return workers.contains(pid) || ParentOf(pid) == agent || ParentOf(ParentOf(pid)) == agent;
      });
      return !spares.empty();
    }));
    return spares.empty() ? 0 : spares.back();
  }
};

TEST_F(NodeSpares, AnInstanceOfTheSameShapeGetsTheSpareAndNothingOfBefore) {
  if (!HostGivesNamespaces()) GTEST_SKIP() << "this host gives no namespaces";
  const std::string sha256 = PutModel();
  StartAgent();
  const pid_t spare = AwaitFirstAndSpare(sha256);
  ASSERT_GT(spare, 0);
  const auto layers = Reported(1).sandbox_layers();
  scheduling_.Desire({Wanted(sha256, 1), Wanted(sha256, 2)});
  ASSERT_TRUE(WaitReady(2));
  EXPECT_EQ(Reported(2).pid(), spare);
  EXPECT_TRUE(std::ranges::equal(Reported(2).sandbox_layers(), layers));
  EXPECT_EQ(Reported(2).figures().prompt_tokens_total(), 0);  // what warmed it up was nobody's
  // It answers for its own instance only, and counts for it only.
  const Answer answer = Ask("Hello", 5, 2);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  Stream foreign = Send(Stub(2), Request("Hello", 5, 1));
  EXPECT_EQ(ReadAll(foreign).status.error_code(), grpc::StatusCode::NOT_FOUND);
  const auto events = usage_.WaitForEvents(1);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].tenant_uid(), Tenant(2));
  EXPECT_EQ(events[0].replica_uid(), Replica(2));
  // Used once: the next one gets another process.
  const pid_t next = AwaitSpare(sha256, {Reported(1).pid(), spare});
  EXPECT_NE(next, spare);
}

TEST_F(NodeSpares, AnotherShapeOrClassGetsAProcessOfItsOwn) {
  if (!HostGivesNamespaces()) GTEST_SKIP() << "this host gives no namespaces";
  const std::string sha256 = PutModel();
  StartAgent();
  const pid_t spare = AwaitFirstAndSpare(sha256);
  Assignment longer = Wanted(sha256, 2);
  longer.set_context_tokens(128);
  scheduling_.Desire({Wanted(sha256, 1), longer, Pooled(Wanted(sha256, 3))});
  ASSERT_TRUE(WaitReady(2));
  ASSERT_TRUE(WaitReady(3));
  EXPECT_NE(Reported(2).pid(), spare);
  EXPECT_NE(Reported(3).pid(), spare);
  EXPECT_TRUE(Eventually([&] { return kill(spare, 0) != 0; }));  // of no use any more
}

TEST_F(NodeSpares, TheDeathOfASpareIsNoEvent) {
  if (!HostGivesNamespaces()) GTEST_SKIP() << "this host gives no namespaces";
  const std::string sha256 = PutModel();
  StartAgent();
  const pid_t spare = AwaitFirstAndSpare(sha256);
  const pid_t worker = Reported(1).pid();
  ASSERT_EQ(kill(spare, SIGKILL), 0);
  scheduling_.Desire({Wanted(sha256, 1), Wanted(sha256, 2)});
  // Should it have been given away already, the instance starts once more.
  EXPECT_TRUE(scheduling_.WaitForReport([&](const auto& report) {
    return std::ranges::any_of(report.workers(), [&](const WorkerReport& w) {
      return w.replica_uid() == Replica(2) && w.state() == WorkerReport::STATE_READY && w.pid() != spare;
    });
  }));
  EXPECT_TRUE(Ask("Hello", 5, 2).status.ok());
  EXPECT_EQ(Reported(1).pid(), worker);
  EXPECT_EQ(Reported(1).start_count(), 1);
}

TEST_F(NodeSpares, NoneIsLeftByAnAgentThatIsKilledOrStopped) {
  if (!HostGivesNamespaces()) GTEST_SKIP() << "this host gives no namespaces";
  const std::string sha256 = PutModel();
  StartAgent();
  AwaitFirstAndSpare(sha256);
  agent_->Signal(SIGKILL);
  agent_->Wait(kPatience);
  EXPECT_TRUE(Eventually([&] { return Processes(sha256).empty(); }));
  StartAgent();
  scheduling_.Forget();
  EXPECT_TRUE(WaitReady(1));
  AwaitSpare(sha256, {Reported(1).pid()});
  EXPECT_EQ(agent_->Stop(), 0);
  EXPECT_TRUE(Processes(sha256).empty());
}

TEST_F(NodeSpares, AnInstanceThatIsDeletedTakesNoSpareAlong) {
  if (!HostGivesNamespaces()) GTEST_SKIP() << "this host gives no namespaces";
  const std::string sha256 = PutModel();
  StartAgent();
  const pid_t spare = AwaitFirstAndSpare(sha256);
  scheduling_.Desire({});
  ASSERT_TRUE(scheduling_.WaitForNone());
  scheduling_.Desire({Wanted(sha256, 2)});
  ASSERT_TRUE(WaitReady(2));
  EXPECT_EQ(Reported(2).pid(), spare);
}

}  // namespace
}  // namespace allod::inference::node::node_spare_test
