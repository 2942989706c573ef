// Workers and zygotes that lie to the real node agent: whoever lies is ended, and its status says why; its siblings,
// other tenants' books and the agent notice nothing.

#include <csignal>

#include "tests/integration/node_agent_fixture.h"
#include "tests/support/instrumented.h"

namespace allod::inference::node::node_lies_test {
namespace {

class NodeLies : public NodeAgentFixture {
 protected:
  NodeLies() {
    config_["worker_executable"] = std::string(std::getenv("ALLOD_BUILD_DIR")) + "/tests/lying_worker";
    // So that a worker's lie is the only thing that there is to see.
    config_["cpu_millis"] = 2000;
  }
  // A model of this test alone.
  std::string PutText(const std::string& text) {
    return artifacts_.Put(text + " 0 " + std::to_string(std::random_device()()));
  }
  static Assignment Lying(const std::string& sha256, int i, const std::string& lie) {
    Assignment a = Wanted(sha256, i);
    a.set_instance("tenants/t" + std::to_string(i) + "/projects/p/instances/" + lie);
    return a;
  }
  // Its status names what it did.
  bool WaitForMessage(int i, const std::string& part) {
    return scheduling_.WaitForReport([&](const auto& report) {
      return std::ranges::any_of(report.workers(), [&](const WorkerReport& w) {
        return w.replica_uid() == Replica(i) && w.message().find(part) != std::string::npos;
      });
    });
  }
  // It was started once, and its process is there.
  void ExpectUntouched(int i) {
    const WorkerReport report = Reported(i);
    EXPECT_EQ(report.state(), WorkerReport::STATE_READY);
    EXPECT_EQ(report.start_count(), 1);
    EXPECT_EQ(kill(report.pid(), 0), 0);
  }
};

struct Lie {
  std::string name;
  std::string said;  // in the status
};

bool IsTooSlowFor(const Lie& lie) {
  return test::kInstrumented && (lie.name == "usage-flood" || lie.name == "message-flood");
}

class WorkerLies : public NodeLies, public testing::WithParamInterface<Lie> {};

TEST_P(WorkerLies, EndThatWorkerOnly) {
  if (IsTooSlowFor(GetParam())) GTEST_SKIP() << "instrumented liars are too slow to flood";
  const std::string sha256 = PutText("honest");
  StartAgent();
  scheduling_.Desire({Lying(sha256, 1, "honest")});
  ASSERT_TRUE(WaitReady(1));
  scheduling_.Desire({Lying(sha256, 1, "honest"), Lying(sha256, 2, GetParam().name)});
  EXPECT_TRUE(WaitForMessage(2, GetParam().said));
  ExpectUntouched(1);
  // Nothing of it is in the first one's books, and little in its own.
  ASSERT_GE(usage_.WaitForEvents(1).size(), 1U);
  for (const auto& event : usage_.WaitForEvents(1)) {
    const bool is_honest = event.instance().ends_with("/honest");
    EXPECT_EQ(event.tenant_uid(), Tenant(is_honest ? 1 : 2));
    EXPECT_EQ(event.replica_uid(), Replica(is_honest ? 1 : 2));
    EXPECT_GE(event.prompt_tokens_computed(), 0);
    EXPECT_LE(event.prompt_tokens_computed(), 256);
    EXPECT_GE(event.sampled_tokens(), 0);
    EXPECT_LE(event.sampled_tokens(), 512);
    if (is_honest) {
      EXPECT_EQ(event.sampled_tokens(), 3);
    }
  }
  // The agent goes on: another worker comes up.
  scheduling_.Desire({Lying(sha256, 1, "honest"), Lying(sha256, 3, "honest")});
  EXPECT_TRUE(WaitReady(3));
  ExpectUntouched(1);
}

INSTANTIATE_TEST_SUITE_P(Kinds, WorkerLies,
                         testing::Values(Lie{"another-tenants-id", "does not answer"},
                                         Lie{"another-instance", "does not answer"},
                                         Lie{"negative-tokens", "sampled tokens"}, Lie{"huge-tokens", "prompt tokens"},
                                         Lie{"no-such-outcome", "outcome"}, Lie{"huge-figures", "completion tokens"},
                                         Lie{"shrinking-figures", "turns"}, Lie{"too-many-requests", "running"},
                                         Lie{"gate-flood", "gate"}, Lie{"usage-flood", "requests a second"},
                                         Lie{"control-flood", "control channel"}, Lie{"no-message", "control channel"},
                                         Lie{"foreign-memory", "control channel"}),
                         [](const auto& param_info) {
                           std::string name = param_info.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_F(NodeLies, AFloodOfLogLinesHoldsNobodyUp) {
  const std::string sha256 = PutText("honest");
  StartAgent();
  scheduling_.Desire({Lying(sha256, 1, "log-flood")});
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_READY, 1));
  scheduling_.Desire({Lying(sha256, 1, "log-flood"), Lying(sha256, 2, "honest")});
  EXPECT_TRUE(WaitReady(2));
  EXPECT_LT(std::filesystem::file_size(dir_ / "log"), 4U << 20);
}

TEST_F(NodeLies, ALieThatAnotherAgentFindsIsNotBelievedEither) {
  const std::string sha256 = PutText("honest");
  billing_server_->Stop(std::chrono::milliseconds(0));
  StartAgent();
  scheduling_.Desire({Lying(sha256, 2, "another-tenants-id")});
  ASSERT_TRUE(WaitForState(WorkerReport::STATE_READY, 2));
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  agent_->Signal(SIGKILL);
  agent_->Wait(kPatience);
  scheduling_.Desire({Lying(sha256, 1, "honest")});
  billing_server_ = *Server::Start({.listen = "unix:" + (dir_ / "b.sock").string()}, {&usage_});
  StartAgent();
  for (const auto& event : usage_.WaitForEvents(1)) EXPECT_TRUE(event.instance().ends_with("/honest"));
  EXPECT_EQ(usage_.WaitForEvents(1).size(), 1U);
}

class ZygoteLies : public NodeLies, public testing::WithParamInterface<Lie> {};

TEST_P(ZygoteLies, EndThatModelOnly) {
  if (IsTooSlowFor(GetParam())) GTEST_SKIP() << "instrumented liars are too slow to flood";
  const std::string sha256 = PutText("honest");
  StartAgent();
  scheduling_.Desire({Lying(sha256, 1, "honest")});
  ASSERT_TRUE(WaitReady(1));
  scheduling_.Desire({Lying(sha256, 1, "honest"), Lying(PutText(GetParam().name), 2, "honest")});
  EXPECT_TRUE(WaitForMessage(2, GetParam().said));
  ExpectUntouched(1);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ZygoteLies,
                         testing::Values(Lie{"message-flood", "floods"}, Lie{"unknown-message", "no zygote sends"},
                                         Lie{"senseless-facts", "something else as the process"}),
                         [](const auto& param_info) {
                           std::string name = param_info.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// A descriptor of somebody's directory in /proc passes for a pidfd when a signal is sent.
TEST_F(NodeLies, AZygoteCannotHaveAStrangerKilled) {
  Process stranger({"/bin/sleep", "600"});
  const std::string sha256 =
      artifacts_.Put("stranger " + std::to_string(stranger.pid()) + " " + std::to_string(std::random_device()()));
  StartAgent();
  scheduling_.Desire({Lying(sha256, 1, "honest")});
  EXPECT_TRUE(WaitForMessage(1, "something else as the process"));
  scheduling_.Desire({});
  EXPECT_TRUE(scheduling_.WaitForNone());
  EXPECT_TRUE(stranger.Running());
  stranger.Stop();
}

}  // namespace
}  // namespace allod::inference::node::node_lies_test
