// Whoever asks for how much: the money of the others is moved in time. The real service on PostgreSQL, whose tables are
// locked by hand where a report would be slow, so that "slow" does not depend on the machine.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <thread>

#include "services/billing/call_gates.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/usage_service.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/temp_dir.h"

namespace allod::billing::billing_pressure_test {
namespace {

using namespace std::chrono_literals;

// What a gateway waits for a reservation.
constexpr std::chrono::milliseconds kReserveDeadline{2000};

class BillingPressure : public testing::Test {
 protected:
  static PgConfig Sized(PgConfig config, int connections) {
    config.connections_max = connections;
    config.acquire_timeout = 1000ms;
    return config;
  }

  void SetUp() override {
    ASSERT_TRUE(store_.CreatePriceBook(ContractPriceBook(), kNow));
    for (const char* tenant : {"ke", "tz"}) ASSERT_TRUE(store_.SetBillingAccount(Account(tenant, 1000 * kHold), kNow));
    server_ = Server::Start({.listen = address_}, {&usage_, &computed_}).value();
    channel_ = MakeChannel(address_);
  }

  // Reserves and settles `count` requests of a tenant through the RPCs, each within the deadline; returns how many.
  int Serve(const std::string& tenant, int count) {
    const auto stub = v1::UsageService::NewStub(channel_);
    int served = 0;
    for (int i = 0; i < count; ++i) {
      const ReserveCommand request = Request(tenant, clock_.Now());
      v1::ReserveRequest reserve;
      reserve.set_request_id(request.request_id.ToString());
      reserve.set_tenant("tenants/" + tenant);
      reserve.set_instance(request.instance);
      reserve.set_variant(request.variant);
      reserve.set_price_book("priceBooks/" + kBook.ToString());
      reserve.set_prompt_tokens_max(10);
      reserve.set_completion_tokens_max(100);
      reserve.mutable_expire_time()->set_seconds(
          std::chrono::duration_cast<std::chrono::seconds>((clock_.Now() + 10min).time_since_epoch()).count());
      const auto held =
          CallUnary(*stub, &v1::UsageService::Stub::Reserve, reserve, Caller::Service("gateway"), kReserveDeadline);
      EXPECT_TRUE(held) << held.error().reason << ": " << held.error().message;
      v1::SettleRequest settle;
      settle.set_request_id(reserve.request_id());
      settle.set_tenant(reserve.tenant());
      settle.set_outcome(v1::OUTCOME_COMPLETED);
      settle.set_completion_tokens(1);
      const auto record =
          CallUnary(*stub, &v1::UsageService::Stub::Settle, settle, Caller::Service("gateway"), kReserveDeadline);
      EXPECT_TRUE(record) << record.error().reason << ": " << record.error().message;
      served += held && record ? 1 : 0;
    }
    return served;
  }

  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  const SystemClock clock_;
  TestDatabase database_{"billing"};
  PgPool money_{Sized(database_.app_config(), 4)};
  PgPool desk_{Sized(database_.app_config(), 2)};
  PgPool reports_{Sized(database_.app_config(), 2)};
  PgStore store_{money_, desk_, reports_};
  CallGates gates_;
  UsageServiceImpl usage_{store_, clock_, gates_};
  ComputedUsageServiceImpl computed_{store_, clock_, gates_};
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(BillingPressure, AFloodOfReportsKeepsNobodyFromAReservation) {
  pqxx::connection owner(database_.owner_url);
  pqxx::work lock(owner);
  lock.exec("LOCK TABLE billing.computed_usage IN ACCESS EXCLUSIVE MODE");  // every list of it hangs
  std::atomic<bool> enough = false;
  std::atomic<int> refused = 0;
  std::vector<std::jthread> flood;
  for (int i = 0; i < 32; ++i) {
    flood.emplace_back([&] {
      const auto stub = v1::ComputedUsageService::NewStub(channel_);
      v1::ListComputedUsageRequest list;
      list.set_parent("tenants/ke");
      while (!enough) {
        const auto page =
            CallUnary(*stub, &v1::ComputedUsageService::Stub::ListComputedUsage, list, Caller::Tenant("ke"), 10s);
        if (page || page.error().reason != "TOO_MANY_CALLS") continue;
        ++refused;
        EXPECT_EQ(page.error().code, Code::kResourceExhausted);
        std::this_thread::sleep_for(page.error().retry_after.value_or(1000ms) / 20);  // a rude client
      }
    });
  }
  while (refused < 32) std::this_thread::sleep_for(1ms);  // the flood is there, and goes on
  EXPECT_EQ(Serve("tz", 10), 10);
  EXPECT_EQ(Serve("ke", 10), 10) << "not even the tenant's own";
  enough = true;
  lock.abort();
}

TEST_F(BillingPressure, OneTenantsCrowdKeepsNobodyElseFromAReservation) {
  pqxx::connection owner(database_.owner_url);
  pqxx::work lock(owner);
  lock.exec("SELECT FROM billing.billing_accounts WHERE tenant_name = 'tenants/ke' FOR UPDATE");
  std::atomic<bool> enough = false;
  std::atomic<int> started = 0;
  std::vector<std::jthread> crowd;
  for (int i = 0; i < 48; ++i) {
    crowd.emplace_back([&] {
      const auto stub = v1::UsageService::NewStub(channel_);
      ++started;
      while (!enough) {
        v1::SettleRequest settle;
        settle.set_request_id(Uuid::V7(clock_.Now()).ToString());
        settle.set_tenant("tenants/ke");
        settle.set_outcome(v1::OUTCOME_COMPLETED);
        const auto refused = CallUnary(*stub, &v1::UsageService::Stub::Settle, settle, Caller::Service("gateway"), 5s);
        if (refused.error().retry_after) std::this_thread::sleep_for(50ms);  // as a gateway does
      }
    });
  }
  while (started < 48) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(50ms);  // until they wait for the lock
  EXPECT_EQ(Serve("tz", 10), 10);
  std::atomic<int> served = 0;
  {
    std::vector<std::jthread> others;
    for (int i = 0; i < 4; ++i) others.emplace_back([&] { served += Serve("tz", 2); });
  }
  EXPECT_EQ(served, 8) << "several at once find a place as well";
  enough = true;
  lock.abort();
}

}  // namespace
}  // namespace allod::billing::billing_pressure_test
