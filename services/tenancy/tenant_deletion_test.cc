#include "services/tenancy/tenant_deletion.h"

#include <gtest/gtest.h>

namespace allod::tenancy::tenant_deletion_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = Time(std::chrono::hours(500'000));

Tenant Kenya(TenantState state = TenantState::kActive) {
  Tenant out{"ke", "Kenya", "KES", {"ke"}, state, Time()};
  out.version = 7;
  if (state == TenantState::kSuspended) out.suspend_reason = "unpaid";
  return out;
}

TenantDeletionRequest Request(const Tenant& tenant) { return {EtagOf(tenant), "moved away", kGraceDefault, kNow}; }

TEST(TenantDeletion, AGraceIsADayToAYear) {
  EXPECT_EQ(GraceOf(std::nullopt, kGraceMin), std::chrono::hours(30 * 24));
  EXPECT_EQ(GraceOf(24h, kGraceMin), 24h);
  EXPECT_EQ(GraceOf(365 * 24h, kGraceMin), 365 * 24h);
  EXPECT_EQ(GraceOf(1s, 1s), 1s) << "as a test may have it";
  for (const std::chrono::seconds grace :
       {-1s, 0s, std::chrono::seconds(24h) - 1s, std::chrono::seconds(365 * 24h) + 1s}) {
    EXPECT_EQ(GraceOf(grace, kGraceMin).error().reason, "INVALID_GRACE") << grace.count();
  }
  EXPECT_EQ(GraceOf(12h, kGraceMin).error().message,
            "grace: it is 43200 s; give 1 day to 365 days, or leave it out for 30 days");
}

TEST(TenantDeletion, BringsBackWhatWasBefore) {
  for (const TenantState state : {TenantState::kActive, TenantState::kSuspended}) {
    const Tenant standing = Kenya(state);
    const auto deleted = Deleted(standing, Request(standing));
    ASSERT_TRUE(deleted) << deleted.error().message;
    EXPECT_EQ(deleted->state, TenantState::kDeleting);
    EXPECT_EQ(deleted->deletion->delete_time, kNow);
    EXPECT_EQ(deleted->deletion->purge_time, kNow + 30 * 24h);
    EXPECT_EQ(deleted->deletion->reason, "moved away");
    EXPECT_EQ(Deleted(*deleted, Request(*deleted)).error().reason, "TENANT_DELETING");
    EXPECT_EQ(CheckNotDeleted(*deleted).error().reason, "TENANT_DELETING");
    EXPECT_TRUE(CheckNotPurged(*deleted));
    const auto back = Undeleted(*deleted, kNow);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->state, state);
    EXPECT_EQ(back->suspend_reason, standing.suspend_reason);
    EXPECT_FALSE(back->deletion);
    EXPECT_EQ(Undeleted(standing, kNow)->state, state) << "nothing to bring back";
  }
}

TEST(TenantDeletion, OfWhatTheOperatorSuspendedIsHis) {
  Tenant standing = Kenya(TenantState::kSuspended);
  TenantDeletionRequest request = Request(standing);
  request.by = Setter::kFromAbove;
  EXPECT_EQ(Deleted(standing, request).error().reason, "SUSPENDED_BY_OPERATOR");
  request.by = Setter::kOperator;
  EXPECT_TRUE(Deleted(standing, request));
  standing.suspended_from_above = true;
  request = Request(standing);
  request.by = Setter::kFromAbove;
  EXPECT_TRUE(Deleted(standing, request)) << "what they suspended they delete";
}

TEST(TenantDeletion, IsOfTheTenantThatWasSeen) {
  const Tenant standing = Kenya();
  TenantDeletionRequest request = Request(standing);
  request.etag = "";
  EXPECT_EQ(Deleted(standing, request).error().reason, "ETAG_REQUIRED");
  request.etag = "other";
  EXPECT_EQ(Deleted(standing, request).error().reason, "ETAG_MISMATCH");
}

TEST(TenantDeletion, NothingLeadsBackWhenTheGraceIsOver) {
  const Tenant deleting = *Deleted(Kenya(), Request(Kenya()));
  const Time purge_time = deleting.deletion->purge_time;
  EXPECT_TRUE(Undeleted(deleting, purge_time - std::chrono::microseconds(1)));
  EXPECT_EQ(Undeleted(deleting, kNow, Setter::kFromAbove).error().reason, "DELETED_BY_OPERATOR");
  EXPECT_EQ(Undeleted(deleting, purge_time).error().reason, "TENANT_DELETED") << "whether it is being purged or not";
  for (const TenantState state : {TenantState::kPurging, TenantState::kDeleted}) {
    Tenant tenant = *Deleted(Kenya(), Request(Kenya()));
    tenant.state = state;
    EXPECT_TRUE(IsPurged(state));
    EXPECT_EQ(Undeleted(tenant, kNow).error().reason, "TENANT_DELETED");
    EXPECT_EQ(Deleted(tenant, Request(tenant)).error().reason, "TENANT_DELETED");
    EXPECT_EQ(Changed(tenant, tenant, EtagOf(tenant)).error().reason, "TENANT_DELETED");
    EXPECT_EQ(CheckNotDeleted(tenant).error().reason, "TENANT_DELETED");
    const Project desk{.tenant = "ke", .id = "desk"};
    EXPECT_EQ(Changed(desk, desk, EtagOf(desk), tenant).error().reason, "TENANT_DELETED");
  }
}

TEST(TenantDeletion, ATombstoneSaysNothingThatSomebodyTyped) {
  Tenant tenant = *Deleted(Kenya(TenantState::kSuspended), Request(Kenya(TenantState::kSuspended)));
  tenant.state = TenantState::kPurging;
  const Tenant tombstone = TombstoneOf(tenant);
  EXPECT_EQ(tombstone.state, TenantState::kDeleted);
  EXPECT_EQ(tombstone.display_name, "ke");
  EXPECT_EQ(tombstone.suspend_reason, "");
  EXPECT_EQ(tombstone.deletion->reason, "");
  EXPECT_EQ(tombstone.deletion->delete_time, kNow);
  EXPECT_EQ(tombstone.currency_code, "KES") << "its books are in it";
}

}  // namespace
}  // namespace allod::tenancy::tenant_deletion_test
