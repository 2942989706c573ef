// The worker's service over a servable that has one task only and no engine.
#include "inference/ports/servable.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "inference/worker/worker_service.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod::inference::worker::servable_test {
namespace {

// Gives each text one number, its length, at once.
class LengthScorer final : public ports::Servable {
 public:
  std::vector<ports::RefusedMember> SetMembers(std::vector<ports::Member> members) override {
    return members_.Set(std::move(members));
  }
  ports::ServableFigures figures() const override { return {.max_sequences = 1, .prompt_tokens_total = 7}; }
  void WarmUp(std::chrono::milliseconds /*max*/) override {}
  void GiveBackScratch() override {}
  Status SubmitEmbedding(const ports::EmbeddingRequest& request, std::function<bool()> /*is_cancelled*/,
                         std::function<void(Result<ports::Embeddings>)> done) override {
    ALLOD_CHECK_OK(members_.Find(request.instance, request.tenant_uid));
    ports::Embeddings out;
    for (const std::string& text : request.inputs) out.vectors.push_back({static_cast<float>(text.size())});
    done(std::move(out));
    return {};
  }

 private:
  ports::Members members_;
};

class ServableTest : public testing::Test {
 protected:
  void SetUp() override {
    ServerConfig config;
    config.listen = "unix:" + (directory_ / "w.sock").string();
    server_ = *Server::Start(config, {&service_});
    stub_ = v1::WorkerService::NewStub(MakeChannel(config.listen));
    Caller::Service("gateway").AttachTo(context_);
  }
  void TearDown() override { server_->Stop(std::chrono::milliseconds(0)); }

  const WorkerIdentity identity_{"i", "", {}};
  TempDir directory_;
  LengthScorer scorer_;
  WorkerServiceImpl service_{scorer_, identity_};
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
};

TEST_F(ServableTest, AnswersTheTaskThatItHas) {
  scorer_.SetMembers({{.instance = "i", .tenant_uid = "t"}});
  v1::EmbedRequest request;
  request.set_instance("i");
  request.set_tenant_uid("t");
  request.add_inputs("habari");
  v1::EmbedResponse response;
  const grpc::Status status = stub_->Embed(&context_, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.embeddings_size(), 1);
  EXPECT_EQ(response.embeddings(0).values(0), 6);
}

TEST_F(ServableTest, RefusesTheTasksThatItHasNot) {
  v1::GenerateRequest request;
  request.set_text("habari");
  const auto reader = stub_->Generate(&context_, request);
  v1::GenerateResponse event;
  EXPECT_FALSE(reader->Read(&event));
  const Error error = FromGrpc(reader->Finish());
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_EQ(error.reason, "MODEL_NOT_GENERATIVE");
}

TEST_F(ServableTest, ShowsItsFigures) {
  v1::WorkerStatus status;
  ASSERT_TRUE(stub_->GetWorkerStatus(&context_, {}, &status).ok());
  EXPECT_EQ(status.prompt_tokens_total(), 7);
  EXPECT_EQ(status.completion_tokens_total(), 0);
}

}  // namespace
}  // namespace allod::inference::worker::servable_test
