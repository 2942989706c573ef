// What a caller's deadline does, from its call to the statement on the server.
#include <gtest/gtest.h>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/call_gates.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/project_service.h"
#include "tests/support/pg_fixture.h"

namespace allod::tenancy::call_deadline_test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

class CallDeadline : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.CreateTenant({"ke", "Kenya", "KES", {"ke"}, TenantState::kActive, clock_.Now()}, {}));
    ASSERT_TRUE(store_.CreateProject({"ke", "p", "P", clock_.Now()}, {}));
    auto server = Server::Start({.listen = address_}, {&projects_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    stub_ = v1::ProjectService::NewStub(MakeChannel(address_));
    ASSERT_TRUE(GetProject(10s)) << "connected";
  }
  Result<v1::Project> GetProject(std::chrono::milliseconds timeout) {
    v1::GetProjectRequest request;
    request.set_name("tenants/ke/projects/p");
    return CallUnary(*stub_, &v1::ProjectService::Stub::GetProject, request, Caller::Tenant("ke"), timeout);
  }
  // Statements of the service's that the server works on.
  int ActiveStatements() {
    pqxx::connection owner(database_.owner_url);
    pqxx::nontransaction session(owner);
    return session
        .exec_params1(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = 'allod_tenancy' AND state = "
            "'active'",
            database_.name)[0]
        .as<int>();
  }

  SystemClock clock_;
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
  CallGates gates_;
  ProjectServiceImpl projects_{store_, clock_, gates_, [](const auto&...) {}};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::ProjectService::Stub> stub_;
};

TEST_F(CallDeadline, EndsAStatementThatWaitsForAnothersLock) {
  pqxx::connection owner(database_.owner_url);
  pqxx::work locker(owner);
  locker.exec("LOCK TABLE tenancy.projects IN ACCESS EXCLUSIVE MODE");
  const auto start = steady_clock::now();
  const auto answer = GetProject(300ms);
  const auto took = steady_clock::now() - start;
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded) << answer.error().message;
  EXPECT_LT(took, 1s) << "the lock would be waited for for 2 s";
  // The statement ends no later than the caller, give or take what a busy machine needs for it.
  while (ActiveStatements() > 0 && steady_clock::now() - start < 1500ms) std::this_thread::sleep_for(5ms);
  EXPECT_LT(steady_clock::now() - start, 1500ms) << "the server still works for a caller that is gone";
  locker.commit();
  EXPECT_TRUE(GetProject(10s));
}

}  // namespace
}  // namespace allod::tenancy::call_deadline_test
