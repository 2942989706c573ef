// Computed usage goes when it was compared and is old, and what is wrong is found all the same.
#include <fmt/format.h>

#include "services/billing/analysis/pg_partitions.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/fake_clock.h"

namespace allod::billing::analysis::billing_retention_test {
namespace {

using namespace std::chrono_literals;

class BillingRetention : public testing::Test {
 protected:
  void SetUp() override { OpenKenya(store_, 100); }

  // A request that was settled with `billed` completion tokens, of which nodes say that they sampled these.
  ReserveCommand Settled(Time admitted, std::int64_t billed, const std::vector<std::int64_t>& sampled) {
    const ReserveCommand request = Request("ke", admitted);
    EXPECT_TRUE(store_.Reserve(request, admitted));
    EXPECT_TRUE(store_.Settle(Settlement(request, 1, billed), admitted));
    Computed(request, admitted, sampled);
    return request;
  }
  void Computed(const ReserveCommand& request, Time admitted, const std::vector<std::int64_t>& sampled) {
    for (std::size_t i = 0; i < sampled.size(); ++i) {
      const ComputedUsage event{.tenant = request.tenant,
                                .event_id = fmt::format("{}-{}", request.request_id.ToString(), i),
                                .request_id = request.request_id,
                                .instance = request.instance,
                                .node = "nodes/n",
                                .replica = Uuid::FromName("replica"),
                                .prompt_tokens_computed = 1,
                                .sampled_tokens = sampled[i],
                                .outcome = ComputedOutcome::kCompleted,
                                .start_time = FloorToMicros(admitted),
                                .end_time = FloorToMicros(admitted + 1s)};
      EXPECT_EQ(store_.RecordComputedUsage(request.tenant, {event})->recorded, 1);
    }
  }
  std::size_t Events() { return store_.ListComputedUsage({.tenant = Tenant("ke"), .limit = 1000})->size(); }
  UsageCheck Check() { return store_.CheckUsage(Tenant("ke"), kAllUsage, kNow + 24h * 365).value(); }

  PgHarness harness_;
  Store& store_ = harness_.store();
  PgPartitionStore retention_{harness_.pool()};
};

TEST_F(BillingRetention, WhatWasComparedGoesAndWhatIsWrongStays) {
  for (int i = 0; i < 10; ++i) Settled(kNow + i * 1s, 5, {3, 2});
  Settled(kNow, 5, {4});  // billed beyond what was sampled
  const ReserveCommand unsettled = Request("ke");
  Computed(unsettled, kNow, {7});  // recorded by nobody
  Settled(kNow + 48h, 5, {5});     // younger
  Settled(kNow + 48h, 5, {});      // younger, and told of by no node
  ASSERT_EQ(Events(), 20U + 1 + 1 + 1);
  const UsageCheck before = Check();
  EXPECT_EQ(before.overbilled_count, 1);
  EXPECT_EQ(before.uncomputed_count, 1);
  const std::int64_t wrong = before.unbilled_count + before.unsettled_count;

  int trimmed = 0;
  for (int count; (count = retention_.TrimComputedUsage(Tenant("ke"), kNow + 24h, 3).value()) > 0;) trimmed += count;
  EXPECT_GE(trimmed, 10);
  EXPECT_EQ(Events(), 3U);
  const UsageCheck after = Check();
  EXPECT_EQ(after.overbilled_count, 1) << "found as before";
  EXPECT_EQ(after.uncomputed_count, 1) << "those that were trimmed are not asked for";
  EXPECT_EQ(after.unbilled_count + after.unsettled_count, wrong);
  ExpectSoundBooks(store_, "ke");
}

TEST_F(BillingRetention, NothingYoungerThanAWeekGoesAndNothingOfOthers) {
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", kHold), kNow));
  const Time now = std::chrono::system_clock::now();
  Settled(now - 24h * 6, 5, {5});
  EXPECT_EQ(retention_.TrimComputedUsage(Tenant("ke"), now + 24h, 10).value(), 0);
  Settled(now - 24h * 8, 5, {5});
  EXPECT_EQ(retention_.TrimComputedUsage(Tenant("tz"), now + 24h, 10).value(), 0);
  EXPECT_EQ(Events(), 2U);
  EXPECT_EQ(retention_.TrimComputedUsage(Tenant("ke"), now + 24h, 10).value(), 1);
  EXPECT_EQ(Events(), 1U);
  for (const char* sql : {"DELETE FROM billing.computed_usage", "DELETE FROM billing.computed_usage_trims",
                          "UPDATE billing.computed_usage_trims SET horizon = now()"}) {
    EXPECT_FALSE(harness_.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
      tx.Exec(sql);
      return 0;
    })) << sql;
  }
}

TEST_F(BillingRetention, TheLoopGoesOverAllTenants) {
  Settled(kNow, 5, {5});
  Settled(kNow + 24h * 50, 5, {5});
  FakeClock clock(kNow + 24h * 91);
  Retention retention(retention_, clock, std::chrono::days(90));
  EXPECT_EQ(retention.RunOnce().value(), 1);
  EXPECT_EQ(retention.RunOnce().value(), 0);
  clock.Advance(24h * 50);
  EXPECT_EQ(retention.RunOnce().value(), 1);
  EXPECT_EQ(Events(), 0U);
}

}  // namespace
}  // namespace allod::billing::analysis::billing_retention_test
