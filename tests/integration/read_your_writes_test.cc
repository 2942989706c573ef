// Who creates a key or an instance uses it at once, and who revokes one or suspends a tenant is safe at once: gateway
// processes that watch the real services, also when one of them is stopped or killed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "services/common/rpc/client.h"
#include "services/scheduling/tenant_watch.h"
#include "services/scheduling/testing/scheduling_on_fakes.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/tenant_service.h"
#include "tests/integration/gateway_http_client.h"
#include "tests/integration/gateway_peers.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/process.h"

namespace allod::gateway::read_your_writes_test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using KeyStub = tenancy::v1::ApiKeyService::Stub;
using TenantStub = tenancy::v1::TenantService::Stub;
using InstanceStub = scheduling::v1::InstanceService::Stub;

constexpr char kProjectOfTest[] = "tenants/ke/projects/p";

double Milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double Quantile(std::vector<double> values, double quantile) {
  std::ranges::sort(values);
  return values.at(static_cast<std::size_t>(quantile * static_cast<double>(values.size() - 1)));
}

class ReadYourWrites : public testing::Test {
 protected:
  void SetUp() override {
    directory_.Write("pepper", kPepper);
    ASSERT_TRUE(store_.CreateTenant({"ke", "Kenya", "KES", {"ke"}, tenancy::TenantState::kActive, clock_.Now()}, {}));
    ASSERT_TRUE(store_.CreateProject({"ke", "p", "P", clock_.Now()}, {}));
    StartTenancy();
    scheduling_server_ = Start("scheduling", {&scheduling_.instances, &scheduling_.routes});
    scheduling_.reconciler.Start();
    tenant_watch_ = scheduling::WatchTenants(MakeChannel(Target("tenancy")), tenant_table_);
    a_ = StartGateway("a", port_a_);
    b_ = StartGateway("b", port_b_);
    key_ = CreateKey()->secret();
    // Both have the routes as well: what is not there is 404, not 503.
    for (const int port : {port_a_, port_b_}) {
      ASSERT_TRUE(Eventually([&] { return ModelStatus(port, "none") == 404; }));
    }
  }
  void TearDown() override {
    a_.reset();
    b_.reset();
    tenant_watch_->Stop();
    scheduling_.routes.Stop();
    scheduling_.reconciler.Stop();
    scheduling_.driver.Stop();
    StopTenancy();
    scheduling_server_->Stop(1s);
  }

  std::string Target(const std::string& name) const { return "unix:" + (directory_ / (name + ".sock")).string(); }
  std::unique_ptr<Server> Start(const std::string& name, const std::vector<grpc::Service*>& services) {
    auto started = Server::Start({.listen = Target(name)}, services);
    EXPECT_TRUE(started) << started.error().message;
    return *std::move(started);
  }
  void StartTenancy() {
    feed_ = std::make_unique<tenancy::KeyFeed>(store_, clock_);
    keys_ = std::make_unique<tenancy::ApiKeyServiceImpl>(store_, *feed_, clock_, gates_, kPepper);
    tenant_feed_ = std::make_unique<tenancy::TenantFeed>(store_);
    tenants_ = std::make_unique<tenancy::TenantServiceImpl>(
        store_, *tenant_feed_, clock_, gates_, "ke",
        [this](const tenancy::TenantStateChange& change, tenancy::SteadyTime until) {
          keys_->AwaitInForce(until, change.tenant.id, change.keys_version);
        });
    tenancy_server_ = Start("tenancy", {keys_.get(), tenants_.get()});
    feed_->Start();
    tenant_feed_->Start();
    tenant_stub_ = tenancy::v1::TenantService::NewStub(MakeChannel(Target("tenancy")));
    key_stub_ = tenancy::v1::ApiKeyService::NewStub(MakeChannel(Target("tenancy")));
  }
  void StopTenancy() {
    feed_->Stop();
    tenant_feed_->Stop();
    tenancy_server_->Stop(1s);
    tenancy_server_.reset();
    tenants_.reset();
    tenant_feed_.reset();
    keys_.reset();
    feed_.reset();
  }
  std::unique_ptr<Process> StartGateway(const std::string& name, int& port) {
    const nlohmann::json config = {{"http_listen", "127.0.0.1:0"},
                                   {"tenancy_target", Target("tenancy")},
                                   {"catalog_target", Target("catalog")},
                                   {"billing_target", Target("billing")},
                                   {"scheduling_target", Target("scheduling")},
                                   {"jurisdiction", "ke"},
                                   {"api_key_pepper_file", (directory_ / "pepper").string()},
                                   {"wake_wait_ms_max", 1},
                                   {"reserve_timeout_ms", 100},
                                   {"journal_dir", (directory_ / ("journal-" + name)).string()}};
    directory_.Write(name + ".json", config.dump());
    const char* build = std::getenv("ALLOD_BUILD_DIR");
    EXPECT_NE(build, nullptr) << "run this through ctest";
    auto process =
        std::make_unique<Process>(std::vector<std::string>{std::string(build ? build : ".") + "/bin/allod-gateway",
                                                           "--config", (directory_ / (name + ".json")).string()},
                                  ProcessOptions{.output = directory_ / (name + ".log")});
    EXPECT_TRUE(Eventually([&] { return process->Output().find("port=") != std::string::npos; })) << process->Output();
    const std::string output = process->Output();
    port = std::atoi(output.substr(output.find("port=") + 5).c_str());
    // Has keys and routes: then an unknown key is a 401.
    EXPECT_TRUE(Eventually([&] { return KeyStatus(port, FormatApiKey(NewApiKey())) == 401; }));
    return process;
  }

  Result<tenancy::v1::CreateApiKeyResponse> CreateKey() {
    tenancy::v1::CreateApiKeyRequest request;
    request.set_parent(kProjectOfTest);
    return CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, Caller::Operator(), 10s);
  }
  void Revoke(const std::string& name) {
    tenancy::v1::RevokeApiKeyRequest request;
    request.set_name(name);
    const auto revoked = CallUnary(*key_stub_, &KeyStub::RevokeApiKey, request, Caller::Operator(), 10s);
    EXPECT_TRUE(revoked) << revoked.error().message;
  }
  void CreateInstance(const std::string& id, scheduling::v1::IsolationClass isolation) {
    scheduling::v1::CreateInstanceRequest request;
    request.set_parent(kProjectOfTest);
    request.set_instance_id(id);
    auto& spec = *request.mutable_instance()->mutable_spec();
    spec.set_listing("listings/l");
    spec.set_variant("models/m/versions/1/variants/q4_k_m");
    spec.set_region("regions/ke-1");
    spec.set_isolation_class(isolation);
    const auto created = CallUnary(*instance_stub_, &InstanceStub::CreateInstance, request, Caller::Operator(), 10s);
    EXPECT_TRUE(created) << created.error().message;
  }
  void DeleteInstance(const std::string& id) {
    scheduling::v1::DeleteInstanceRequest request;
    request.set_name(std::string(kProjectOfTest) + "/instances/" + id);
    const auto deleted = CallUnary(*instance_stub_, &InstanceStub::DeleteInstance, request, Caller::Operator(), 10s);
    EXPECT_TRUE(deleted) << deleted.error().message;
  }

  void Suspend() {
    tenancy::v1::SuspendTenantRequest request;
    request.set_name("tenants/ke");
    const auto suspended = CallUnary(*tenant_stub_, &TenantStub::SuspendTenant, request, Caller::Operator(), 10s);
    EXPECT_TRUE(suspended) << suspended.error().message;
  }
  void Resume() {
    tenancy::v1::ResumeTenantRequest request;
    request.set_name("tenants/ke");
    const auto resumed = CallUnary(*tenant_stub_, &TenantStub::ResumeTenant, request, Caller::Operator(), 10s);
    EXPECT_TRUE(resumed) << resumed.error().message;
  }
  void LimitTenant(std::int64_t requests_per_minute) {
    tenancy::v1::GetTenantRequest get;
    get.set_name("tenants/ke");
    tenancy::v1::UpdateTenantRequest request;
    *request.mutable_tenant() = *CallUnary(*tenant_stub_, &TenantStub::GetTenant, get, Caller::Operator(), 10s);
    request.mutable_tenant()->mutable_limits()->set_requests_per_minute(requests_per_minute);
    const auto updated = CallUnary(*tenant_stub_, &TenantStub::UpdateTenant, request, Caller::Operator(), 10s);
    EXPECT_TRUE(updated) << updated.error().message;
  }
  // What a gateway says of the limit that leaves a request least, and of what it leaves.
  std::pair<int, int> LimitAt(int port) {
    const std::string head = Fetch(port, "GET", "/portal/v1/tenants/ke", key_).head;
    const auto number = [&](const std::string& name) {
      const std::size_t at = head.find(name + ": ");
      return at == std::string::npos ? -1 : std::atoi(head.c_str() + at + name.size() + 2);
    };
    return {number("x-ratelimit-limit-requests"), number("x-ratelimit-remaining-requests")};
  }
  bool IsStopped(const std::string& id) {
    const auto table = scheduling_.reconciler.routes().Await(0, 0ms).value;
    const auto* route = scheduling::FindRoute(*table, std::string(kProjectOfTest) + "/instances/" + id);
    return route != nullptr && route->stopped;
  }

  static int KeyStatus(int port, const std::string& key) { return Fetch(port, "GET", "/v1/models", key).status; }
  int ModelStatus(int port, const std::string& id) { return Fetch(port, "GET", "/v1/models/" + id, key_).status; }
  // Creates a key, which has to work at `ports` at once; how long the creation took.
  Clock::duration CreateAndUse(std::initializer_list<int> ports) {
    const auto start = Clock::now();
    const auto created = CreateKey();
    const auto took = Clock::now() - start;
    EXPECT_TRUE(created) << created.error().message;
    for (const int port : ports) EXPECT_EQ(KeyStatus(port, created->secret()), 200);
    return took;
  }

  TempDir directory_;
  SystemClock clock_;
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  tenancy::PgStore store_{pool_};
  tenancy::CallGates gates_;
  std::unique_ptr<tenancy::KeyFeed> feed_;
  std::unique_ptr<tenancy::ApiKeyServiceImpl> keys_;
  std::unique_ptr<KeyStub> key_stub_;
  std::unique_ptr<tenancy::TenantFeed> tenant_feed_;
  std::unique_ptr<tenancy::TenantServiceImpl> tenants_;
  std::unique_ptr<TenantStub> tenant_stub_;
  scheduling::SchedulingOnFakes scheduling_{clock_};
  scheduling::TenantTable tenant_table_{scheduling_.terms, scheduling_.reconciler.routes(), scheduling_.gateways};
  std::unique_ptr<WatchLoop> tenant_watch_;
  std::unique_ptr<Server> tenancy_server_, scheduling_server_;
  std::unique_ptr<InstanceStub> instance_stub_ =
      scheduling::v1::InstanceService::NewStub(MakeChannel(Target("scheduling")));
  std::unique_ptr<Process> a_, b_;
  int port_a_ = 0;
  int port_b_ = 0;
  std::string key_;
};

TEST_F(ReadYourWrites, TwoHundredKeysWorkAtEveryGatewayWhenTheirCreationReturnsAndNotAfterTheirRevocation) {
  int early = 0;
  int late = 0;
  std::vector<double> creations;
  for (int i = 0; i < 200; ++i) {
    const auto start = Clock::now();
    const auto created = CreateKey();
    creations.push_back(Milliseconds(Clock::now() - start));
    ASSERT_TRUE(created) << created.error().message;
    for (const int port : {port_a_, port_b_}) {
      if (KeyStatus(port, created->secret()) != 200) ++early;
    }
    Revoke(created->api_key().name());
    for (const int port : {port_a_, port_b_}) {
      if (KeyStatus(port, created->secret()) != 401) ++late;
    }
  }
  EXPECT_EQ(early, 0) << "of 400 uses right after the creation";
  EXPECT_EQ(late, 0) << "of 400 uses right after the revocation";
  std::printf("creating a key: %.1f ms median, %.1f ms p99\n", Quantile(creations, 0.5), Quantile(creations, 0.99));
}

TEST_F(ReadYourWrites, AnInstanceIsRoutedToWhenItsCreationReturnsAndNotAfterItsDeletion) {
  int early = 0;
  int late = 0;
  std::vector<double> creations;
  for (int i = 0; i < 60; ++i) {
    const std::string id = "i" + std::to_string(i);
    const auto start = Clock::now();
    CreateInstance(id, i % 2 == 0 ? scheduling::v1::ISOLATION_CLASS_ISOLATED : scheduling::v1::ISOLATION_CLASS_POOLED);
    creations.push_back(Milliseconds(Clock::now() - start));
    for (const int port : {port_a_, port_b_}) {
      if (ModelStatus(port, id) != 200) ++early;
    }
    DeleteInstance(id);
    for (const int port : {port_a_, port_b_}) {
      if (ModelStatus(port, id) != 404) ++late;
    }
  }
  EXPECT_EQ(early, 0) << "of 120 questions right after the creation";
  EXPECT_EQ(late, 0) << "of 120 questions right after the deletion";
  std::printf("creating an instance: %.1f ms median, %.1f ms p99\n", Quantile(creations, 0.5),
              Quantile(creations, 0.99));
}

TEST_F(ReadYourWrites, ASuspensionIsInForceEverywhereWhenItReturnsAndSoIsItsEnd) {
  CreateInstance("i", scheduling::v1::ISOLATION_CLASS_ISOLATED);
  int late = 0;
  int early = 0;
  std::vector<double> suspensions;
  for (int i = 0; i < 100; ++i) {
    const auto start = Clock::now();
    Suspend();
    suspensions.push_back(Milliseconds(Clock::now() - start));
    for (const int port : {port_a_, port_b_}) {
      if (KeyStatus(port, key_) != 403) ++late;
    }
    if (!IsStopped("i")) ++late;
    Resume();
    for (const int port : {port_a_, port_b_}) {
      if (ModelStatus(port, "i") != 200) ++early;
    }
  }
  EXPECT_EQ(late, 0) << "of 200 uses and 100 looks right after the suspension";
  EXPECT_EQ(early, 0) << "of 200 uses right after its end";
  EXPECT_LT(Quantile(suspensions, 0.99), 1000.0) << "ms, refused at two gateways and not routed to";
  std::printf("suspending a tenant: %.1f ms median, %.1f ms p99\n", Quantile(suspensions, 0.5),
              Quantile(suspensions, 0.99));
}

TEST_F(ReadYourWrites, ALimitIsInForceEverywhereWhenItsChangeReturnsAndWhatWasUsedStaysUsed) {
  std::vector<double> changes;
  for (int i = 0; i < 30; ++i) {
    const int limit = i % 2 == 0 ? 100 + i : 400 + i;
    const auto start = Clock::now();
    LimitTenant(limit);
    changes.push_back(Milliseconds(Clock::now() - start));
    for (const int port : {port_a_, port_b_}) EXPECT_EQ(LimitAt(port).first, limit) << "right after the change";
  }
  EXPECT_LT(Quantile(changes, 0.99), 1000.0) << "ms, at two gateways";
  std::printf("changing a limit: %.1f ms median, %.1f ms p99\n", Quantile(changes, 0.5), Quantile(changes, 0.99));
  LimitTenant(200);
  for (int i = 0; i < 60; ++i) LimitAt(port_a_);
  const double left = LimitAt(port_a_).second / 200.0;
  EXPECT_LT(left, 0.8);
  LimitTenant(400);
  EXPECT_NEAR(LimitAt(port_a_).second / 400.0, left, 0.1);
  LimitTenant(0);
  EXPECT_EQ(LimitAt(port_a_).first, 600) << "that of every key";
}

TEST_F(ReadYourWrites, ASuspensionHoldsWhileSchedulingIsAwayAndReachesItWhenItIsBack) {
  CreateInstance("i", scheduling::v1::ISOLATION_CLASS_ISOLATED);
  tenant_watch_->Stop();
  const auto start = Clock::now();
  Suspend();
  EXPECT_LT(Clock::now() - start, 1800ms) << "nobody waits for one that is gone";
  EXPECT_EQ(KeyStatus(port_a_, key_), 403);
  EXPECT_FALSE(IsStopped("i"));
  tenant_watch_ = scheduling::WatchTenants(MakeChannel(Target("tenancy")), tenant_table_);
  EXPECT_TRUE(Eventually([&] { return IsStopped("i"); }));
}

TEST_F(ReadYourWrites, AStoppedGatewayHoldsOneMutationUpAndHearsOfAllWhenItGoesOn) {
  b_->Signal(SIGSTOP);
  EXPECT_LT(CreateAndUse({port_a_}), 3s);
  for (int i = 0; i < 5; ++i) EXPECT_LT(CreateAndUse({port_a_}), 1800ms);
  const auto missed = CreateKey();
  b_->Signal(SIGCONT);
  EXPECT_TRUE(Eventually([&] { return KeyStatus(port_b_, missed->secret()) == 200; }));
  EXPECT_TRUE(Eventually([&] {
    const auto created = CreateKey();
    return created && KeyStatus(port_b_, created->secret()) == 200;
  })) << "it keeps up again";
  for (int i = 0; i < 10; ++i) CreateAndUse({port_a_, port_b_});
}

TEST_F(ReadYourWrites, AKilledGatewayHoldsNobodyUp) {
  b_->Signal(SIGKILL);
  ASSERT_TRUE(b_->Wait(5s));
  for (int i = 0; i < 5; ++i) EXPECT_LT(CreateAndUse({port_a_}), 1800ms);
  const auto start = Clock::now();
  CreateInstance("after", scheduling::v1::ISOLATION_CLASS_ISOLATED);
  EXPECT_LT(Clock::now() - start, 1800ms);
  EXPECT_EQ(ModelStatus(port_a_, "after"), 200);
}

TEST_F(ReadYourWrites, AKeyMadeWhileAGatewayConnectsAgainIsNeverAnInvalidOne) {
  for (int round = 0; round < 3; ++round) {
    StopTenancy();
    StartTenancy();
    const auto created = CreateKey();
    ASSERT_TRUE(created) << created.error().message;
    int status = 0;
    EXPECT_TRUE(Eventually([&] {
      status = KeyStatus(port_a_, created->secret());
      return status != 503;
    }));
    EXPECT_EQ(status, 200) << "503 until it was known, which clients try again";
  }
}

}  // namespace
}  // namespace allod::gateway::read_your_writes_test
