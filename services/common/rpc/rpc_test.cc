#include <gmock/gmock.h>
#include <google/longrunning/operations.grpc.pb.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "google/rpc/status.pb.h"
#include "services/common/call_scope.h"
#include "services/common/ids.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/unix_address.h"
#include "tests/support/temp_dir.h"

namespace allod::rpc_test {
namespace {

using tenancy::v1::GetTenantRequest;
using tenancy::v1::Tenant;
using tenancy::v1::TenantService;
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
  EXPECT_FALSE(FromGrpc(grpc::Status(grpc::StatusCode::INTERNAL, "")).message.empty()) << "nobody fails without a word";
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
  for (const char* text :
       {"operator", "operator roles:support", "operator roles:operator_auditor", "service:billing", "node:local",
        "tenant:ke", "tenant:ke project:p scopes:inference,portal roles:admin,viewer",
        "tenant:ke project:p scopes: roles:", "tenant:ke project:p key:abcdefghijkl scopes:portal roles:admin",
        "tenant:ke project:p rule:ci scopes:portal roles:developer",
        "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:",
        "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles:owner,auditor "
        "projects:a=viewer,b=admin+billing",
        "tenant:ke-health from:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles:owner projects:",
        "tenant:ke project:p rule:ci scopes:portal roles:viewer,roles/on-call custom:on-call=billing.invoices.get|list",
        "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles:roles/a projects:p=viewer+roles/a+roles/b "
        "custom:a=*.*.get;b=catalog.listings.get+scheduling.*.list"}) {
    const auto caller = Caller::Parse(text);
    ASSERT_TRUE(caller) << text;
    EXPECT_EQ(caller->ToString(), text);
  }
}

TEST(Caller, RefusesMalformedText) {
  for (const char* text : {"",
                           "operator:",
                           "operator:x",
                           "operator ",
                           "operator roles:",
                           "operator roles:owner",
                           "operator roles:support,viewer",
                           "operator roles:support x",
                           "operator support",
                           "tenant:ke custom:a=b.c.d",
                           "tenant:ke project:p scopes:portal roles:roles/a",
                           "tenant:ke project:p scopes:portal roles:roles/a custom:",
                           "tenant:ke project:p scopes:portal roles:roles/a custom:a",
                           "tenant:ke project:p scopes:portal roles:roles/a custom:b=b.c.d",
                           "tenant:ke project:p scopes:portal roles:roles/a custom:a=b.c",
                           "tenant:ke project:p scopes:portal roles:roles/A custom:A=b.c.d",
                           "tenant:ke project:p scopes:portal roles:roles/a custom:a=b.c.d;a=b.c.e",
                           "tenant:ke project:p scopes:portal roles:roles/a custom:a=b.c.d custom:b=b.c.d",
                           "tenant:ke project:p scopes:portal roles:roles/a  custom:a=b.c.d",
                           "Operator",
                           "tenant",
                           "tenant:",
                           "tenant:KE",
                           "tenant:a/b",
                           "tenant:../x",
                           "root:x",
                           ":x",
                           "tenant:ke:x",
                           "tenant:ke ",
                           "tenant:ke project:",
                           "tenant:ke project:p",
                           "tenant:ke key:abcdefghijkl",
                           "tenant:ke project:p key: scopes:portal roles:admin",
                           "tenant:ke project:p key:A scopes:portal roles:admin",
                           "tenant:ke project:p scopes:portal key:abcdefghijkl roles:admin",
                           "tenant:ke scopes:portal",
                           "tenant:ke project:p scopes:portal",
                           "tenant:ke project:p roles:admin",
                           "tenant:ke project:p scopes:portal roles:admin ",
                           "tenant:ke project:p scopes:portal roles:Admin",
                           "tenant:ke project:p roles:admin scopes:portal",
                           "tenant:ke project:p key:abcdefghijkl rule:ci scopes:portal roles:admin",
                           "tenant:ke project:p rule:C/I scopes:portal roles:admin",
                           "tenant:ke project:p scopes:a,,b roles:admin",
                           "tenant:ke project:P scopes:portal roles:admin",
                           "tenant:ke project:p scopes:Portal roles:admin",
                           "tenant:ke project:p scopes:portal roles:admin project:q",
                           "tenant:ke project:p scopes:portal roles:admin key:",
                           "tenant:ke project:p scopes:portal roles:admin key:a/b",
                           "tenant:ke project:p scopes:portal roles:admin key:abc ",
                           "tenant:ke project:p scopes:portal key:abc roles:admin",
                           "tenant:ke key:abc",
                           "tenant:ke session: roles: projects:",
                           "tenant:ke session:x roles: projects:",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles:",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:a",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:a=",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:A=viewer",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:b=viewer,a=viewer",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:a=viewer,a=viewer",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:a=viewer project:p",
                           "tenant:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e project:p roles: projects:",
                           "tenant:ke-a from:ke",
                           "tenant:ke-a from:ke project:p scopes:portal roles:admin",
                           "tenant:ke-a from: session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:",
                           "tenant:ke-a from:K/E session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:",
                           "tenant:ke from:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:",
                           "tenant:ke-a from:ke session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e roles: projects:p=admin",
                           "tenant:ke-a session:0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e from:ke roles: projects:",
                           "service:billing project:p scopes:portal roles:admin"}) {
    const auto caller = Caller::Parse(text);
    ASSERT_FALSE(caller) << text;
    EXPECT_EQ(caller.error().reason, "NO_CALLER");
    EXPECT_EQ(caller.error().code, Code::kUnauthenticated);
  }
}

TEST(Caller, HasNoRoleThatIsNotKnownHere) {
  const auto caller = Caller::Parse("tenant:ke project:p scopes:portal roles:viewer,a_role_of_the_future");
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->roles, Roles{Role::ROLE_VIEWER});
}

// As much as there can be still fits into a call.
TEST(Caller, HasBoundedCustomRoles) {
  Rights rights;
  Caller person = Caller::Person("ke", Uuid::V7().ToString(), {});
  int fitted = 0;
  for (char id = 'a'; id <= 'g'; ++id) {
    std::vector<std::string> patterns;
    for (char c = 'a'; c <= 'z'; ++c) patterns.push_back("scheduling.collection" + std::string(1, c) + ".anything");
    rights.Add(std::make_shared<const CustomRole>(CustomRole{std::string(1, id), Permissions(std::move(patterns))}));
    person.roles = rights;
    const bool fits = person.CheckStatable().has_value();
    EXPECT_EQ(fits, Caller::Parse(person.ToString()).has_value()) << id;
    fitted += fits ? 1 : 0;
  }
  EXPECT_GE(fitted, 4) << "as many as are granted at one place";
  EXPECT_EQ(person.CheckStatable() ? "" : person.CheckStatable().error().reason, "TOO_MANY_PERMISSIONS");
}

std::shared_ptr<const CustomRole> RoleOfMany(const std::string& id, const std::string& area) {
  std::vector<std::string> patterns;
  for (char c = 'a'; c <= 'z'; ++c) patterns.push_back(area + ".collection" + std::string(1, c) + ".anything");
  return std::make_shared<const CustomRole>(CustomRole{id, Permissions(std::move(patterns))});
}

// Whoever gives somebody many custom roles does not shut him out.
TEST(Caller, IsStatedWithTheCustomRolesThatFit) {
  Rights rights{Role::ROLE_BILLING};
  const auto covered = std::make_shared<const CustomRole>(
      CustomRole{"aa", Permissions(std::vector<std::string>{"billing.invoices.get", "billing.invoices.list"})});
  ASSERT_FALSE(FirstBeyond(Roles{Role::ROLE_BILLING}, covered->permits.patterns()));
  rights.Add(covered);
  for (char id = 'b'; id <= 'z'; ++id) rights.Add(RoleOfMany(std::string(1, id), "scheduling"));
  std::vector<ProjectRoles> projects;
  for (std::size_t i = 0; i < Caller::kProjectsMax; ++i) {
    projects.push_back({std::string(60, 'p') + std::to_string(100 + i), rights});
  }
  const Caller held = Caller::Person("ke", Uuid::V7().ToString(), rights, projects);
  ASSERT_FALSE(held.CheckStatable());
  const Caller stated = held.Statable();
  ASSERT_TRUE(stated.CheckStatable()) << stated.ToString().size();
  const auto heard = Caller::Parse(stated.ToString());
  ASSERT_TRUE(heard) << heard.error().message;
  EXPECT_EQ(heard->ToString(), stated.ToString());
  EXPECT_TRUE(heard->roles.Has(Role::ROLE_BILLING)) << "what is the platform's stays";
  ASSERT_GE(heard->roles.custom().size(), 4U);
  EXPECT_EQ(heard->roles.custom()[0]->id, "b") << "by id; what the platform's roles cover is left out";
  ASSERT_EQ(heard->project_roles.size(), Caller::kProjectsMax);
  EXPECT_TRUE(heard->project_roles.back().roles.Has(Role::ROLE_BILLING));
  EXPECT_EQ(held.Statable().ToString(), stated.ToString()) << "always the same";
  // Covered by what holds at the tenant: nothing needs to be left out but these.
  Rights few{Role::ROLE_OWNER};
  for (char id = 'b'; id <= 'z'; ++id) few.Add(covered), few.Add(RoleOfMany(std::string(1, id), "scheduling"));
  const Caller owner = Caller::Person("ke", Uuid::V7().ToString(), few).Statable();
  EXPECT_TRUE(owner.CheckStatable());
  EXPECT_TRUE(owner.roles.Has(Role::ROLE_OWNER));
  const Caller fitting = Caller::Person("ke", Uuid::V7().ToString(), {Role::ROLE_VIEWER});
  EXPECT_EQ(fitting.Statable().ToString(), fitting.ToString());
}

TEST(Caller, IsRememberedAsWhatItIs) {
  EXPECT_EQ(Caller::Operator().ToActor(), (Actor{"operator", "operator", ""}));
  EXPECT_EQ(Caller::Operator({Role::ROLE_SUPPORT}).ToActor(), (Actor{"operator", "support", ""}));
  EXPECT_EQ(Caller::Service("gateway").ToActor(), (Actor{"service", "gateway", ""}));
  EXPECT_EQ(Caller::Node("n").ToActor(), (Actor{"node", "nodes/n", ""}));
  EXPECT_EQ(Caller::Tenant("ke").ToActor(), (Actor{"tenant", "tenants/ke", ""}));
  EXPECT_EQ(Caller::Key("ke", "p", {}, {}, "abc").ToActor(),
            (Actor{"api_key", "tenants/ke/projects/p/apiKeys/abc", "abc"}));
  EXPECT_EQ(Caller::Key("ke", "p", {}).ToActor(), (Actor{"api_key", "tenants/ke/projects/p", ""}));
  EXPECT_EQ(Caller::Person("ke", "s", {}).ToActor(), (Actor{"person", "tenants/ke/sessions/s", "s"}));
  EXPECT_EQ(Caller::Below(Caller::Person("ke", "s", {}), "ke-health").ToActor(),
            (Actor{"person", "tenants/ke/sessions/s", "s"}))
      << "it stays known where he is from";
}

TEST(Caller, IsCountedAgainstItsTenantWhicheverKeyItIs) {
  EXPECT_EQ(Caller::Key("ke", "p", {"portal"}).Owner(), "tenant:ke");
  EXPECT_EQ(Caller::Key("ke", "q", {"inference", "portal"}).Owner(), Caller::Tenant("ke").Owner());
  EXPECT_EQ(Caller::Person("ke", "s", {Role::ROLE_OWNER}).Owner(), "tenant:ke");
  EXPECT_EQ(Caller::Below(Caller::Person("ke", "s", {}), "ke-health").Owner(), "tenant:ke");
  EXPECT_EQ(Caller::Operator().Owner(), "operator");
  EXPECT_EQ(Caller::Operator({Role::ROLE_SUPPORT}).Owner(), "operator:support");
  EXPECT_EQ(Caller::Service("gateway").Owner(), "service:gateway");
}

// A real method, for the tenant that is asked about, behind a real server: answers with who asks, and for what.
class EchoService final : public tenancy::v1::TenantService::Service {
 public:
  grpc::Status GetTenant(grpc::ServerContext* context, const GetTenantRequest* request, Tenant* response) override {
    return Handle(context, request, response, [&](const Call& call) -> Result<Tenant> {
      ++calls;
      deadline = call.deadline;
      trace = call.trace;
      scope_is_the_calls = CurrentTrace() != nullptr && *CurrentTrace() == call.trace &&
                           CurrentDeadline().is_none() == call.deadline.is_none();
      if (request->name() == Name("throw")) throw std::runtime_error("secret detail");
      if (request->name() == Name("missing")) return NotFound("no such tenant");
      Tenant out;
      out.set_name(call.principal.ToString() + " " + request->name());
      return out;
    });
  }
  static std::string Name(const std::string& word) { return "tenants/ke/" + word; }

  // Of the last call.
  int calls = 0;
  Deadline deadline = Deadline::None();
  Trace trace;
  bool scope_is_the_calls = false;
};

class RpcTest : public testing::Test {
 protected:
  RpcTest() {
    auto started = Server::Start({.listen = listen_}, {&service_});
    EXPECT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }
  Result<Tenant> Get(const std::string& word, std::chrono::milliseconds timeout = 5s,
                     const Caller& caller = Caller::Tenant("ke")) {
    GetTenantRequest request;
    request.set_name(EchoService::Name(word));
    return CallUnary(*stub_, &TenantService::Stub::GetTenant, request, caller, timeout);
  }
  // The trace that the method got of a call with these.
  Trace TraceOfCallWith(const std::vector<std::string>& traceparents) {
    GetTenantRequest request;
    request.set_name(EchoService::Name("x"));
    const auto context = MakeContext(Caller::Operator(), 5s);
    for (const std::string& text : traceparents) context->AddMetadata(Trace::kKey, text);
    Tenant response;
    EXPECT_TRUE(stub_->GetTenant(context.get(), request, &response).ok());
    return service_.trace;
  }

  TempDir dir_;
  const std::string listen_ = "unix:" + (dir_ / "s.sock").string();
  EchoService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<TenantService::Stub> stub_ = TenantService::NewStub(MakeChannel(listen_));
};

TEST_F(RpcTest, GivesTheCallerToTheMethod) { EXPECT_EQ(Get("x")->name(), "tenant:ke tenants/ke/x"); }

// Whatever may be stated arrives.
TEST_F(RpcTest, TakesTheLongestCaller) {
  Rights rights{Role::ROLE_VIEWER, Role::ROLE_BILLING};
  for (char id = 'a'; id <= 'd'; ++id) {
    std::vector<std::string> patterns;
    for (char c = 'a'; c <= 'z'; ++c) patterns.push_back("scheduling.collection" + std::string(1, c) + ".anything");
    rights.Add(std::make_shared<const CustomRole>(CustomRole{std::string(1, id), Permissions(std::move(patterns))}));
  }
  std::vector<ProjectRoles> projects;
  for (std::size_t i = 0; i < Caller::kProjectsMax; ++i) {
    projects.push_back({std::string(60, 'p') + std::to_string(100 + i), rights});
  }
  const Caller longest = Caller::Person("ke", Uuid::V7().ToString(), rights, projects);
  ASSERT_TRUE(longest.CheckStatable());
  EXPECT_GT(longest.ToString().size(), 10'000U);
  const auto seen = Get("x", 5s, longest);
  ASSERT_TRUE(seen) << seen.error().message;
}

TEST_F(RpcTest, PassesErrorsWithTheirReason) {
  const auto result = Get("missing");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Code::kNotFound, "NOT_FOUND", "no such tenant"}));
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
  Tenant response;
  EXPECT_EQ(FromGrpc(stub_->GetTenant(&context, {}, &response)).reason, "NO_CALLER");
}

TEST_F(RpcTest, RefusesACallWithTwoCallers) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 5s);
  Caller::Tenant("ke").AttachTo(context);
  Caller::Operator().AttachTo(context);
  Tenant response;
  EXPECT_EQ(FromGrpc(stub_->GetTenant(&context, {}, &response)).reason, "NO_CALLER");
}

TEST_F(RpcTest, RefusesACallWhoseDeadlineIsTooNear) { EXPECT_EQ(Get("x", 1ms).error().code, Code::kDeadlineExceeded); }

TEST_F(RpcTest, RunsAMethodForWhomItAdmitsOnly) {
  EXPECT_EQ(Get("x", 5s, Caller::Tenant("tz")).error().code, Code::kNotFound);
  EXPECT_EQ(Get("x", 5s, Caller::Node("n")).error().reason, "NOT_ALLOWED");
  EXPECT_EQ(service_.calls, 0);
  EXPECT_TRUE(Get("x", 5s, Caller::Service("gateway")));
  EXPECT_EQ(service_.calls, 1);
  const std::string session = Uuid::V7().ToString();
  EXPECT_EQ(Get("x", 5s, Caller::Person("ke", session, {})).error().reason, "PERMISSION_MISSING");
  EXPECT_TRUE(Get("x", 5s, Caller::Person("ke", session, {}, {{"p", {Role::ROLE_VIEWER}}})))
      << "a person's roles count where they hold";
}

TEST_F(RpcTest, AMethodsCallIsThatOfItsThreadAndEndsBeforeTheCallersDeadline) {
  ASSERT_TRUE(Get("x", 10s));
  EXPECT_TRUE(service_.scope_is_the_calls);
  EXPECT_GT(service_.deadline.Bound(60s), 0ms);
  EXPECT_LE(service_.deadline.Bound(60s), 10s - kAnswerTime);
  EXPECT_EQ(CurrentTrace(), nullptr) << "not that of the caller's thread";
}

TEST_F(RpcTest, BeginsATraceWhereNoneOrNoValidOneComes) {
  const std::string valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string other = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(TraceOfCallWith({valid}).ToString(), valid);
  for (const std::vector<std::string>& given :
       std::vector<std::vector<std::string>>{{}, {"nonsense"}, {valid + "-more"}, {valid, other}}) {
    const Trace made = TraceOfCallWith(given);
    EXPECT_EQ(Trace::Parse(made.ToString()), made);
    EXPECT_EQ(valid.find(made.trace_id), std::string::npos) << testing::PrintToString(given);
  }
}

TEST_F(RpcTest, WhatIsCalledForACallHasItsTraceAndNoMoreThanItsTime) {
  const Trace trace = Trace::New();
  {
    const CallScope scope(Deadline::In(2s), trace);
    ASSERT_TRUE(Get("x", 60s));
    EXPECT_EQ(service_.trace, trace);
    EXPECT_LE(service_.deadline.Bound(60s), 2s);
    ASSERT_TRUE(Get("x", 1s));
    EXPECT_LE(service_.deadline.Bound(60s), 1s);
  }
  ASSERT_TRUE(Get("x", 60s));
  EXPECT_NE(service_.trace, trace);
  EXPECT_GT(service_.deadline.Bound(60s), 2s);
  const CallScope over(Deadline::In(-1s), trace);
  const int before = service_.calls;
  EXPECT_EQ(Get("x", 60s).error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(service_.calls, before);
}

TEST_F(RpcTest, AFailureIsLoggedWithTheTraceOfItsCall) {
  const Trace trace = Trace::New();
  testing::internal::CaptureStderr();
  {
    const CallScope scope(Deadline::None(), trace);
    EXPECT_FALSE(Get("missing"));
  }
  server_->Stop(1s);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("trace=" + trace.trace_id));
}

TEST(ServerStart, RefusesAServiceWithAMethodThatDoesNotSayWhoMayCallIt) {
  const TempDir dir;
  google::longrunning::Operations::Service operations;  // nobody says who may ask about them
  const auto server = Server::Start({.listen = "unix:" + (dir / "s.sock").string()}, {&operations});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().reason, "INVALID_ACCESS_RULE");
  EXPECT_THAT(server.error().message, HasSubstr("google.longrunning.Operations"));
}

TEST_F(RpcTest, CountsCallsByMethodAndCode) {
  ASSERT_TRUE(Get("x"));
  ASSERT_FALSE(Get("missing"));
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("allod_rpc_total{code=\"NOT_FOUND\",method=\"tenancy.GetTenant\"}"));
  EXPECT_THAT(text, HasSubstr("allod_rpc_seconds_bucket{method=\"tenancy.GetTenant\""));
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
  EXPECT_EQ(Server::Start({.listen = "unix:/tmp/" + std::string(120, 'x')}, {}).error().reason, "INVALID_ADDRESS");
}

TEST_F(RpcTest, TheSocketIsItsOwnersAlone) {
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "s.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(RpcTest, InADirectoryThatHandsDownItsGroupTheGroupMayConnect) {
  ASSERT_EQ(mkdir((dir_ / "g").c_str(), 0700), 0);
  ASSERT_EQ(chmod((dir_ / "g").c_str(), 02710), 0);
  const auto server = Server::Start({.listen = "unix:" + (dir_ / "g/s.sock").string()}, {});
  ASSERT_TRUE(server) << server.error().message;
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "g/s.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660U);
}

// The other end as another user, with the file modes out of the way: what is left is who the kernel says it is.
TEST_F(RpcTest, TakesConnectionsOfItsInstallationsUsersOnly) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can call as somebody else";
  constexpr uid_t kNamed = 0x7fff0001;
  constexpr uid_t kStranger = 0x7fff0002;
  const std::string path = (dir_ / "p.sock").string();
  const auto server = Server::Start({.listen = "unix:" + path, .credentials = {.peer_uids = {kNamed}}}, {&service_});
  ASSERT_TRUE(server) << server.error().message;
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  // A server of HTTP/2 speaks first: whoever was let in gets its settings, whoever was not gets the end.
  const auto bytes_as = [&](uid_t uid) -> int {
    const pid_t child = fork();
    if (child == 0) {
      if (setresuid(uid, uid, uid) != 0) _exit(100);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::memcpy(address.sun_path, path.c_str(), path.size());
      const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
      if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) _exit(101);
      char buffer[8];
      const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
      _exit(n > 0 ? static_cast<int>(n) : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_GT(bytes_as(kNamed), 0);
  EXPECT_LT(bytes_as(kNamed), 100);
  EXPECT_EQ(bytes_as(kStranger), 0);
  EXPECT_TRUE(Get("x")) << "its own user may";
}

TEST_F(RpcTest, ReconnectsWhenTheServerComesBack) {
  ASSERT_TRUE(Get("x"));
  server_->Stop(0ms);
  server_ = Server::Start({.listen = listen_}, {&service_}).value();
  // One call may still meet the connection that has just ended.
  if (!Get("x")) {
    EXPECT_TRUE(Get("x"));
  }
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

struct AddressCase {
  const char* address;
  const char* why;  // a part of the complaint; null: accepted
};

TEST(UnixAddress, OnlyAbsoluteSocketPathsAreAccepted) {
  const std::string longest = "unix:/" + std::string(106, 'x');
  const std::string longer = longest + "x";
  const AddressCase cases[] = {
      {"unix:/run/allod/billing.sock", nullptr},
      {"unix:///run/allod/billing.sock", nullptr},
      {longest.c_str(), nullptr},
      {longer.c_str(), "107 bytes"},
      {"", "is empty"},
      {"127.0.0.1:0", "until mutual TLS is there"},
      {"0.0.0.0:5000", "until mutual TLS is there"},
      {"[::1]:5000", "until mutual TLS is there"},
      {"localhost:5000", "until mutual TLS is there"},
      {"dns:///billing:5000", "until mutual TLS is there"},
      {"ipv4:127.0.0.1:5000", "until mutual TLS is there"},
      {"ipv6:[::1]:5000", "until mutual TLS is there"},
      {"vsock:2:5000", "until mutual TLS is there"},
      {"/run/allod/billing.sock", "until mutual TLS is there"},
      {"UNIX:/run/allod/billing.sock", "until mutual TLS is there"},
      {"unix-abstract:allod", "no owner and no permissions"},
      {"unix:billing.sock", "not an absolute path"},
      {"unix:", "not an absolute path"},
      {"unix:/run/allod/", "names a directory"},
  };
  for (const AddressCase& c : cases) {
    const Status checked = CheckUnixAddress("listen", c.address);
    EXPECT_EQ(checked.has_value(), c.why == nullptr) << c.address;
    if (checked || c.why == nullptr) continue;
    EXPECT_EQ(checked.error().reason, "INVALID_ADDRESS");
    EXPECT_THAT(checked.error().message, HasSubstr(c.why)) << c.address;
    EXPECT_THAT(checked.error().message, HasSubstr("unix:/absolute/path.sock")) << "says what to write";
    if (*c.address == '\0') continue;  // a server without an address serves adopted connections
    EXPECT_EQ(Server::Start({.listen = c.address}, {}).error().reason, "INVALID_ADDRESS") << c.address;
  }
}

TEST(ListenerDeathTest, EndsTheProcessAndSaysWhyWhenItCannotGoOn) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const TempDir dir;
  const std::string address = "unix:" + (dir / "l.sock").string();
  EXPECT_DEATH(
      {
        const auto listener = *Listener::Open(address, {});
        listener->Start([&](const OwnedFd&) {
          std::filesystem::remove_all(dir / "");  // the process that dies has a directory of its own
          throw std::runtime_error("no room for a connection");
        });
        (void)MakeChannel(address)->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
      },
      "a thread threw.*listener.*no room for a connection");
}

}  // namespace
}  // namespace allod::rpc_test
