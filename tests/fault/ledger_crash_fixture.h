// A real billing over PostgreSQL, armed, that dies or fails at a fault point while a test calls it, and is started
// again until it has answered.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>
#include <set>
#include <thread>

#include "allod/billing/v1/ledger.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"
#include "tests/contract/billing_invoices_fixture.h"
#include "tests/support/fault_board.h"
#include "tests/support/http_receiver.h"
#include "tests/support/process.h"

namespace allod::billing::ledger_crash {

using namespace invoicing;
using enum FaultPoint;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

inline constexpr std::chrono::seconds kPatience{30};
inline constexpr std::int64_t kCostOfOne = 7 * kDearPrompt + 13 * kDearCompletion;

class TenantPeer final : public tenancy::v1::TenantService::Service {
 public:
  grpc::Status GetTenant(grpc::ServerContext*, const tenancy::v1::GetTenantRequest* request,
                         tenancy::v1::Tenant* response) override {
    response->set_name(request->name());
    response->set_currency_code("KES");
    return grpc::Status::OK;
  }
};

class LedgerCrash : public testing::Test {
 protected:
  void SetUp() override {
    auto started = Server::Start({.listen = Target("tenancy"), .threads_max = 8}, {&tenants_});
    ASSERT_TRUE(started) << started.error().message;
    tenancy_ = *std::move(started);
    const PgConfig config = database_.app_config();
    nlohmann::json database = {{"url", config.url}, {"connections_max", 4}};
    if (!config.password_file.empty()) database["password_file"] = config.password_file;
    directory_.Write(
        "billing.json",
        nlohmann::json{{"listen", Target("billing")},
                       {"database", database},
                       {"tenancy_target", Target("tenancy")},
                       {"event_secret_file",
                        directory_.Write("secret", "a secret of thirty-two characters, at the least").string()},
                       {"event_networks_allowed", nlohmann::json::array({"127.0.0.0/8"})}}
            .dump());
    Start();
  }
  std::string Target(const std::string& name) const { return "unix:" + (directory_ / (name + ".sock")).string(); }
  void Start() {
    const char* build = std::getenv("ALLOD_BUILD_DIR");
    ASSERT_NE(build, nullptr) << "run this through ctest";
    billing_ = std::make_unique<Process>(
        std::vector<std::string>{std::string(build) + "/tests/allod-billing-armed", "--config",
                                 directory_ / "billing.json"},
        ProcessOptions{.environment = {board_.environment()}, .output = directory_ / "billing.log"});
  }
  void StartIfDead() {
    if (!billing_->Running()) Start();
  }

  // The same call until it is answered.
  template <typename Service, typename Req, typename Resp>
  Resp Insist(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request,
              const Caller& caller = Caller::Operator()) {
    const auto end = steady_clock::now() + kPatience;
    while (true) {
      const auto stub = Service::NewStub(MakeChannel(Target("billing")));
      Result<Resp> done = CallUnary(*stub, method, request, caller, milliseconds(3000));
      if (done) return *done;
      if (steady_clock::now() > end) {
        ADD_FAILURE() << done.error().reason << ": " << done.error().message;
        return {};
      }
      StartIfDead();
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  // `act` with a billing that dies, then with one that fails, at the point; each for a tenant of its own.
  void AtEach(std::initializer_list<FaultPoint> points, const std::function<void(const std::string& tenant)>& act) {
    for (const FaultPoint point : points) {
      const auto name = kFaultPoints[static_cast<std::size_t>(point)].name;
      for (const FaultAction action : {FaultAction::kKill, FaultAction::kFail}) {
        SCOPED_TRACE(std::string(name) + (action == FaultAction::kKill ? " killed" : " failed"));
        const std::string tenant = "t" + std::to_string(++tenant_count_);
        OpenInvoicing(store_, tenant);
        const std::uint64_t before = board_.fired(point);
        board_.Arm(point, action);
        act(tenant);
        EXPECT_EQ(board_.fired(point), before + 1) << "it was not passed";
        StartIfDead();
        ExpectSoundBooks(store_, tenant);
        // What is no usage as well: wallets, budgets, the time of instances.
        const auto checked = Insist<v1::LedgerService>(&v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest());
        EXPECT_THAT(checked.mismatched_accounts(), testing::IsEmpty());
        EXPECT_THAT(checked.unaudited_tenants(), testing::IsEmpty());
        if (HasFailure()) return;
      }
    }
  }

  v1::ReserveRequest Reservation(const std::string& tenant, Time now, std::chrono::seconds expires) {
    v1::ReserveRequest out;
    out.set_request_id(Uuid::V7(now).ToString());
    out.set_tenant("tenants/" + tenant);
    out.set_instance("tenants/" + tenant + "/projects/p/instances/i");
    out.set_variant("models/m/versions/v/variants/q4_k_m");
    out.set_price_book("priceBooks/" + kDearBook.ToString());
    out.set_prompt_tokens_max(10);
    out.set_completion_tokens_max(100);
    *out.mutable_expire_time() = ToTimestamp(now + expires);
    return out;
  }
  static Time Now() { return std::chrono::time_point_cast<Time::duration>(std::chrono::system_clock::now()); }
  static v1::SettleRequest End(const v1::ReserveRequest& of) {
    v1::SettleRequest out;
    out.set_request_id(of.request_id());
    out.set_tenant(of.tenant());
    out.set_outcome(v1::OUTCOME_COMPLETED);
    out.set_prompt_tokens(7);
    out.set_completion_tokens(13);
    return out;
  }
  std::int64_t Posted(const std::string& tenant) {
    return static_cast<std::int64_t>(store_.GetBillingAccount(Tenant(tenant))->posted.pico());
  }
  // Whatever dies meanwhile is started again.
  bool Await(const std::function<bool()>& holds) {
    const auto end = steady_clock::now() + kPatience;
    while (steady_clock::now() < end) {
      StartIfDead();
      if (holds()) return true;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
  }
  bool AwaitNothingHeld(const std::string& tenant) {
    return Await([&] { return store_.GetBillingAccount(Tenant(tenant))->held == Amount(); });
  }
  // One request, used and settled.
  v1::ReserveRequest UseOnce(const std::string& tenant) {
    const v1::ReserveRequest request = Reservation(tenant, Now(), std::chrono::minutes(10));
    (void)Insist<v1::UsageService>(&v1::UsageService::Stub::Reserve, request, Caller::Service("gateway"));
    (void)Insist<v1::UsageService>(&v1::UsageService::Stub::Settle, End(request), Caller::Service("gateway"));
    return request;
  }
  std::int64_t Count(const std::string& sql) {
    pqxx::connection connection(database_.owner_url);
    pqxx::nontransaction session(connection);
    return session.exec(sql)[0][0].as<std::int64_t>();
  }

  TempDir directory_;
  TestDatabase database_{"billing"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
  FaultBoard board_;
  TenantPeer tenants_;
  std::unique_ptr<Server> tenancy_;
  std::unique_ptr<Process> billing_;
  int tenant_count_ = 0;
};

}  // namespace allod::billing::ledger_crash
