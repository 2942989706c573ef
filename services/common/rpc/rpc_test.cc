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

#include "google/rpc/status.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/unix_address.h"
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
  for (const char* text : {"operator", "service:billing", "node:local", "tenant:ke",
                           "tenant:ke project:p scopes:inference,portal", "tenant:ke project:p scopes:"}) {
    const auto caller = Caller::Parse(text);
    ASSERT_TRUE(caller) << text;
    EXPECT_EQ(caller->ToString(), text);
  }
}

TEST(Caller, RefusesMalformedText) {
  for (const char* text : {"",
                           "operator:",
                           "operator:x",
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
                           "tenant:ke scopes:portal",
                           "tenant:ke project:p scopes:portal ",
                           "tenant:ke project:p scopes:a,,b",
                           "tenant:ke project:P scopes:portal",
                           "tenant:ke project:p scopes:Portal",
                           "tenant:ke project:p scopes:portal project:q",
                           "service:billing project:p scopes:portal"}) {
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

TEST(Caller, IsCountedAgainstItsTenantWhicheverKeyItIs) {
  EXPECT_EQ(Caller::Key("ke", "p", {"portal"}).Owner(), "tenant:ke");
  EXPECT_EQ(Caller::Key("ke", "q", {"inference", "portal"}).Owner(), Caller::Tenant("ke").Owner());
  EXPECT_EQ(Caller::Operator().Owner(), "operator");
  EXPECT_EQ(Caller::Service("gateway").Owner(), "service:gateway");
}

TEST(CallerRules, KeepAKeyInItsProject) {
  const Caller key = Caller::Key("ke", "p", {"portal"});
  struct Case {
    const char* name;
    const char* as_tenant;  // the reason of the refusal; empty: let in
    const char* as_member;
    bool seen;
  };
  for (const Case& c :
       {Case{"tenants/ke/projects/p", "", "", true}, Case{"tenants/ke/projects/p/instances/i", "", "", true},
        Case{"tenants/ke/projects/p2", "NOT_FOUND", "", false},
        Case{"tenants/ke/projects/p2/instances/p", "NOT_FOUND", "", false},
        Case{"tenants/ke/projects/-", "NOT_FOUND", "", false}, Case{"tenants/ke", "PROJECT_KEY", "", false},
        Case{"tenants/ke/billingAccount", "PROJECT_KEY", "", false},
        Case{"tenants/ke/invoices/p", "PROJECT_KEY", "", false},
        Case{"tenants/tz/projects/p", "NOT_FOUND", "NOT_FOUND", true},
        Case{"projects/p", "NOT_FOUND", "NOT_FOUND", false}}) {
    const auto reason = [](const Status& status) { return status ? std::string() : status.error().reason; };
    EXPECT_EQ(reason(RequireTenant(key, c.name)), c.as_tenant) << c.name;
    EXPECT_EQ(reason(RequireMember(key, c.name)), c.as_member) << c.name;
    EXPECT_EQ(MaySee(key, c.name), c.seen) << c.name;
  }
  EXPECT_TRUE(MaySee(Caller::Tenant("ke"), "tenants/ke/projects/p2"));
  EXPECT_TRUE(MaySee(Caller::Operator(), "tenants/ke/projects/p2"));
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
  const auto server = Server::Start({.listen = "unix:" + path, .peer_uids = {kNamed}}, {&service_});
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
        listener->Start([&](int) {
          std::filesystem::remove_all(dir / "");  // the process that dies has a directory of its own
          throw std::runtime_error("no room for a connection");
        });
        (void)MakeChannel(address)->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
      },
      "a thread threw.*listener.*no room for a connection");
}

}  // namespace
}  // namespace allod
