#include "gateway/operators/grpc_proxy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "allod/catalog/v1/artifact.grpc.pb.h"
#include "allod/catalog/v1/model.grpc.pb.h"
#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::operators::grpc_proxy_test {
namespace {

namespace tenancy = allod::tenancy::v1;
namespace catalog = allod::catalog::v1;
using google::longrunning::Operation;

class Tenants final : public tenancy::TenantService::Service {
 public:
  Trace trace;  // of the last call
  std::string caller;

 private:
  grpc::Status GetTenant(grpc::ServerContext* context, const tenancy::GetTenantRequest* request,
                         tenancy::Tenant* response) override {
    return Handle(context, request, response, [&](const Call& call) -> Result<tenancy::Tenant> {
      trace = call.trace;
      caller = call.principal.ToString();
      if (request->name() != "tenants/ke")
        return Fail(Code::kNotFound, "NO_SUCH_TENANT", request->name() + " does not exist");
      tenancy::Tenant tenant;
      tenant.set_name(request->name());
      return tenant;
    });
  }
  grpc::Status SuspendTenant(grpc::ServerContext* context, const tenancy::SuspendTenantRequest* request,
                             tenancy::Tenant* response) override {
    return Handle(context, request, response,
                  [&](const Call&) -> Result<tenancy::Tenant> { return tenancy::Tenant(); });
  }
};

// Streams until the caller goes away.
class Keys final : public tenancy::ApiKeyService::Service {
 public:
  std::atomic<bool> cancelled{false};

 private:
  grpc::Status WatchApiKeys(grpc::ServerContext* context, const tenancy::WatchApiKeysRequest*,
                            grpc::ServerWriter<tenancy::WatchApiKeysResponse>* writer) override {
    tenancy::WatchApiKeysResponse message;
    message.set_synced(true);
    while (!context->IsCancelled() && writer->Write(message)) std::this_thread::yield();
    cancelled = true;
    return grpc::Status::CANCELLED;
  }
};

class Artifacts final : public catalog::ArtifactService::Service {
  grpc::Status UploadArtifact(grpc::ServerContext*, grpc::ServerReader<catalog::UploadArtifactRequest>* reader,
                              catalog::Artifact* response) override {
    std::int64_t bytes = 0;
    for (catalog::UploadArtifactRequest part; reader->Read(&part);)
      bytes += static_cast<std::int64_t>(part.data().size());
    response->set_bytes(bytes);
    return grpc::Status::OK;
  }
};

class NamedOperations final : public google::longrunning::Operations::Service {
 public:
  explicit NamedOperations(std::string owner) : owner_(std::move(owner)) {}

 private:
  grpc::Status GetOperation(grpc::ServerContext*, const google::longrunning::GetOperationRequest* request,
                            Operation* response) override {
    response->set_name(owner_ + " has " + request->name());
    return grpc::Status::OK;
  }
  std::string owner_;
};

class GrpcProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto start = [&](const std::string& name, const std::vector<grpc::Service*>& services) {
      auto server = Server::Start({.listen = Target(name)}, services);
      ASSERT_TRUE(server) << server.error().message;
      servers_.push_back(*std::move(server));
    };
    start("tenancy", {&tenants_, &keys_});
    start("catalog", {&artifacts_, &models_, &catalog_operations_});
    start("scheduling", {&instances_, &scheduling_operations_});
    proxy_ = std::make_unique<GrpcProxy>(
        ProxyTargets{Target("tenancy"), Target("catalog"), Target("billing"), Target("scheduling")});
    auto server = Server::Start({.listen = Target("proxy")}, {}, proxy_.get());
    ASSERT_TRUE(server) << server.error().message;
    front_ = *std::move(server);
    channel_ = MakeChannel(Target("proxy"));
  }
  std::string Target(const std::string& name) const { return "unix:" + (dir_ / (name + ".sock")).string(); }

  TempDir dir_;
  Tenants tenants_;
  Keys keys_;
  Artifacts artifacts_;
  // Whose operations they are.
  catalog::ModelService::Service models_;
  scheduling::v1::InstanceService::Service instances_;
  NamedOperations catalog_operations_{"catalog"};
  NamedOperations scheduling_operations_{"scheduling"};
  std::vector<std::unique_ptr<Server>> servers_;
  std::unique_ptr<GrpcProxy> proxy_;
  std::unique_ptr<Server> front_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(GrpcProxyTest, PassesCallsWithTheirCallerAndErrorsWithTheirReason) {
  const auto stub = tenancy::TenantService::NewStub(channel_);
  tenancy::GetTenantRequest request;
  request.set_name("tenants/ke");
  const auto ask = [&](const Caller& caller) {
    return CallUnary(*stub, &tenancy::TenantService::Stub::GetTenant, request, caller, std::chrono::seconds(5));
  };
  const auto found = ask(Caller::Operator());
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->name(), "tenants/ke");
  EXPECT_EQ(ask(Caller::Node("n")).error().code, Code::kPermissionDenied);
  const CallScope scope(Deadline::None(), Trace::New());
  ASSERT_TRUE(ask(Caller::Operator()));
  EXPECT_EQ(tenants_.trace, *CurrentTrace());
  request.set_name("tenants/xx");
  EXPECT_EQ(ask(Caller::Operator()).error(), (Error{Code::kNotFound, "NO_SUCH_TENANT", "tenants/xx does not exist"}));
}

TEST_F(GrpcProxyTest, AtTheAddressOfARoleEverybodyIsAnOperatorOfIt) {
  GrpcProxy proxy({Target("tenancy"), Target("catalog"), Target("billing"), Target("scheduling")},
                  Caller::Operator({Role::ROLE_SUPPORT}));
  const auto front = Server::Start({.listen = Target("support"), .credentials = {.by_file_mode = true}}, {}, &proxy);
  ASSERT_TRUE(front) << front.error().message;
  const auto stub = tenancy::TenantService::NewStub(MakeChannel(Target("support")));
  tenancy::GetTenantRequest get;
  get.set_name("tenants/ke");
  tenancy::SuspendTenantRequest suspend;
  suspend.set_name("tenants/ke");
  for (const Caller& caller :
       {Caller::Operator(), Caller::Service("gateway"), Caller::Tenant("ke"), Caller::Node("n")}) {
    const auto found = CallUnary(*stub, &tenancy::TenantService::Stub::GetTenant, get, caller, std::chrono::seconds(5));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(tenants_.caller, "operator roles:support");
    const auto refused =
        CallUnary(*stub, &tenancy::TenantService::Stub::SuspendTenant, suspend, caller, std::chrono::seconds(5));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason, "PERMISSION_MISSING");
    EXPECT_NE(refused.error().message.find("your roles (support) do not have"), std::string::npos);
  }
  (*front)->Stop(std::chrono::milliseconds(100));
}

TEST_F(GrpcProxyTest, PassesStreamsOfBothDirectionsAndTheirCancellation) {
  const auto artifacts = catalog::ArtifactService::NewStub(channel_);
  const auto upload_context = MakeContext(Caller::Operator(), std::chrono::seconds(10));
  catalog::Artifact artifact;
  const auto writer = artifacts->UploadArtifact(upload_context.get(), &artifact);
  catalog::UploadArtifactRequest part;
  part.set_data(std::string(1 << 20, 'x'));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer->Write(part));
  writer->WritesDone();
  const grpc::Status uploaded = writer->Finish();
  ASSERT_TRUE(uploaded.ok()) << uploaded.error_message();
  EXPECT_EQ(artifact.bytes(), 20 << 20);

  const auto keys = tenancy::ApiKeyService::NewStub(channel_);
  const auto watch_context = MakeStreamContext(Caller::Service("test"));
  const auto reader = keys->WatchApiKeys(watch_context.get(), {});
  tenancy::WatchApiKeysResponse message;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(reader->Read(&message));
  watch_context->TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  while (!keys_.cancelled) std::this_thread::yield();
}

TEST_F(GrpcProxyTest, FindsTheOwnerOfAnOperationByItsName) {
  const auto stub = google::longrunning::Operations::NewStub(channel_);
  const auto owner = [&](const std::string& name) {
    google::longrunning::GetOperationRequest request;
    request.set_name(name);
    const auto found = CallUnary(*stub, &google::longrunning::Operations::Stub::GetOperation, request,
                                 Caller::Operator(), std::chrono::seconds(5));
    return found ? found->name() : found.error().message;
  };
  EXPECT_EQ(owner("tenants/ke/operations/1"), "scheduling has tenants/ke/operations/1");
  EXPECT_EQ(owner("operations/1"), "catalog has operations/1");
}

// A caller that leaves may do so before, while and after the call upstream is begun.
TEST_F(GrpcProxyTest, SurvivesCallersThatLeaveAtAnyMoment) {
  constexpr int kCallers = 4;
  constexpr int kCallsPerCaller = 2000;
  std::atomic<int> answered{0}, left{0};
  std::vector<std::thread> callers;
  for (int number = 0; number < kCallers; ++number) {
    callers.emplace_back([&, number] {
      const auto stub = google::longrunning::Operations::NewStub(MakeChannel(Target("proxy")));
      google::longrunning::GetOperationRequest request;
      request.set_name("operations/1");
      std::minstd_rand random(static_cast<unsigned>(number + 1));
      for (int i = 0; i < kCallsPerCaller; ++i) {
        const auto context = MakeContext(Caller::Operator(), std::chrono::seconds(10));
        Operation operation;
        std::promise<grpc::Status> status;
        stub->async()->GetOperation(context.get(), &request, &operation,
                                    [&status](grpc::Status ended) { status.set_value(std::move(ended)); });
        const auto leave = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 800);
        while (std::chrono::steady_clock::now() < leave) {
        }
        context->TryCancel();
        ++(status.get_future().get().ok() ? answered : left);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_GT(left, kCallers * kCallsPerCaller / 20) << answered << " were answered";
  google::longrunning::GetOperationRequest request;
  request.set_name("operations/1");
  const auto stub = google::longrunning::Operations::NewStub(channel_);
  EXPECT_TRUE(CallUnary(*stub, &google::longrunning::Operations::Stub::GetOperation, request, Caller::Operator(),
                        std::chrono::seconds(5)));
}

TEST_F(GrpcProxyTest, ServesOthersWhileAServiceIsAway) {
  EXPECT_EQ(GrpcProxy::AreaOf("/allod.nothing.v1.X/Y"), "");
  EXPECT_EQ(GrpcProxy::AreaOf("/allod.billing.v1.UsageService/Reserve"), "billing");
  servers_[0]->Stop(std::chrono::milliseconds(0));
  servers_.erase(servers_.begin());
  const auto tenants = tenancy::TenantService::NewStub(channel_);
  const auto away = CallUnary(*tenants, &tenancy::TenantService::Stub::GetTenant, tenancy::GetTenantRequest(),
                              Caller::Operator(), std::chrono::seconds(5));
  EXPECT_EQ(away.error().code, Code::kUnavailable);
  const auto operations = google::longrunning::Operations::NewStub(channel_);
  google::longrunning::GetOperationRequest request;
  request.set_name("operations/1");
  EXPECT_TRUE(CallUnary(*operations, &google::longrunning::Operations::Stub::GetOperation, request, Caller::Operator(),
                        std::chrono::seconds(5)));
}

}  // namespace
}  // namespace allod::gateway::operators::grpc_proxy_test
