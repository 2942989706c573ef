// The real allod-worker over gRPC, with a tiny model and brought up by the real agent, as nobody else may.
#include <gmock/gmock.h>

#include <csignal>

#include "services/common/rpc/status.h"
#include "tests/integration/node_agent_fixture.h"
#include "tests/support/instrumented.h"

namespace allod::inference::node::worker_test {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;

class WorkerTest : public NodeAgentFixture {
 protected:
  void Start() {
    sha256_ = PutModel({.context_length = 4096});
    Assignment wanted = Wanted(sha256_);
    wanted.set_context_tokens(4096);
    scheduling_.Desire({wanted});
    StartAgent();
    ASSERT_TRUE(WaitReady());
  }
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), Executable("allod-worker"));
    return RunToEnd(arguments, 30s, {.output = dir_ / "run_log"}).status;
  }

  std::string sha256_;
};

TEST_F(WorkerTest, StreamsAnAnswerWhoseCountsAddUp) {
  Start();
  const Answer answer = Ask("habari", 50);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_TRUE(answer.started_first);
  EXPECT_EQ(answer.finished.reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(answer.finished.completion_tokens(), 50);
  EXPECT_EQ(answer.delta_tokens, 50);
  EXPECT_FALSE(answer.text.empty());
  const auto status = GetStatus();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->instance(), Instance(1));
  EXPECT_EQ(status->artifact_sha256(), sha256_);
  EXPECT_EQ(status->context_tokens(), 4096);
  EXPECT_EQ(status->max_sequences(), 2);
  EXPECT_EQ(status->completion_tokens_total(), 50);
  for (const char* layer : {"no_new_privs", "rlimits", "not_dumpable", "seccomp"}) {
    EXPECT_THAT(status->sandbox_layers(), Contains(layer));
  }
}

TEST_F(WorkerTest, ShowsItsFiguresToTheNode) {
  Start();
  ASSERT_TRUE(Ask("habari", 50).has_finished);
  EXPECT_TRUE(scheduling_.WaitForReport([](const auto& report) {
    if (report.workers_size() != 1 || !report.has_gate()) return false;
    const auto& figures = report.workers(0).figures();
    return figures.completion_tokens_total() == 50 && figures.ttft_count() == 1 && figures.turns_total() >= 50 &&
           figures.private_bytes() > 0 && figures.compute_seconds_total() > 0 && report.gate().turns_total() >= 50;
  })) << scheduling_.report().DebugString();
}

TEST_F(WorkerTest, CancelledCallFreesItsSequence) {
  Start();
  Stream stream = Generate("a", 0);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream.reader->Read(&response));
  ASSERT_EQ(GetStatus()->active_sequences(), 1);
  stream.context->TryCancel();
  EXPECT_TRUE(Eventually([&] { return GetStatus()->active_sequences() == 0; }, 2s));
  EXPECT_EQ(ReadAll(stream).status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(Ask("b", 5).finished.completion_tokens(), 5);
}

TEST_F(WorkerTest, StalledReaderStopsItsOwnGenerationOnly) {
  Start();
  Stream stalled = Generate("a", 4000);
  ASSERT_TRUE(Eventually([&] { return GetStatus()->active_sequences() == 1; }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask("b", 100).finished.completion_tokens(), 100);
  const Answer answer = ReadAll(stalled);
  EXPECT_EQ(answer.finished.completion_tokens(), 4000);
  EXPECT_EQ(answer.delta_tokens, 4000);
}

TEST_F(WorkerTest, KilledWorkerNeverEndsAStreamCleanly) {
  Start();
  Stream stream = Generate("a", 0);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream.reader->Read(&response));
  ASSERT_EQ(kill(Reported().pid(), SIGKILL), 0);
  const Answer answer = ReadAll(stream);
  EXPECT_FALSE(answer.has_finished);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkerTest, AWorkerThatIsToEndDoesSoWithinTheDrainTime) {
  Start();
  Stream stream = Generate("a", 0);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream.reader->Read(&response));
  const auto begin = std::chrono::steady_clock::now();
  scheduling_.Desire({});
  // Nobody reads on: it goes on while the connection takes something, then has its two seconds, and not the half minute
  // of those who do.
  ASSERT_TRUE(scheduling_.WaitForNone());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, test::kSlowness * 15s);
  ReadAll(stream);
}

TEST_F(WorkerTest, ErrorsKeepTheirReasons) {
  Start();
  const Error too_long = FromGrpc(Ask(std::string(20000, 'z'), 1).status);
  EXPECT_EQ(too_long.code, Code::kInvalidArgument);
  EXPECT_EQ(too_long.reason, "CONTEXT_LENGTH_EXCEEDED");
  v1::GenerateRequest no_prompt = Request("", 1);
  no_prompt.clear_prompt();
  Stream empty = Send(Stub(), no_prompt);
  EXPECT_EQ(FromGrpc(ReadAll(empty).status).reason, "INVALID_PROMPT");
  v1::GenerateRequest nobodys = Request("a", 1);
  nobodys.set_request_id("not a uuid");
  Stream refused = Send(Stub(), nobodys);
  EXPECT_EQ(FromGrpc(ReadAll(refused).status).reason, "INVALID_REQUEST_ID");
}

TEST_F(WorkerTest, TenantsCannotCallIt) {
  Start();
  Stream stream = Send(Stub(), Request("a", 1), Caller::Tenant("ke"));
  EXPECT_EQ(ReadAll(stream).status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(WorkerTest, UsageErrorsExitWithTwo) {
  EXPECT_EQ(Run({"--no-such-option"}), 2);
  EXPECT_EQ(Run({"--sha256", std::string(64, 'a')}), 2);  // nobody left it descriptors
  EXPECT_EQ(Run({"--help"}), 0);
}

}  // namespace
}  // namespace allod::inference::node::worker_test
