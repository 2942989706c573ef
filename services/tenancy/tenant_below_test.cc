// Tenants below tenants, over a real server and channel, on the fake store: who may make, change, suspend and see
// which.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/quota_service.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::tenant_below_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Stub = v1::TenantService::Stub;

constexpr char kSession[] = "0199f0c2-7b1e-7c3a-9d4e-5f6a7b8c9d0e";
Caller PersonOf(const std::string& tenant, Roles roles = {Role::ROLE_OWNER}) {
  return Caller::Person(tenant, kSession, roles);
}

class TenantBelowTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = Server::Start({.listen = address_}, {&tenants_, &quotas_}).value();
    stub_ = v1::TenantService::NewStub(MakeChannel(address_));
    feed_.Start();
    ASSERT_TRUE(Create("ke", ""));
    ASSERT_TRUE(Create("ug", ""));
    ASSERT_TRUE(Create("ke-health", "ke"));
  }
  void TearDown() override {
    feed_.Stop();
    server_->Stop(1s);
  }
  template <typename Request, typename Response>
  Result<Response> Ask(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                       const Request& request, const Caller& caller) {
    return CallUnary(*stub_, method, request, caller, 5s);
  }
  Result<v1::Tenant> Create(const std::string& id, const std::string& parent, const Caller& caller = Caller::Operator(),
                            const std::function<void(v1::CreateTenantRequest&)>& change = nullptr) {
    v1::CreateTenantRequest request;
    request.set_tenant_id(id);
    request.mutable_tenant()->set_display_name(id);
    request.mutable_tenant()->set_currency_code("KES");
    request.mutable_tenant()->add_residency("ke");
    if (!parent.empty()) request.mutable_tenant()->set_parent("tenants/" + parent);
    if (change) change(request);
    return Ask(&Stub::CreateTenant, request, caller);
  }
  Result<v1::Tenant> Get(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::GetTenantRequest request;
    request.set_name("tenants/" + id);
    return Ask(&Stub::GetTenant, request, caller);
  }
  Result<v1::Tenant> Suspend(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::SuspendTenantRequest request;
    request.set_name("tenants/" + id);
    return Ask(&Stub::SuspendTenant, request, caller);
  }
  Result<v1::Tenant> Resume(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::ResumeTenantRequest request;
    request.set_name("tenants/" + id);
    return Ask(&Stub::ResumeTenant, request, caller);
  }
  Result<v1::Tenant> Delete(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::DeleteTenantRequest request;
    request.set_name("tenants/" + id);
    if (const auto standing = Get(id)) request.set_etag(standing->etag());
    return Ask(&Stub::DeleteTenant, request, caller);
  }
  Result<v1::Tenant> Undelete(const std::string& id, const Caller& caller = Caller::Operator()) {
    v1::UndeleteTenantRequest request;
    request.set_name("tenants/" + id);
    return Ask(&Stub::UndeleteTenant, request, caller);
  }
  Result<v1::Tenant> Update(v1::Tenant wanted, const Caller& caller, bool validate_only = false) {
    v1::UpdateTenantRequest request;
    *request.mutable_tenant() = std::move(wanted);
    request.set_validate_only(validate_only);
    return Ask(&Stub::UpdateTenant, request, caller);
  }
  std::vector<std::string> List(const Caller& caller, int page_size = 0) {
    std::vector<std::string> out;
    v1::ListTenantsRequest request;
    request.set_page_size(page_size);
    do {
      const auto page = Ask(&Stub::ListTenants, request, caller);
      EXPECT_TRUE(page) << page.error().message;
      if (!page) break;
      for (const auto& tenant : page->tenants()) out.push_back(tenant.name());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return out;
  }
  static std::string Reason(const Result<v1::Tenant>& answer) { return answer ? "" : answer.error().reason; }

  FakeClock clock_;
  FakeStore store_;
  TenantFeed feed_{store_};
  CallGates gates_;
  std::vector<std::string> awaited_;
  TenantServiceImpl tenants_{
      store_, feed_, clock_,
      gates_, "ke",  [this](const TenantStateChange& change, SteadyTime) {
                               awaited_.push_back(change.tenant.id); }};
  QuotaServiceImpl quotas_{store_, clock_, gates_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<Stub> stub_;
};

const Caller kAbove = Caller::Below(PersonOf("ke"), "ke-health");

TEST_F(TenantBelowTest, WhatTheOperatorSuspendedPeopleFromAboveDoNotResume) {
  ASSERT_TRUE(Suspend("ke-health"));
  EXPECT_EQ(Reason(Resume("ke-health", kAbove)), "SUSPENDED_BY_OPERATOR");
  EXPECT_EQ(Reason(Delete("ke-health", kAbove)), "SUSPENDED_BY_OPERATOR");
  EXPECT_EQ(Get("ke-health")->state(), v1::Tenant::STATE_SUSPENDED);
  ASSERT_TRUE(Resume("ke-health"));
  ASSERT_TRUE(Suspend("ke-health", kAbove));
  EXPECT_EQ(Reason(Resume("ke-health", kAbove)), "");
}

TEST_F(TenantBelowTest, NamesBelowATenantAreNobodyElses) {
  const auto judged = [](v1::CreateTenantRequest& request) { request.set_validate_only(true); };
  EXPECT_EQ(Reason(Create("ke-old", "")), "INVALID_ID");
  EXPECT_EQ(Reason(Create("ke-old", "", Caller::Operator(), judged)), "INVALID_ID");
  EXPECT_EQ(Reason(Create("ke-health-old", "")), "INVALID_ID");
  EXPECT_EQ(Reason(Create("kenya-old", "")), "");
  EXPECT_EQ(Reason(Create("kenya-old", "")), "") << "the same again";
  EXPECT_EQ(Reason(Create("kenya", "")), "") << "what stands, stands";
  EXPECT_EQ(Reason(Create("kenya-old", "")), "");
  EXPECT_EQ(Reason(Create("ke-old", "ke")), "");
}

TEST_F(TenantBelowTest, RequestIdsAreTheCallersTenants) {
  const std::string id = Uuid::V7().ToString();
  const auto with = [&](v1::CreateTenantRequest& request) { request.set_request_id(id); };
  ASSERT_TRUE(Create("rw", "", Caller::Operator(), with));
  EXPECT_EQ(Reason(Create("ke-a", "ke", PersonOf("ke"), with)), "") << "the operator's id is another";
  EXPECT_EQ(Reason(Create("ug-a", "ug", PersonOf("ug"), with)), "") << "so is another tenant's";
  EXPECT_EQ(Reason(Create("ke-a", "ke", PersonOf("ke"), with)), "") << "the same again";
  EXPECT_EQ(Reason(Create("ke-b", "ke", PersonOf("ke"), with)), "REQUEST_ID_REUSED");
  EXPECT_EQ(Reason(Create("tz", "", Caller::Operator(), with)), "REQUEST_ID_REUSED");
}

TEST_F(TenantBelowTest, WhatIsOnlyJudgedIsToldThatThereIsNoRoom) {
  for (int i = 0; i < kTenantsBelowMax[1]; ++i) ASSERT_TRUE(Create("ke-health-" + std::to_string(i), "ke-health"));
  const auto judged = [](v1::CreateTenantRequest& request) { request.set_validate_only(true); };
  EXPECT_EQ(Reason(Create("ke-health-more", "ke-health", kAbove, judged)), "TOO_MANY_TENANTS");
  EXPECT_EQ(Reason(Create("ke-health-more", "ke-health", kAbove)), "TOO_MANY_TENANTS");
  EXPECT_EQ(Reason(Create("ke-more", "ke", PersonOf("ke"), judged)), "");
}

TEST_F(TenantBelowTest, AnOwnerMakesTenantsBelowHisOwn) {
  const auto made = Create("ke-water", "ke", PersonOf("ke"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->parent(), "tenants/ke");
  EXPECT_EQ(awaited_.back(), "ke-water") << "gateways know where it is before it is answered";
  EXPECT_TRUE(Create("ke-health-north", "ke-health", kAbove)) << "and below those";
  EXPECT_TRUE(Create("ke-health-south", "ke-health", PersonOf("ke-health"))) << "each by his own";
  EXPECT_EQ(Reason(Create("ke-x", "ke", PersonOf("ke", {Role::ROLE_ADMIN}))), "PERMISSION_MISSING");
  EXPECT_EQ(Reason(Create("ke-x", "ke", Caller::Key("ke", "p", {"portal"}))), "PROJECT_KEY");
  EXPECT_EQ(Create("ke-x", "ke", PersonOf("ke-health")).error().code, Code::kNotFound) << "the parent is not there";
  EXPECT_EQ(Create("ug-x", "ug", PersonOf("ke")).error().code, Code::kNotFound);
  EXPECT_EQ(Create("x", "", PersonOf("ke")).error().code, Code::kNotFound) << "only an operator makes one at the top";
  for (const char* elsewhere : {"ug", "ug2"}) {
    EXPECT_EQ(Reason(Create(elsewhere, "ke", PersonOf("ke"))), "INVALID_ID") << "nor is he told which there are";
  }
  EXPECT_EQ(Create("none-x", "none").error().code, Code::kNotFound);
}

TEST_F(TenantBelowTest, WhatWouldBeMadeIsJudgedAlike) {
  const auto judge = [&](const std::string& country) {
    return Create("ke-x", "ke", PersonOf("ke"), [&](v1::CreateTenantRequest& request) {
      request.set_validate_only(true);
      request.mutable_tenant()->add_residency(country);
    });
  };
  EXPECT_EQ(Reason(judge("tz")), "RESIDENCY_OUTSIDE_PARENT");
  const auto fine = Create("ke-x", "ke", PersonOf("ke"), [](auto& request) { request.set_validate_only(true); });
  ASSERT_TRUE(fine) << fine.error().message;
  EXPECT_EQ(fine->parent(), "tenants/ke");
  EXPECT_EQ(Get("ke-x").error().code, Code::kNotFound) << "nothing was made";
}

TEST_F(TenantBelowTest, WhoIsAboveChangesAndSuspendsItAndItsOwnPeopleDoNot) {
  v1::Tenant wanted = *Get("ke-health");
  wanted.set_display_name("Health");
  EXPECT_EQ(Reason(Update(wanted, PersonOf("ke-health"))), "NOT_ALLOWED");
  EXPECT_EQ(Reason(Update(wanted, PersonOf("ke"))), "NOT_FOUND") << "he says where he acts";
  EXPECT_EQ(Reason(Update(wanted, Caller::Below(PersonOf("ke", {Role::ROLE_ADMIN}), "ke-health"))),
            "PERMISSION_MISSING");
  const auto changed = Update(wanted, kAbove);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->display_name(), "Health");
  EXPECT_EQ(Reason(Suspend("ke-health", PersonOf("ke-health"))), "NOT_ALLOWED");
  EXPECT_EQ(Reason(Suspend("ke", PersonOf("ke"))), "NOT_ALLOWED") << "not what he is a member of";
  EXPECT_EQ(Reason(Suspend("ke", kAbove)), "NOT_FOUND");
  EXPECT_EQ(Reason(Suspend("ug", kAbove)), "NOT_FOUND");
  EXPECT_TRUE(Suspend("ke-health", kAbove));
  EXPECT_EQ(Get("ke-health")->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_EQ(Get("ke-health", kAbove)->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_TRUE(Resume("ke-health", kAbove));
}

TEST_F(TenantBelowTest, WhoIsAboveDeletesItAndBringsItBack) {
  ASSERT_TRUE(Create("ke-health-north", "ke-health"));
  EXPECT_EQ(Reason(Delete("ke-health", PersonOf("ke-health"))), "NOT_ALLOWED") << "nobody ends his own";
  EXPECT_EQ(Reason(Delete("ke", PersonOf("ke"))), "NOT_ALLOWED");
  EXPECT_EQ(Reason(Delete("ug", kAbove)), "NOT_FOUND");
  EXPECT_EQ(Reason(Delete("ke-health", Caller::Below(PersonOf("ke", {Role::ROLE_ADMIN}), "ke-health"))),
            "PERMISSION_MISSING");
  EXPECT_EQ(Reason(Delete("ke-health", kAbove)), "TENANT_HAS_CHILDREN") << "children first";
  const Caller north = Caller::Below(PersonOf("ke"), "ke-health-north");
  const auto deleted = Delete("ke-health-north", north);
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(deleted->state(), v1::Tenant::STATE_DELETING);
  EXPECT_EQ(Reason(Delete("ke-health", kAbove)), "TENANT_HAS_CHILDREN") << "in its grace it is still there";
  EXPECT_EQ(Reason(Undelete("ke-health-north", PersonOf("ke-health-north"))), "NOT_ALLOWED");
  const auto back = Undelete("ke-health-north", north);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->state(), v1::Tenant::STATE_ACTIVE);
  ASSERT_TRUE(Delete("ke-health-north"));
  EXPECT_EQ(Reason(Undelete("ke-health-north", north)), "DELETED_BY_OPERATOR");
  EXPECT_TRUE(Undelete("ke-health-north"));
  ASSERT_TRUE(Delete("ke-health-north", north));
  EXPECT_TRUE(Undelete("ke-health-north")) << "an operator brings back what anybody deleted";
}

TEST_F(TenantBelowTest, ASuspensionHoldsBelowAndEachComesBackAsItWas) {
  ASSERT_TRUE(Create("ke-health-north", "ke-health"));
  ASSERT_TRUE(Suspend("ke-health-north"));
  const std::int64_t before = store_.TenantsChanged(0, 100)->version;
  ASSERT_TRUE(Suspend("ke"));
  EXPECT_EQ(Get("ke-health")->state(), v1::Tenant::STATE_ACTIVE);
  EXPECT_EQ(Get("ke-health")->suspended_by(), "tenants/ke");
  EXPECT_EQ(Get("ke-health-north")->suspended_by(), "tenants/ke");
  EXPECT_EQ(store_.TenantsChanged(before, 100)->tenants.size(), 3U) << "who follows tenants is told of all";
  EXPECT_EQ(Get("ug")->suspended_by(), "");
  ASSERT_TRUE(Resume("ke-health")) << "its own state stays as it was";
  EXPECT_EQ(Get("ke-health")->suspended_by(), "tenants/ke");
  ASSERT_TRUE(Suspend("ke-health"));
  EXPECT_EQ(Get("ke-health-north")->suspended_by(), "tenants/ke-health") << "the nearest";
  ASSERT_TRUE(Resume("ke"));
  EXPECT_EQ(Get("ke-health")->suspended_by(), "");
  EXPECT_EQ(Get("ke-health")->state(), v1::Tenant::STATE_SUSPENDED);
  EXPECT_EQ(Get("ke-health-north")->suspended_by(), "tenants/ke-health");
  ASSERT_TRUE(Resume("ke-health"));
  EXPECT_EQ(Get("ke-health-north")->suspended_by(), "");
  EXPECT_EQ(Get("ke-health-north")->state(), v1::Tenant::STATE_SUSPENDED);
}

TEST_F(TenantBelowTest, EachSeesItsOwnAndWhatIsBelow) {
  ASSERT_TRUE(Create("ke-health-north", "ke-health"));
  ASSERT_TRUE(store_.CreateTenant({"ke-old", "Old", "KES", {"ke"}, TenantState::kActive, clock_.Now()}, {}))
      << "called like a child, and none";
  const std::vector<std::string> below = {"tenants/ke", "tenants/ke-health", "tenants/ke-health-north"};
  EXPECT_EQ(List(PersonOf("ke")), below);
  EXPECT_EQ(List(PersonOf("ke"), 1), below) << "page by page";
  EXPECT_EQ(List(Caller::Tenant("ke")), below);
  EXPECT_THAT(List(PersonOf("ke-health", {Role::ROLE_VIEWER})), ElementsAre(below[1], below[2]));
  EXPECT_THAT(List(PersonOf("ug")), ElementsAre("tenants/ug"));
  EXPECT_THAT(List(Caller::Key("ke", "p", {"portal"}, {Role::ROLE_AUDITOR})), ElementsAre("tenants/ke"));
  EXPECT_THAT(List(Caller::Person("ke", kSession, {}, {{"p", {Role::ROLE_ADMIN}}})), ElementsAre("tenants/ke"));
  EXPECT_EQ(List(Caller::Operator()).size(), 5U);
  v1::ListTenantsRequest request;
  EXPECT_EQ(Ask(&Stub::ListTenants, request, Caller::Node("n")).error().reason, "NOT_ALLOWED");
}

TEST_F(TenantBelowTest, AQuotaIsSharedOut) {
  v1::Tenant ke = *Get("ke");
  ke.mutable_quota()->set_projects(5);
  EXPECT_EQ(Reason(Update(ke, Caller::Operator(), true)), "CHILD_OUTSIDE") << "its child has none";
  EXPECT_EQ(Reason(Update(ke, Caller::Operator())), "CHILD_OUTSIDE");
  v1::Tenant health = *Get("ke-health");
  health.mutable_quota()->set_projects(3);
  ASSERT_TRUE(Update(health, kAbove));
  ke = *Get("ke");
  ke.mutable_quota()->set_projects(5);
  ASSERT_TRUE(Update(ke, Caller::Operator()));
  EXPECT_EQ(Get("ke")->quota_below().projects(), 3);
  health = *Get("ke-health");
  health.mutable_quota()->set_projects(6);
  EXPECT_EQ(Reason(Update(health, kAbove, true)), "QUOTA_EXCEEDED");
  EXPECT_EQ(Reason(Update(health, kAbove)), "QUOTA_EXCEEDED");
  health.mutable_quota()->set_projects(5);
  ASSERT_TRUE(Update(health, kAbove));
  // Nothing is left for the parent itself.
  EXPECT_EQ(store_.CreateProject({"ke", "p", "P", clock_.Now()}, {}).error().reason, "QUOTA_EXCEEDED");
  const auto stub = v1::QuotaService::NewStub(MakeChannel(address_));
  v1::GetQuotaUseRequest request;
  request.set_parent("tenants/ke");
  const auto use = CallUnary(*stub, &v1::QuotaService::Stub::GetQuotaUse, request, Caller::Operator(), 5s);
  ASSERT_TRUE(use) << use.error().message;
  EXPECT_EQ(use->uses(0).limit(), -1);
}

TEST_F(TenantBelowTest, WhatAChildMayUseIsNotGivenTwice) {
  v1::Tenant health = *Get("ke-health");
  health.mutable_quota()->set_projects(5);
  health.mutable_quota()->set_replicas(5);
  ASSERT_TRUE(Update(health, kAbove));
  v1::Tenant ke = *Get("ke");
  ke.mutable_quota()->set_projects(6);
  ke.mutable_quota()->set_replicas(6);
  ASSERT_TRUE(Update(ke, Caller::Operator()));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store_.CreateProject({"ke-health", "p" + std::to_string(i), "P", clock_.Now()}, {}));
  }
  const auto lower = [&](std::int64_t projects, std::int64_t replicas, const Caller& caller, bool validate_only) {
    v1::Tenant wanted = *Get("ke-health");
    wanted.mutable_quota()->set_projects(projects);
    wanted.mutable_quota()->set_replicas(replicas);
    return Reason(Update(wanted, caller, validate_only));
  };
  for (const bool validate_only : {true, false}) {
    EXPECT_EQ(lower(2, 5, kAbove, validate_only), "QUOTA_IN_USE");
    EXPECT_EQ(lower(5, 1, kAbove, validate_only), "QUOTA_OPERATORS_ONLY");
    EXPECT_EQ(lower(2, 5, Caller::Operator(), validate_only), "QUOTA_IN_USE");
  }
  EXPECT_EQ(lower(3, 5, kAbove, false), "");
  EXPECT_EQ(lower(3, 1, Caller::Operator(), true), "");
  EXPECT_EQ(lower(3, 1, Caller::Operator(), false), "");
}

TEST_F(TenantBelowTest, APlaceIsForGood) {
  v1::Tenant wanted = *Get("ke-health");
  wanted.set_parent("tenants/ug");
  EXPECT_EQ(Reason(Update(wanted, Caller::Operator())), "IMMUTABLE");
  wanted.clear_parent();
  EXPECT_TRUE(Update(wanted, Caller::Operator())) << "left out it stays";
  EXPECT_EQ(Get("ke-health")->parent(), "tenants/ke");
  v1::Tenant top = *Get("ug");
  top.set_parent("tenants/ke");
  EXPECT_EQ(Reason(Update(top, Caller::Operator())), "IMMUTABLE");
}

}  // namespace
}  // namespace allod::tenancy::tenant_below_test
