// Quotas of tenant and project, as tenancy tells them when an instance is asked for.
#include <gmock/gmock.h>

#include "services/scheduling/convert.h"
#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_quota_test {
namespace {

using testing::HasSubstr;

class SchedulingQuota : public SchedulingServiceTest {
 protected:
  v1::CreateInstanceRequest Request(const std::string& id, int replicas, bool validate_only = false) {
    v1::CreateInstanceRequest request = CreateRequest(id);
    request.mutable_instance()->mutable_spec()->set_replicas(replicas);
    request.set_validate_only(validate_only);
    return request;
  }
  Result<ProtoOperation> Resize(const std::string& id, int replicas, bool validate_only = false) {
    v1::UpdateInstanceRequest request;
    *request.mutable_instance() = *Get(id);
    request.mutable_instance()->mutable_spec()->set_replicas(replicas);
    request.set_validate_only(validate_only);
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, request, kTenant, kTimeout);
  }
  // "instances 1/1000, ..."
  std::string Use(const std::string& parent, const Caller& caller = kTenant) {
    v1::GetInstanceQuotaUseRequest request;
    request.set_parent(parent);
    const auto answer =
        CallUnary(*instance_stub_, &v1::InstanceService::Stub::GetInstanceQuotaUse, request, caller, kTimeout);
    if (!answer) return answer.error().reason;
    std::string out;
    for (const auto& use : answer->uses()) {
      if (use.resource() == "memory_bytes") continue;
      out += (out.empty() ? "" : ", ") + use.resource() + " " + std::to_string(use.used()) + "/" +
             std::to_string(use.limit());
    }
    return out;
  }
};

TEST_F(SchedulingQuota, BeyondItNothingIsMadeNorJudgedPossible) {
  peers_.tenant.mutable_quota()->set_replicas(3);
  peers_.project_quota.set_instances(2);
  ASSERT_TRUE(Create(Request("a", 2)));
  for (const bool validate_only : {true, false}) {
    const auto refused = Create(Request("b", 2, validate_only));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
    EXPECT_EQ(refused.error().reason, "QUOTA_EXCEEDED");
    EXPECT_THAT(refused.error().message, HasSubstr("tenants/ke may have 3 replicas (quota.replicas) and has 2"));
    EXPECT_EQ(Resize("a", 4, validate_only).error().reason, "QUOTA_EXCEEDED");
  }
  ASSERT_TRUE(Create(Request("b", 1)));
  peers_.tenant.mutable_quota()->set_replicas(100);
  EXPECT_THAT(Create(Request("c", 1)).error().message, HasSubstr("tenants/ke/projects/p may have 2 instances"));
  EXPECT_TRUE(Create(Request("b", 1))) << "what stands is not one more";
}

TEST_F(SchedulingQuota, WhatIsOverOneThatWasLoweredGoesOnAndMayShrink) {
  ASSERT_TRUE(Create(Request("a", 3)));
  peers_.tenant.mutable_quota()->set_replicas(1);
  EXPECT_TRUE(Get("a"));
  EXPECT_TRUE(Resize("a", 2));
  EXPECT_EQ(Resize("a", 3).error().reason, "QUOTA_EXCEEDED");
}

TEST_F(SchedulingQuota, WhatTenantsBelowHaveIsNotItsOwn) {
  peers_.tenant.mutable_quota()->set_replicas(5);
  peers_.tenant.mutable_quota_below()->set_replicas(3);
  EXPECT_EQ(Create(Request("a", 3)).error().reason, "QUOTA_EXCEEDED");
  ASSERT_TRUE(Create(Request("a", 2)));
  EXPECT_EQ(Use("tenants/ke"), "instances 1/1000, replicas 2/2, context_tokens 8192/0");
  // Another child was given the rest: what runs goes on, and nothing is added.
  peers_.tenant.mutable_quota_below()->set_replicas(5);
  EXPECT_TRUE(Get("a"));
  EXPECT_EQ(Resize("a", 3).error().reason, "QUOTA_EXCEEDED");
  EXPECT_TRUE(Resize("a", 1));
  EXPECT_EQ(Use("tenants/ke"), "instances 1/1000, replicas 1/-1, context_tokens 4096/0");
}

TEST_F(SchedulingQuota, BelowASuspendedTenantNothingIsMade) {
  peers_.tenant.set_weight(1);
  peers_.tenant.set_suspended_by("tenants/africa");
  EXPECT_EQ(Create(Request("a", 1)).error().reason, "TENANT_SUSPENDED");
  EXPECT_FALSE(TermsFrom(peers_.tenant)->active);
  peers_.tenant.clear_suspended_by();
  EXPECT_TRUE(Create(Request("a", 1)));
  EXPECT_TRUE(TermsFrom(peers_.tenant)->active);
}

TEST_F(SchedulingQuota, UseIsShownBesideTheLimit) {
  ASSERT_TRUE(Create(Request("a", 3)));  // 4 sequences of 1024 tokens in each replica
  peers_.tenant.mutable_quota()->set_context_tokens(50'000);
  peers_.project_quota.set_replicas(5);
  EXPECT_EQ(Use("tenants/ke"), "instances 1/1000, replicas 3/0, context_tokens 12288/50000");
  const Caller key = Caller::Key("ke", "p", {"portal"}, {Role::ROLE_VIEWER});
  EXPECT_EQ(Use("tenants/ke/projects/p", key), "instances 1/1000, replicas 3/5, context_tokens 12288/50000");
  EXPECT_EQ(Use("tenants/ke", key), "PROJECT_KEY");
  EXPECT_EQ(Use("tenants/ke/projects/none"), "NOT_FOUND");
  EXPECT_EQ(Use("nodes/n", Caller::Operator()), "INVALID_NAME");
}

}  // namespace
}  // namespace allod::scheduling::service_quota_test
