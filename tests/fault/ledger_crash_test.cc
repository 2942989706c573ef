// A real billing is killed, or made to fail, at each fault point of the calls that change its books, those that no
// gateway makes among them. Whoever calls again until he is answered finds that it happened once.
#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/billing/v1/invoice.grpc.pb.h"
#include "allod/billing/v1/lease.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/timestamp.h"
#include "tests/contract/billing_invoices_fixture.h"
#include "tests/support/fault_board.h"
#include "tests/support/process.h"

namespace allod::billing::ledger_crash_test {
namespace {

using namespace invoicing;
using enum FaultPoint;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{30};

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
        nlohmann::json{{"listen", Target("billing")}, {"database", database}, {"tenancy_target", Target("tenancy")}}
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
  bool AwaitNothingHeld(const std::string& tenant) {
    const auto end = steady_clock::now() + kPatience;
    while (steady_clock::now() < end) {
      StartIfDead();
      if (store_.GetBillingAccount(Tenant(tenant))->held == Amount()) return true;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
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

constexpr std::int64_t kCostOfOne = 7 * kDearPrompt + 13 * kDearCompletion;

TEST_F(LedgerCrash, RequestsAreHeldAndSettledOnce) {
  using Usage = v1::UsageService;
  const Caller gateway = Caller::Service("gateway");
  AtEach({kReserveReleased, kReserveWritten, kReserveCommitted, kSettleLocked, kSettleWritten, kSettleCommitted},
         [&](const std::string& tenant) {
           v1::ReserveRequest request = Reservation(tenant, Now(), 10min);
           (void)Insist<Usage>(&Usage::Stub::Reserve, request, gateway);
           const v1::ReserveRequest first = request;
           request.set_revision(1);
           request.set_completion_tokens_max(200);
           (void)Insist<Usage>(&Usage::Stub::Reserve, request, gateway);
           (void)Insist<Usage>(&Usage::Stub::Settle, End(first), gateway);
           (void)Insist<Usage>(&Usage::Stub::Settle, End(first), gateway);
           EXPECT_EQ(Posted(tenant), kCostOfOne);
           EXPECT_TRUE(AwaitNothingHeld(tenant));
         });
}

TEST_F(LedgerCrash, WhatIsDueIsReleasedOnce) {
  using Usage = v1::UsageService;
  AtEach({kExpireWritten, kExpireCommitted}, [&](const std::string& tenant) {
    const v1::ReserveRequest request = Reservation(tenant, Now(), 1s);
    (void)Insist<Usage>(&Usage::Stub::Reserve, request, Caller::Service("gateway"));
    EXPECT_TRUE(AwaitNothingHeld(tenant));
    (void)Insist<Usage>(&Usage::Stub::Settle, End(request), Caller::Service("gateway"));
    EXPECT_EQ(Posted(tenant), kCostOfOne) << "settled late, all the same";
  });
  using Leases = v1::LeaseService;
  AtEach({kExpireLeasesWritten}, [&](const std::string& tenant) {
    v1::AdjustLeaseRequest request;
    request.set_lease_id(Uuid::V7().ToString());
    request.set_tenant("tenants/" + tenant);
    request.set_gateway_id(Uuid::V7().ToString());
    request.set_epoch(1);
    request.set_need("1");
    request.set_want("1");
    *request.mutable_send_time() = ToTimestamp(Now());
    (void)Insist<Leases>(&Leases::Stub::AdjustLease, request, Caller::Service("gateway"));
    {
      pqxx::connection connection(database_.owner_url);
      pqxx::work work(connection);
      work.exec("UPDATE billing.leases SET expire_time = now() WHERE end_time IS NULL");
      work.commit();
    }
    EXPECT_TRUE(AwaitNothingHeld(tenant));
  });
}

TEST_F(LedgerCrash, AccountsAndPricesAreSetOnce) {
  AtEach({kAccountWritten, kAccountCommitted}, [&](const std::string& tenant) {
    v1::SetBillingAccountRequest request;
    request.mutable_billing_account()->set_name("tenants/" + tenant + "/billingAccount");
    request.mutable_billing_account()->set_currency_code("KES");
    request.mutable_billing_account()->set_credit_limit("77");
    request.set_request_id(Uuid::V7().ToString());
    const std::int64_t entries = Count("SELECT count(*) FROM billing.audit_entries");
    (void)Insist<v1::BillingAccountService>(&v1::BillingAccountService::Stub::SetBillingAccount, request);
    EXPECT_EQ(store_.GetBillingAccount(Tenant(tenant))->credit_limit, Kes("77"));
    EXPECT_EQ(Count("SELECT count(*) FROM billing.audit_entries"), entries + 1);
  });
  AtEach({kPriceBookWritten, kPriceBookCommitted}, [&](const std::string& tenant) {
    v1::CreatePriceBookRequest request;
    request.mutable_price_book()->set_name("priceBooks/" + Uuid::FromName(tenant).ToString());
    request.mutable_price_book()->set_listing("listings/crash");
    auto& price = *request.mutable_price_book()->add_prices();
    price.set_currency_code("KES");
    price.set_prompt_price_per_million("1");
    price.set_completion_price_per_million("2");
    (void)Insist<v1::PriceBookService>(&v1::PriceBookService::Stub::CreatePriceBook, request);
    EXPECT_EQ(store_.GetPriceBook(Uuid::FromName(tenant))->prices.size(), 1U);
  });
}

TEST_F(LedgerCrash, WhatANodeComputedIsRecordedOnce) {
  AtEach({kComputedWritten}, [&](const std::string& tenant) {
    const v1::ReserveRequest reservation = Reservation(tenant, Now(), 10min);
    (void)Insist<v1::UsageService>(&v1::UsageService::Stub::Reserve, reservation, Caller::Service("gateway"));
    (void)Insist<v1::UsageService>(&v1::UsageService::Stub::Settle, End(reservation), Caller::Service("gateway"));
    v1::RecordComputedUsageRequest request;
    auto& event = *request.add_events();
    event.set_event_id(Uuid::V7().ToString());
    event.set_request_id(reservation.request_id());
    event.set_tenant_uid(Tenant(tenant).ToString());
    event.set_instance(reservation.instance());
    event.set_node("nodes/n1");
    event.set_replica_uid(Uuid::V7().ToString());
    event.set_prompt_tokens_computed(7);
    event.set_sampled_tokens(14);
    event.set_outcome(v1::COMPUTED_OUTCOME_COMPLETED);
    *event.mutable_start_time() = ToTimestamp(Now() - 1s);
    *event.mutable_end_time() = ToTimestamp(Now());
    using Computed = v1::ComputedUsageService;
    // An answer that something is postponed is no answer yet.
    for (int tries = 0; tries < 100; ++tries) {
      const auto answer = Insist<Computed>(&Computed::Stub::RecordComputedUsage, request, Caller::Node("n1"));
      if (answer.postponed_event_ids().empty()) break;
      std::this_thread::sleep_for(milliseconds(10));
    }
    (void)Insist<Computed>(&Computed::Stub::RecordComputedUsage, request, Caller::Node("n1"));
    EXPECT_EQ(
        Count("SELECT count(*) FROM billing.computed_usage WHERE tenant_id = '" + Tenant(tenant).ToString() + "'"), 1);
  });
}

TEST_F(LedgerCrash, InvoicesAndCreditNotesAreIssuedOnceWithoutAGap) {
  using Invoices = v1::InvoiceService;
  AtEach({kInvoiceNumbered, kInvoiceBooked, kInvoiceWritten, kFinaliseCommitted}, [&](const std::string& tenant) {
    Use(store_, tenant, kOctober + 1h, 31'000, 17'000);
    v1::FinaliseInvoiceRequest request;
    request.set_name("tenants/" + tenant + "/invoices/2025-10");
    const auto invoice = Insist<Invoices>(&Invoices::Stub::FinaliseInvoice, request);
    EXPECT_EQ(invoice.number(), Insist<Invoices>(&Invoices::Stub::FinaliseInvoice, request).number());
  });
  const std::int64_t issued = Count("SELECT count(*) FROM billing.invoices WHERE kind = 'invoice'");
  EXPECT_EQ(Count("SELECT max(sequence) FROM billing.invoices WHERE kind = 'invoice'"), issued);
  AtEach({kInvoiceNumbered, kInvoiceBooked, kInvoiceWritten, kCreditCommitted}, [&](const std::string& tenant) {
    // Invoiced by this process, which nobody kills.
    Use(store_, tenant, kOctober + 1h, 31'000, 17'000);
    ASSERT_TRUE(store_.FinaliseInvoice(Finalise(tenant), Now()));
    v1::CreateCreditNoteRequest request;
    request.set_invoice("tenants/" + tenant + "/invoices/2025-10");
    request.set_reason("a crash");
    request.set_request_id(Uuid::V7().ToString());
    const auto note = Insist<Invoices>(&Invoices::Stub::CreateCreditNote, request);
    EXPECT_EQ(note.number(), Insist<Invoices>(&Invoices::Stub::CreateCreditNote, request).number());
    EXPECT_EQ(Posted(tenant), 0) << "what is credited as a whole leaves nothing owed";
  });
  const std::int64_t credited = Count("SELECT count(*) FROM billing.invoices WHERE kind = 'credit_note'");
  EXPECT_EQ(Count("SELECT max(sequence) FROM billing.invoices WHERE kind = 'credit_note'"), credited);
}

}  // namespace
}  // namespace allod::billing::ledger_crash_test
