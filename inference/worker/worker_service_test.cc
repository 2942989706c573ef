// The worker's service over gRPC, in one process, with a tiny model.
#include "inference/worker/worker_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "inference/engine/llama_engine.h"
#include "inference/model/llama_runtime.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::worker::worker_service_test {
namespace {

using namespace std::chrono_literals;

class WorkerServiceTest : public ::testing::Test {
 protected:
  void SetUp() override { Serve({.context_length = 4096}, {.max_sequences = 4, .queue_max = 512}); }
  void Serve(const test::TinyModelOptions& model, const engine::EngineOptions& options) {
    TearDown();
    server_.reset();
    service_.reset();
    engine_.reset();
    test::WriteTinyGguf(directory_ / "tiny.gguf", model);
    model_ = *model::LoadModel(directory_ / "tiny.gguf");
    engine_ = *engine::Engine::Create(*model_, options);
    service_ = std::make_unique<WorkerServiceImpl>(*engine_, identity_);
    ServerConfig config;
    config.listen = "unix:" + (directory_ / "w.sock").string();
    config.threads_max = 16;
    server_ = *Server::Start(config, {service_.get()});
    stub_ = v1::WorkerService::NewStub(MakeChannel(config.listen));
  }
  void TearDown() override {
    if (server_) server_->Stop(0ms);
  }

  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  std::unique_ptr<Call> Start(const std::string& text, std::int32_t tokens) {
    auto call = std::make_unique<Call>();
    Caller::Service("gateway").AttachTo(call->context);
    v1::GenerateRequest request;
    request.set_text(text);
    request.set_max_completion_tokens(tokens);
    request.mutable_sampling()->set_temperature(0);
    call->reader = stub_->Generate(&call->context, request);
    return call;
  }
  template <typename Fn>
  static bool Eventually(Fn done) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  const WorkerIdentity identity_{"i", "", {}};
  TempDir directory_;
  model::LlamaModelPtr model_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<WorkerServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

TEST_F(WorkerServiceTest, StreamsFromStartedToFinished) {
  auto call = Start("habari", 50);
  v1::GenerateResponse event;
  ASSERT_TRUE(call->reader->Read(&event));
  EXPECT_GT(event.started().prompt_tokens(), 0);
  std::int32_t tokens = 0;
  int ended = 0;
  v1::GenerateResponse last;
  while (call->reader->Read(&event)) {
    tokens += event.delta().token_count();
    ended += event.has_choice_finished() ? 1 : 0;
    last = event;
  }
  EXPECT_TRUE(call->reader->Finish().ok());
  EXPECT_EQ(tokens, 50);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(last.finished().reason(), v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(last.finished().completion_tokens(), 50);
}

TEST_F(WorkerServiceTest, RefusalsCarryTheirStatus) {
  auto call = Start("", -1);
  v1::GenerateResponse event;
  EXPECT_FALSE(call->reader->Read(&event));
  EXPECT_EQ(call->reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext nobody;
  auto reader = stub_->Generate(&nobody, {});
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  grpc::ClientContext context;
  Caller::Service("gateway").AttachTo(context);
  v1::EmbedRequest embed;
  embed.add_inputs("a");
  v1::EmbedResponse response;
  EXPECT_EQ(stub_->Embed(&context, embed, &response).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(WorkerServiceTest, DrainingLetsReadersFinishAndTellsWhoStalls) {
  // Windows so small that an answer does not fit into what lies between.
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1024);
  stub_ = v1::WorkerService::NewStub(MakeChannel("unix:" + (directory_ / "w.sock").string(), args));
  auto reads = Start("habari", 1000);
  auto stalls = Start("njema", 4000);
  v1::GenerateResponse event;
  ASSERT_TRUE(stalls->reader->Read(&event));
  ASSERT_TRUE(reads->reader->Read(&event));
  EXPECT_EQ(service_->open_calls(), 2);
  std::thread drainer([&] { service_->Drain(60s, 500ms, [] {}); });
  while (reads->reader->Read(&event)) {
  }
  EXPECT_TRUE(event.has_finished());
  EXPECT_TRUE(reads->reader->Finish().ok());
  drainer.join();
  while (stalls->reader->Read(&event)) {
  }
  EXPECT_FALSE(event.has_finished());
  const grpc::Status status = stalls->reader->Finish();
  const bool is_told = status.error_code() == grpc::StatusCode::CANCELLED || FromGrpc(status).reason == "DRAINED";
  EXPECT_TRUE(is_told) << status.error_message();
  EXPECT_TRUE(Eventually([&] { return service_->open_calls() == 0; }));
}

TEST_F(WorkerServiceTest, WhoIsNotDoneWhenTheDrainTimeIsOverIsToldSo) {
  auto call = Start("habari", 4000);
  v1::GenerateResponse event;
  ASSERT_TRUE(call->reader->Read(&event));
  service_->Drain(0ms, 60s, [] {});
  while (call->reader->Read(&event)) {
  }
  const grpc::Status status = call->reader->Finish();
  const bool is_told = status.error_code() == grpc::StatusCode::CANCELLED || FromGrpc(status).reason == "DRAINED";
  EXPECT_TRUE(is_told) << status.error_message();
}

TEST_F(WorkerServiceTest, ManyCallsAtOnceAllFinish) {
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(Start("habari" + std::to_string(i), 20));
  for (const auto& call : calls) {
    v1::GenerateResponse event;
    std::int32_t tokens = 0;
    while (call->reader->Read(&event)) tokens += event.delta().token_count();
    EXPECT_TRUE(call->reader->Finish().ok());
    EXPECT_EQ(tokens, 20);
  }
}

TEST_F(WorkerServiceTest, NobodyWaitsForTheCompilingOfAnothersGrammars) {
  // Sixty requests whose grammars take long to compile: each word is a state of its own from the start.
  std::string grammar = "root ::= (\"q0\"";
  for (int i = 1; i < 3000; ++i) grammar += " | \"q" + std::to_string(i) + "\"";
  grammar += ")+";
  std::vector<std::unique_ptr<Call>> attack;
  for (int i = 0; i < 60; ++i) {
    attack.push_back(std::make_unique<Call>());
    Caller::Service("gateway").AttachTo(attack.back()->context);
    v1::GenerateRequest request;
    request.set_text("a");
    request.set_tenant_uid("costly");
    request.set_max_completion_tokens(1);
    request.mutable_constraint()->set_grammar(grammar);
    attack.back()->reader = stub_->Generate(&attack.back()->context, request);
  }
  std::atomic<int> ended = 0;
  std::thread ends([&] {
    for (const auto& call : attack) {
      v1::GenerateResponse event;
      while (call->reader->Read(&event)) continue;
      (void)call->reader->Finish();
      ++ended;
    }
  });
  EXPECT_TRUE(Eventually([&] { return ended >= 1; }));
  auto plain = Start("habari", 5);
  v1::GenerateResponse event;
  while (plain->reader->Read(&event)) continue;
  EXPECT_TRUE(plain->reader->Finish().ok());
  EXPECT_LT(ended, 30) << "the plain request waited for its neighbour's grammars";
  ends.join();
}

// Many calls of each tenant, of many texts each.
class WorkerEmbeddingTest : public WorkerServiceTest {
 protected:
  static constexpr int kQueue = 64;
  static constexpr int kOfTenant = 16;

  void SetUp() override { Serve({.pooling = 1}, {.queue_max = kQueue, .tenant_queue_max = kOfTenant}); }
  struct EmbedCallOfTest {
    grpc::ClientContext context;
    v1::EmbedRequest request;
    v1::EmbedResponse response;
    grpc::Status status;
  };
  std::unique_ptr<EmbedCallOfTest> Embed(const std::string& tenant, int inputs) {
    auto call = std::make_unique<EmbedCallOfTest>();
    Caller::Service("gateway").AttachTo(call->context);
    call->request.set_tenant_uid(tenant);
    for (int i = 0; i < inputs; ++i) call->request.add_inputs("habari ya asubuhi " + std::to_string(i));
    ++under_way_;
    stub_->async()->Embed(&call->context, &call->request, &call->response,
                          [this, raw = call.get()](grpc::Status status) {
                            raw->status = std::move(status);
                            --under_way_;
                          });
    return call;
  }

  std::atomic<int> under_way_ = 0;
};

TEST_F(WorkerEmbeddingTest, OneTenantsFloodLeavesThreadsPlacesAndTurnsToTheOthers) {
  std::vector<std::unique_ptr<EmbedCallOfTest>> flood;
  for (int i = 0; i < 100; ++i) flood.push_back(Embed("flood", 256));
  ASSERT_TRUE(Eventually([&] { return engine_->status().queued_requests >= kOfTenant - 1; }));
  {
    grpc::ClientContext context;
    v1::EmbedRequest request;
    v1::EmbedResponse response;
    Caller::Service("gateway").AttachTo(context);
    request.set_tenant_uid("neighbour");
    request.add_inputs("habari");
    const grpc::Status status = stub_->Embed(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.embeddings_size(), 1);
    EXPECT_GE(engine_->status().queued_requests, kOfTenant / 2) << "it waited for all of the flood";
  }
  {
    grpc::ClientContext context;
    v1::WorkerStatus status;
    Caller::Service("gateway").AttachTo(context);
    EXPECT_TRUE(stub_->GetWorkerStatus(&context, {}, &status).ok());
  }
  // What came too many is refused at once; the rest would take long.
  ASSERT_TRUE(Eventually([&] { return under_way_ < 50; }));
  for (const auto& call : flood) call->context.TryCancel();
  ASSERT_TRUE(Eventually([&] { return under_way_ == 0; }));
  int refused = 0;
  for (const auto& call : flood) {
    if (call->status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      ++refused;
      EXPECT_EQ(FromGrpc(call->status).reason, "QUEUE_FULL");
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(Eventually([&] {
    const engine::EngineStatus status = engine_->status();
    return status.active_sequences == 0 && status.queued_requests == 0;
  }));
}

TEST_F(WorkerEmbeddingTest, CallsThatAreCancelledAnywhereEnd) {
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<EmbedCallOfTest>> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(Embed("t" + std::to_string(i % 3), 1 + i));
    for (std::size_t i = 0; i < calls.size(); i += 2) calls[i]->context.TryCancel();
    ASSERT_TRUE(Eventually([&] { return under_way_ == 0; }));
    for (std::size_t i = 1; i < calls.size(); i += 2) {
      EXPECT_TRUE(calls[i]->status.ok());
      EXPECT_EQ(calls[i]->response.embeddings_size(), calls[i]->request.inputs_size());
    }
  }
}

TEST_F(WorkerServiceTest, CancelledCallsFreeTheirSequencesWhereverTheyAre) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<Call>> calls;
    calls.push_back(Start("habari", 0));
    v1::GenerateResponse event;
    // Before the others, which nobody reads, have all places.
    if (round % 2 == 1) {
      EXPECT_TRUE(calls[0]->reader->Read(&event));
    }
    for (int i = 1; i < 10; ++i) calls.push_back(Start("habari", 0));
    for (const auto& call : calls) call->context.TryCancel();
    for (const auto& call : calls) {
      while (call->reader->Read(&event)) continue;
      EXPECT_FALSE(call->reader->Finish().ok());
    }
  }
  EXPECT_TRUE(Eventually([&] {
    const engine::EngineStatus status = engine_->status();
    return status.active_sequences == 0 && status.queued_requests == 0;
  }));
}

}  // namespace
}  // namespace allod::inference::worker::worker_service_test
