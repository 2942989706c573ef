#include <gmock/gmock.h>
#include <google/longrunning/operations.grpc.pb.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "google/rpc/status.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod {
namespace {

using google::longrunning::GetOperationRequest;
using google::longrunning::Operation;
using google::longrunning::Operations;
using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(RpcStatus, CarriesEveryCodeBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const Error error{static_cast<Code>(code), "SOME_REASON", "what, where, what to do", 1500ms};
    EXPECT_EQ(FromGrpc(ToGrpc(error)), error);
    EXPECT_EQ(FromRpcStatus(ToRpcStatus(error)), error);
  }
}

TEST(RpcStatus, CarriesAnErrorWithoutRetryAfter) {
  const Error error{Code::kNotFound, "NOT_FOUND", "no"};
  EXPECT_EQ(FromGrpc(ToGrpc(error)), error);
}

TEST(RpcStatus, NamesABareStatusRpcFailed) {
  const Error error = FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection refused"));
  EXPECT_EQ(error.code, Code::kUnavailable);
  EXPECT_EQ(error.reason, "RPC_FAILED");
  EXPECT_EQ(FromGrpc(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")).reason,
            "SERVER_BUSY");
  EXPECT_EQ(FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "x", "not a proto \xff")).reason, "RPC_FAILED");
}

TEST(RpcStatus, FitsIntoTrailersWhateverTheMessage) {
  std::string message(100'000, '\xff');
  message[0] = 'a';
  const grpc::Status status = ToGrpc({Code::kInternal, std::string(1000, 'R'), message, 1s});
  EXPECT_LE(status.error_message().size(), 1024u);
  EXPECT_LE(status.error_details().size(), 2048u);
  EXPECT_EQ(FromGrpc(status).code, Code::kInternal);
}

TEST(RpcStatus, CutsAMessageBetweenCharacters) {
  std::string message = "x";
  for (int i = 0; i < 2000; ++i) message += "\xe2\x82\xac";
  const std::string cut = ToGrpc({Code::kInternal, "R", message}).error_message();
  EXPECT_EQ((cut.size() - 1) % 3, 0u);
  EXPECT_EQ(cut, message.substr(0, cut.size()));
}

TEST(Caller, RoundTripsThroughItsText) {
  for (const char* text : {"operator", "service:billing", "node:local", "tenant:ke"}) {
    const auto caller = Caller::Parse(text);
    ASSERT_TRUE(caller) << text;
    EXPECT_EQ(caller->ToString(), text);
  }
}

TEST(Caller, RefusesMalformedText) {
  for (const char* text : {"", "operator:", "operator:x", "Operator", "tenant", "tenant:", "tenant:KE", "tenant:a/b",
                           "tenant:../x", "root:x", ":x", "tenant:ke:x"}) {
    const auto caller = Caller::Parse(text);
    ASSERT_FALSE(caller) << text;
    EXPECT_EQ(caller.error().reason, "NO_CALLER");
    EXPECT_EQ(caller.error().code, Code::kUnauthenticated);
  }
}

TEST(CallerRules, AdmitWhomTheyName) {
  const Caller op = Caller::Operator();
  const Caller service = Caller::Service("billing");
  const Caller node = Caller::Node("local");
  const Caller tenant = Caller::Tenant("ke");
  struct Case {
    const Caller& caller;
    bool as_operator, as_platform, as_service, as_node;
  };
  for (const Case& c : {Case{op, true, true, false, false}, Case{service, false, true, true, false},
                        Case{node, false, false, false, true}, Case{tenant, false, false, false, false}}) {
    EXPECT_EQ(RequireOperator(c.caller).has_value(), c.as_operator) << c.caller.ToString();
    EXPECT_EQ(RequirePlatform(c.caller).has_value(), c.as_platform) << c.caller.ToString();
    EXPECT_EQ(RequireService(c.caller).has_value(), c.as_service) << c.caller.ToString();
    EXPECT_EQ(RequireNode(c.caller).has_value(), c.as_node) << c.caller.ToString();
    EXPECT_TRUE(RequireAnyone(c.caller));
  }
  EXPECT_EQ(RequireOperator(tenant).error().reason, "NOT_ALLOWED");
}

TEST(CallerRules, HideOtherTenants) {
  const Caller ke = Caller::Tenant("ke");
  EXPECT_TRUE(RequireTenant(ke, "tenants/ke"));
  EXPECT_TRUE(RequireTenant(ke, "tenants/ke/projects/p"));
  for (const char* name : {"tenants/tz", "tenants/kenya", "tenants/ke2/projects/p", "", "models/m", "tenants/-"}) {
    EXPECT_EQ(RequireTenant(ke, name).error().code, Code::kNotFound) << name;
  }
  EXPECT_TRUE(RequireTenant(Caller::Operator(), "tenants/tz"));
  EXPECT_TRUE(RequireTenant(Caller::Service("gateway"), "tenants/tz"));
  EXPECT_EQ(RequireTenant(Caller::Node("local"), "tenants/ke").error().code, Code::kPermissionDenied);
}

// A real service with one method, behind a real server.
class EchoService final : public Operations::Service {
 public:
  grpc::Status GetOperation(grpc::ServerContext* context, const GetOperationRequest* request,
                            Operation* response) override {
    return Handle("test.GetOperation", context, request, response, [&](const Caller& caller) -> Result<Operation> {
      if (request->name() == "throw") throw std::runtime_error("secret detail");
      if (request->name() == "missing") return NotFound("no such operation");
      Operation out;
      out.set_name(caller.ToString() + " " + request->name());
      return out;
    });
  }
};

class RpcTest : public testing::Test {
 protected:
  RpcTest() {
    auto started = Server::Start({.listen = listen_}, {&service_});
    EXPECT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }
  Result<Operation> Get(const std::string& name, std::chrono::milliseconds timeout = 5s) {
    GetOperationRequest request;
    request.set_name(name);
    return Call(*stub_, &Operations::Stub::GetOperation, request, Caller::Tenant("ke"), timeout);
  }

  TempDir dir_;
  const std::string listen_ = "unix:" + (dir_ / "s.sock").string();
  EchoService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Operations::Stub> stub_ = Operations::NewStub(MakeChannel(listen_));
};

TEST_F(RpcTest, GivesTheCallerToTheMethod) { EXPECT_EQ(Get("x")->name(), "tenant:ke x"); }

TEST_F(RpcTest, PassesErrorsWithTheirReason) {
  const auto result = Get("missing");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Code::kNotFound, "NOT_FOUND", "no such operation"}));
}

TEST_F(RpcTest, TurnsAnExceptionIntoInternalWithoutItsText) {
  const auto result = Get("throw");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kInternal);
  EXPECT_THAT(result.error().message, testing::Not(HasSubstr("secret")));
  EXPECT_TRUE(Get("x")) << "and goes on serving";
}

TEST_F(RpcTest, RefusesACallWithoutACaller) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 5s);
  Operation response;
  EXPECT_EQ(FromGrpc(stub_->GetOperation(&context, {}, &response)).reason, "NO_CALLER");
}

TEST_F(RpcTest, RefusesACallWithTwoCallers) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 5s);
  Caller::Tenant("ke").AttachTo(context);
  Caller::Operator().AttachTo(context);
  Operation response;
  EXPECT_EQ(FromGrpc(stub_->GetOperation(&context, {}, &response)).reason, "NO_CALLER");
}

TEST_F(RpcTest, RefusesACallWhoseDeadlineIsTooNear) { EXPECT_EQ(Get("x", 1ms).error().code, Code::kDeadlineExceeded); }

TEST_F(RpcTest, CountsCallsByMethodAndCode) {
  ASSERT_TRUE(Get("x"));
  ASSERT_FALSE(Get("missing"));
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("allod_rpc_total{code=\"NOT_FOUND\",method=\"test.GetOperation\"}"));
  EXPECT_THAT(text, HasSubstr("allod_rpc_seconds_bucket{method=\"test.GetOperation\""));
}

TEST_F(RpcTest, RefusesToListenWhereAnotherServes) {
  const auto second = Server::Start({.listen = listen_}, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "CANNOT_LISTEN");
  EXPECT_TRUE(Get("x")) << "and leaves the first alone";
}

TEST_F(RpcTest, LeavesAFileThatIsNoSocketAlone) {
  const auto path = dir_.Write("file", "precious");
  EXPECT_EQ(Server::Start({.listen = "unix:" + path.string()}, {}).error().reason, "CANNOT_LISTEN");
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(RpcTest, RefusesAPathThatNoSocketCanHave) {
  EXPECT_EQ(Server::Start({.listen = "unix:/tmp/" + std::string(120, 'x')}, {}).error().reason, "CANNOT_LISTEN");
}

TEST_F(RpcTest, ReconnectsWhenTheServerComesBack) {
  ASSERT_TRUE(Get("x"));
  server_->Stop(0ms);
  server_ = Server::Start({.listen = listen_}, {&service_}).value();
  EXPECT_TRUE(Get("x"));
}

TEST_F(RpcTest, SaysThatAMissingPeerIsUnavailable) {
  server_->Stop(0ms);
  const auto result = Get("x", 300ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kUnavailable) << result.error().message;
}

TEST_F(RpcTest, RefusesARequestThatIsTooLarge) {
  EXPECT_EQ(Get(std::string(5 << 20, 'x')).error().code, Code::kResourceExhausted);
}

TEST(Server, ChoosesAPortWhenAskedTo) {
  const auto server = Server::Start({.listen = "127.0.0.1:0"}, {});
  ASSERT_TRUE(server);
  EXPECT_GT((*server)->port(), 0);
  EXPECT_FALSE(Server::Start({.listen = "127.0.0.1:" + std::to_string((*server)->port())}, {}));
}

}  // namespace
}  // namespace allod
