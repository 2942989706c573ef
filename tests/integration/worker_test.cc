// The real allod-worker process over gRPC, with a tiny model.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "services/common/digest.h"
#include "services/common/rpc/client.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;

const char kInstance[] = "tenants/ke/projects/desk/instances/desk";

std::string WorkerExecutable() {
  const char* build = std::getenv("ALLOD_BUILD_DIR");
  return std::string(build != nullptr ? build : "build") + "/bin/allod-worker";
}

class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bytes_ = test::TinyGguf({.context_length = 4096});
    model_ = directory_.Write("model.gguf", bytes_);
  }

  std::vector<std::string> Arguments() const {
    return {WorkerExecutable(),
            "--model",
            model_.string(),
            "--sha256",
            Sha256Hex(bytes_),
            "--listen",
            Target(),
            "--instance",
            kInstance,
            "--context-tokens",
            "4096",
            "--threads",
            "1",
            "--max-concurrency",
            "2",
            "--die-with-parent"};
  }
  std::string Target() const { return "unix:" + (directory_ / "w.sock").string(); }

  void Start() {
    process_ = std::make_unique<Process>(Arguments(), ProcessOptions{.output = directory_ / "log"});
    stub_ = v1::WorkerService::NewStub(MakeChannel(Target()));
    ASSERT_TRUE(Eventually([&] { return GetStatus().has_value(); })) << process_->Output();
  }

  template <typename Fn>
  static bool Eventually(Fn done, std::chrono::milliseconds patience = 15s) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }

  Result<v1::WorkerStatus> GetStatus() {
    return Call(*stub_, &v1::WorkerService::Stub::GetWorkerStatus, v1::GetWorkerStatusRequest(), Caller::Node("n"), 1s);
  }

  // A call that was started.
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  Stream Generate(const std::string& prompt, int tokens, const Caller& caller = Caller::Service("gateway")) {
    v1::GenerateRequest request;
    request.set_text(prompt);
    request.set_max_completion_tokens(tokens);
    request.mutable_sampling()->set_temperature(0);
    Stream stream{MakeStreamContext(caller), nullptr};
    stream.reader = stub_->Generate(stream.context.get(), request);
    return stream;
  }

  struct Answer {
    std::string text;
    int delta_tokens = 0;
    bool started_first = false;
    v1::GenerateResponse::Finished finished;
    bool has_finished = false;
    grpc::Status status;
  };
  static Answer ReadAll(Stream& stream) {
    Answer answer;
    v1::GenerateResponse response;
    for (int i = 0; stream.reader->Read(&response); ++i) {
      if (i == 0) answer.started_first = response.has_started();
      answer.text += response.delta().text();
      answer.delta_tokens += response.delta().token_count();
      if (response.has_finished()) {
        answer.finished = response.finished();
        answer.has_finished = true;
      }
    }
    answer.status = stream.reader->Finish();
    return answer;
  }
  Answer Ask(const std::string& prompt, int tokens) {
    Stream stream = Generate(prompt, tokens);
    return ReadAll(stream);
  }

  // Runs to the end and returns the exit status; the last line of the output goes to `error`.
  int Run(const std::vector<std::string>& arguments, nlohmann::json* error = nullptr) {
    Finished finished = RunToEnd(arguments, 30s, {.output = directory_ / "log"});
    if (error != nullptr) {
      std::string text = finished.output;
      while (text.ends_with('\n')) text.pop_back();
      *error = nlohmann::json::parse(text.substr(text.rfind('\n') + 1), nullptr, false);
      EXPECT_FALSE(error->is_discarded()) << text;
    }
    return finished.status;
  }

  TempDir directory_;
  std::string bytes_;
  std::filesystem::path model_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
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
  EXPECT_EQ(status->instance(), kInstance);
  EXPECT_EQ(status->artifact_sha256(), Sha256Hex(bytes_));
  EXPECT_EQ(status->context_tokens(), 4096);
  EXPECT_EQ(status->max_sequences(), 2);
  EXPECT_EQ(status->completion_tokens_total(), 50);
  for (const char* layer : {"no_new_privs", "rlimits", "not_dumpable", "die_with_parent"}) {
    EXPECT_THAT(status->sandbox_layers(), Contains(layer));
  }
}

TEST_F(WorkerTest, CancelledCallFreesItsSequence) {
  Start();
  Stream stream = Generate("a", 0);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream.reader->Read(&response));
  ASSERT_EQ(GetStatus()->active_sequences(), 1);
  stream.context->TryCancel();
  EXPECT_TRUE(Eventually([&] { return GetStatus()->active_sequences() == 0; }, 1s));
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
  process_->Signal(SIGKILL);
  const Answer answer = ReadAll(stream);
  EXPECT_FALSE(answer.has_finished);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkerTest, SigtermEndsARunningStreamWithinTheDrainTime) {
  Start();
  Stream stream = Generate("a", 0);
  v1::GenerateResponse response;
  ASSERT_TRUE(stream.reader->Read(&response));
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(4s), 0);
}

TEST_F(WorkerTest, ErrorsKeepTheirReasons) {
  Start();
  const Error too_long = FromGrpc(Ask(std::string(20000, 'z'), 1).status);
  EXPECT_EQ(too_long.code, Code::kInvalidArgument);
  EXPECT_EQ(too_long.reason, "CONTEXT_LENGTH_EXCEEDED");
  Stream empty{MakeStreamContext(Caller::Service("gateway")), nullptr};
  empty.reader = stub_->Generate(empty.context.get(), v1::GenerateRequest());
  EXPECT_EQ(FromGrpc(ReadAll(empty).status).reason, "INVALID_PROMPT");
}

TEST_F(WorkerTest, TenantsCannotCallIt) {
  Start();
  Stream stream = Generate("a", 1, Caller::Tenant("ke"));
  EXPECT_EQ(ReadAll(stream).status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(WorkerTest, DamagedModelIsRefusedByDigest) {
  std::vector<std::string> arguments = Arguments();
  const std::string good = Sha256Hex(bytes_);
  bytes_[bytes_.size() / 2] ^= 1;
  model_ = directory_.Write("model.gguf", bytes_);
  nlohmann::json error;
  EXPECT_EQ(Run(arguments, &error), 3);
  EXPECT_EQ(error["reason"], "DIGEST_MISMATCH");
  EXPECT_EQ(error["code"], "INVALID_ARGUMENT");
}

TEST_F(WorkerTest, TruncatedModelIsRefusedByTheValidator) {
  bytes_.resize(bytes_.size() / 2);
  model_ = directory_.Write("model.gguf", bytes_);
  nlohmann::json error;
  EXPECT_EQ(Run(Arguments(), &error), 3);
  EXPECT_EQ(error["reason"], "GGUF_TRUNCATED");
}

TEST_F(WorkerTest, UsageErrorsExitWithTwo) {
  EXPECT_EQ(Run({WorkerExecutable(), "--no-such-option"}), 2);
  EXPECT_EQ(Run({WorkerExecutable(), "--help"}), 0);
}

}  // namespace
}  // namespace allod::inference
