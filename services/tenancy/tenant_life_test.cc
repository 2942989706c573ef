// What becomes of a tenant, over a real server and channel, on the fake store: changes, suspension, and who waits for
// whom.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/watch.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::tenant_life_test {
namespace {

using namespace std::chrono_literals;
using Stub = v1::TenantService::Stub;

// What scheduling makes of the feed.
class Table {
 public:
  void BeginSnapshot() {}
  void Apply(const v1::WatchTenantsResponse& message) {
    while (blocked_) std::this_thread::sleep_for(1ms);
    const std::scoped_lock lock(mutex_);
    for (const auto& tenant : message.tenants()) tenants_[tenant.name()] = tenant;
    sent_ += message.tenants_size();
    synced_ = synced_ || message.synced();
  }
  void EndStream() {}
  v1::Tenant Find(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return tenants_[name];
  }
  bool synced() const { return synced_; }
  int sent() const { return sent_; }
  void Block(bool blocked) { blocked_ = blocked; }

 private:
  std::mutex mutex_;
  std::map<std::string, v1::Tenant> tenants_;
  std::atomic<bool> synced_ = false;
  std::atomic<bool> blocked_ = false;
  std::atomic<int> sent_ = 0;
};

void AddRule(v1::UpdateTenantRequest& request, residency::v1::DataClass data_class,
             const std::vector<std::string>& jurisdictions) {
  auto& rule = *request.mutable_tenant()->add_residency_rules();
  rule.set_data_class(data_class);
  rule.mutable_jurisdictions()->Assign(jurisdictions.begin(), jurisdictions.end());
}

class TenantLifeTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = Server::Start({.listen = address_}, {&tenants_}).value();
    stub_ = v1::TenantService::NewStub(MakeChannel(address_));
    feed_.Start();
    v1::CreateTenantRequest request;
    request.set_tenant_id("ke");
    request.mutable_tenant()->set_display_name("Kenya");
    request.mutable_tenant()->set_currency_code("KES");
    request.mutable_tenant()->add_residency("ke");
    kenya_ = Ask(&Stub::CreateTenant, request).value();
  }
  void TearDown() override {
    feed_.Stop();
    server_->Stop(1s);
  }
  template <typename Request, typename Response>
  Result<Response> Ask(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request, const Caller& caller = Caller::Operator()) {
    return CallUnary(*stub_, method, request, caller, 5s);
  }
  v1::UpdateTenantRequest Update() {
    v1::UpdateTenantRequest request;
    *request.mutable_tenant() = kenya_;
    return request;
  }
  Result<v1::Tenant> Suspend(const std::string& reason, const std::string& request_id = "") {
    v1::SuspendTenantRequest request;
    request.set_name("tenants/ke");
    request.set_reason(reason);
    request.set_request_id(request_id);
    return Ask(&Stub::SuspendTenant, request);
  }
  Result<v1::Tenant> Resume(const std::string& request_id = "") {
    v1::ResumeTenantRequest request;
    request.set_name("tenants/ke");
    request.set_request_id(request_id);
    return Ask(&Stub::ResumeTenant, request);
  }
  std::unique_ptr<WatchLoop> Follow(Table& table) {
    auto loop =
        Watch("tenants", Caller::Service("scheduling"), v1::TenantService::NewStub(MakeChannel(address_)),
              &v1::TenantService::StubInterface::async_interface::WatchTenants, &Stub::AcknowledgeTenants, table);
    while (!table.synced()) std::this_thread::sleep_for(1ms);
    return loop;
  }

  FakeClock clock_;
  FakeStore store_;
  TenantFeed feed_{store_};
  CallGates gates_;
  std::atomic<std::int64_t> keys_awaited_ = 0;
  TenantServiceImpl tenants_{
      store_, feed_, clock_,
      gates_, "ke",  [this](const TenantStateChange& change, SteadyTime) {
                               keys_awaited_ = change.keys_version; }};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<Stub> stub_;
  v1::Tenant kenya_;
};

TEST_F(TenantLifeTest, AnUpdateReplacesTheContentAndGivesANewEtag) {
  EXPECT_EQ(kenya_.weight(), 1);
  auto request = Update();
  request.mutable_tenant()->set_display_name("Jamhuri ya Kenya");
  request.mutable_tenant()->set_weight(3);
  request.mutable_tenant()->add_residency("ug");
  request.mutable_tenant()->clear_currency_code();
  request.set_validate_only(true);
  const auto judged = Ask(&Stub::UpdateTenant, request);
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_EQ(judged->weight(), 3);
  EXPECT_EQ(store_.GetTenant("ke")->weight, 1) << "only judged";
  request.set_validate_only(false);
  const auto updated = Ask(&Stub::UpdateTenant, request);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(updated->display_name(), "Jamhuri ya Kenya");
  EXPECT_EQ(updated->currency_code(), "KES");
  EXPECT_EQ(updated->residency_size(), 2);
  EXPECT_NE(updated->etag(), kenya_.etag());
  EXPECT_EQ(Ask(&Stub::UpdateTenant, request).error().reason, "ETAG_MISMATCH");
  *request.mutable_tenant() = *updated;
  EXPECT_EQ(Ask(&Stub::UpdateTenant, request)->etag(), updated->etag()) << "the same content changes nothing";
  request.mutable_tenant()->set_weight(0);
  EXPECT_EQ(Ask(&Stub::UpdateTenant, request)->weight(), 1) << "what is left out has its default";
}

TEST_F(TenantLifeTest, AnUpdateIsRefusedByName) {
  struct Case {
    std::string reason;
    std::function<void(v1::UpdateTenantRequest&)> change;
  };
  for (const bool validate_only : {true, false}) {
    for (const Case& c :
         {Case{"ETAG_REQUIRED", [](auto& r) { r.mutable_tenant()->clear_etag(); }},
          Case{"ETAG_MISMATCH", [](auto& r) { r.mutable_tenant()->set_etag("x"); }},
          Case{"IMMUTABLE", [](auto& r) { r.mutable_tenant()->set_currency_code("USD"); }},
          Case{"INVALID_WEIGHT", [](auto& r) { r.mutable_tenant()->set_weight(1001); }},
          Case{"INVALID_WEIGHT", [](auto& r) { r.mutable_tenant()->set_weight(-1); }},
          Case{"RESIDENCY_REQUIRED", [](auto& r) { r.mutable_tenant()->clear_residency(); }},
          Case{"UNKNOWN_COUNTRY", [](auto& r) { r.mutable_tenant()->set_residency(0, "qq"); }},
          Case{"RESIDENCY", [](auto& r) { r.mutable_tenant()->set_residency(0, "ug"); }},
          Case{"RESIDENCY", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_USAGE, {"ug"}); }},
          Case{"RESIDENCY", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_INVOICES, {"ug"}); }},
          Case{"RESIDENCY", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_LOGS, {"ug"}); }},
          Case{"RESIDENCY", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_BACKUPS, {"ug"}); }},
          Case{"INVALID_RESIDENCY_RULE", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_UNSPECIFIED, {"ke"}); }},
          Case{"INVALID_RESIDENCY_RULE", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_LOGS, {}); }},
          Case{"INVALID_RESIDENCY_RULE",
               [](auto& r) {
                 AddRule(r, residency::v1::DATA_CLASS_PROMPTS, {"ke"});
                 AddRule(r, residency::v1::DATA_CLASS_PROMPTS, {"ug"});
               }},
          Case{"UNKNOWN_COUNTRY", [](auto& r) { AddRule(r, residency::v1::DATA_CLASS_ADAPTERS, {"qq"}); }},
          Case{"INVALID_TEXT", [](auto& r) { r.mutable_tenant()->clear_display_name(); }},
          Case{"INVALID_NAME", [](auto& r) { r.mutable_tenant()->set_name("ke"); }},
          Case{"INVALID_REQUEST_ID", [](auto& r) { r.set_request_id("x"); }},
          Case{"NOT_FOUND", [](auto& r) { r.mutable_tenant()->set_name("tenants/xx"); }}}) {
      auto request = Update();
      c.change(request);
      request.set_validate_only(validate_only);
      const auto updated = Ask(&Stub::UpdateTenant, request);
      EXPECT_EQ(updated ? "" : updated.error().reason, c.reason);
    }
  }
  EXPECT_EQ(store_.GetTenant("ke")->version, 1);
}

TEST_F(TenantLifeTest, RulesOfClassesHoldInsteadOfTheResidency) {
  auto request = Update();
  request.mutable_tenant()->set_residency(0, "ug");
  AddRule(request, residency::v1::DATA_CLASS_USAGE, {"ug", "ke"});
  AddRule(request, residency::v1::DATA_CLASS_INVOICES, {"ke"});
  AddRule(request, residency::v1::DATA_CLASS_LOGS, {"ke"});
  request.set_validate_only(true);
  const auto judged = Ask(&Stub::UpdateTenant, request);
  ASSERT_FALSE(judged) << "backups are as the residency says";
  EXPECT_EQ(judged.error().code, Code::kFailedPrecondition);
  EXPECT_NE(
      judged.error().message.find("jurisdiction ke, outside the tenant's residency (ug), which holds for BACKUPS"),
      std::string::npos)
      << judged.error().message;
  AddRule(request, residency::v1::DATA_CLASS_BACKUPS, {"ke"});
  AddRule(request, residency::v1::DATA_CLASS_DATASETS, {"rw"});
  request.set_validate_only(false);
  const auto updated = Ask(&Stub::UpdateTenant, request);
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(updated->residency_rules_size(), 5);
  EXPECT_EQ(updated->residency_rules(1).data_class(), residency::v1::DATA_CLASS_USAGE) << "in their order";
  EXPECT_EQ(updated->residency_rules(1).jurisdictions(0), "ke") << "in order too";
  EXPECT_NE(updated->etag(), kenya_.etag());
}

TEST_F(TenantLifeTest, OnlyOperatorsChangeATenantAndOnlyServicesFollow) {
  for (const Caller& caller : {Caller::Tenant("ke"), Caller::Service("gateway"), Caller::Node("n")}) {
    EXPECT_EQ(Ask(&Stub::UpdateTenant, Update(), caller).error().code, Code::kPermissionDenied);
    v1::SuspendTenantRequest suspend;
    suspend.set_name("tenants/ke");
    EXPECT_EQ(Ask(&Stub::SuspendTenant, suspend, caller).error().code, Code::kPermissionDenied);
    v1::ResumeTenantRequest resume;
    resume.set_name("tenants/ke");
    EXPECT_EQ(Ask(&Stub::ResumeTenant, resume, caller).error().code, Code::kPermissionDenied);
    v1::DeleteTenantRequest deletion;
    deletion.set_name("tenants/ke");
    deletion.set_etag(kenya_.etag());
    EXPECT_EQ(Ask(&Stub::DeleteTenant, deletion, caller).error().code, Code::kPermissionDenied);
    v1::UndeleteTenantRequest undeletion;
    undeletion.set_name("tenants/ke");
    EXPECT_EQ(Ask(&Stub::UndeleteTenant, undeletion, caller).error().code, Code::kPermissionDenied);
  }
  const auto context = MakeStreamContext(Caller::Operator());
  const auto stream = stub_->WatchTenants(context.get(), v1::WatchTenantsRequest());
  v1::WatchTenantsResponse message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(FromGrpc(stream->Finish()).code, Code::kPermissionDenied);
}

TEST_F(TenantLifeTest, SuspendingAndResumingAreSafeToRepeat) {
  const std::string id = Uuid::V7().ToString();
  const auto suspended = Suspend("unpaid since May", id);
  ASSERT_TRUE(suspended) << suspended.error().message;
  EXPECT_EQ(suspended->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_EQ(suspended->suspend_reason(), "unpaid since May");
  EXPECT_EQ(Suspend("unpaid since May")->etag(), suspended->etag()) << "nothing changed";
  EXPECT_EQ(Suspend("unpaid since June")->suspend_reason(), "unpaid since June");
  EXPECT_EQ(Suspend("x", id).error().reason, "REQUEST_ID_REUSED");
  const std::string resume_id = Uuid::V7().ToString();
  const auto active = Resume(resume_id);
  ASSERT_TRUE(active);
  EXPECT_EQ(active->state(), v1::Tenant::STATE_ACTIVE);
  EXPECT_EQ(active->suspend_reason(), "");
  EXPECT_EQ(Suspend("unpaid since May", id)->state(), v1::Tenant::STATE_ACTIVE) << "a late retry changes nothing";
  ASSERT_EQ(Suspend("again")->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_EQ(Resume(resume_id)->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_EQ(Suspend(std::string(513, 'a')).error().reason, "INVALID_TEXT");
  v1::SuspendTenantRequest unknown;
  unknown.set_name("tenants/xx");
  EXPECT_EQ(Ask(&Stub::SuspendTenant, unknown).error().reason, "NOT_FOUND");
}

TEST_F(TenantLifeTest, ADeletedTenantIsBroughtBackAsItWas) {
  const std::string id = Uuid::V7().ToString();
  v1::DeleteTenantRequest request;
  request.set_name("tenants/ke");
  request.set_reason("merged");
  EXPECT_EQ(Ask(&Stub::DeleteTenant, request).error().reason, "ETAG_REQUIRED");
  request.set_etag("x");
  EXPECT_EQ(Ask(&Stub::DeleteTenant, request).error().reason, "ETAG_MISMATCH");
  request.set_etag(kenya_.etag());
  request.set_request_id(id);
  for (const std::int64_t seconds : {0, 86'399, 365 * 86'400 + 1}) {
    request.mutable_grace()->set_seconds(seconds);
    EXPECT_EQ(Ask(&Stub::DeleteTenant, request).error().reason, "INVALID_GRACE") << seconds;
  }
  request.clear_grace();
  const auto deleted = Ask(&Stub::DeleteTenant, request);
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(deleted->state(), v1::Tenant::STATE_DELETING);
  EXPECT_EQ(deleted->delete_reason(), "merged");
  EXPECT_EQ(deleted->purge_time().seconds() - deleted->delete_time().seconds(), 30 * 86'400);
  EXPECT_GT(keys_awaited_, 0) << "its keys are refused by then";
  EXPECT_EQ(Ask(&Stub::DeleteTenant, request)->etag(), deleted->etag()) << "a retry";
  request.set_request_id("");
  request.set_etag(deleted->etag());
  EXPECT_EQ(Ask(&Stub::DeleteTenant, request).error().reason, "TENANT_DELETING");
  EXPECT_EQ(Suspend("x").error().reason, "TENANT_DELETING");
  EXPECT_EQ(Resume().error().reason, "TENANT_DELETING");

  v1::UndeleteTenantRequest back;
  back.set_name("tenants/ke");
  const auto active = Ask(&Stub::UndeleteTenant, back);
  ASSERT_TRUE(active) << active.error().message;
  EXPECT_EQ(active->state(), v1::Tenant::STATE_ACTIVE);
  EXPECT_FALSE(active->has_delete_time() || active->has_purge_time());
  EXPECT_EQ(active->delete_reason(), "");
  EXPECT_EQ(Ask(&Stub::UndeleteTenant, back)->etag(), active->etag()) << "nothing to bring back";
  request.set_etag(Suspend("unpaid")->etag());
  ASSERT_TRUE(Ask(&Stub::DeleteTenant, request));
  const auto suspended = Ask(&Stub::UndeleteTenant, back);
  EXPECT_EQ(suspended->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_EQ(suspended->suspend_reason(), "unpaid");
}

TEST_F(TenantLifeTest, OfATenantWhoseGraceIsOverNothingIsChangedAndItsIdIsNobodys) {
  store_.BeginPurge("ke");
  v1::UndeleteTenantRequest back;
  back.set_name("tenants/ke");
  EXPECT_EQ(Ask(&Stub::UndeleteTenant, back).error().reason, "TENANT_DELETED");
  EXPECT_EQ(Resume().error().reason, "TENANT_DELETED");
  EXPECT_EQ(Ask(&Stub::UpdateTenant, Update()).error().reason, "TENANT_DELETED");
  v1::CreateTenantRequest again;
  again.set_tenant_id("ke");
  *again.mutable_tenant() = kenya_;
  for (const bool validate_only : {true, false}) {
    again.set_validate_only(validate_only);
    const auto made = Ask(&Stub::CreateTenant, again);
    EXPECT_EQ(made ? "" : made.error().reason, "TENANT_ID_USED") << validate_only;
  }
  v1::GetTenantRequest get;
  get.set_name("tenants/ke");
  EXPECT_EQ(Ask(&Stub::GetTenant, get, Caller::Tenant("ke"))->state(), v1::Tenant::STATE_PURGING);
}

TEST_F(TenantLifeTest, AChangeReturnsWhenSchedulingHasIt) {
  Table table;
  const auto loop = Follow(table);
  EXPECT_EQ(table.Find("tenants/ke").display_name(), "Kenya");
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Suspend("r" + std::to_string(i)));
    EXPECT_EQ(table.Find("tenants/ke").state(), v1::Tenant::STATE_SUSPENDED);
    EXPECT_EQ(table.Find("tenants/ke").suspend_reason(), "r" + std::to_string(i));
    EXPECT_GT(keys_awaited_, 0);
    kenya_ = Resume().value();
    EXPECT_EQ(table.Find("tenants/ke").state(), v1::Tenant::STATE_ACTIVE);
    auto request = Update();
    request.mutable_tenant()->set_weight(2 + i);
    ASSERT_TRUE(Ask(&Stub::UpdateTenant, request));
    EXPECT_EQ(table.Find("tenants/ke").weight(), 2 + i);
  }
  EXPECT_EQ(table.sent(), 1 + 3 * 50) << "each change once";
}

TEST_F(TenantLifeTest, ASchedulerThatIsStoppedHoldsOneChangeUpForTwoSeconds) {
  Table table;
  const auto loop = Follow(table);
  table.Block(true);
  const auto took = [&] {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(Suspend("late"));
    EXPECT_TRUE(Resume());
    return std::chrono::steady_clock::now() - start;
  };
  const auto first = took();
  EXPECT_GE(first, 1500ms);
  EXPECT_LE(first, 3500ms);
  EXPECT_LE(took(), 1s) << "nobody waits for one that lags";
  table.Block(false);
}

}  // namespace
}  // namespace allod::tenancy::tenant_life_test
