// What leases do, on both stores: slices of what may be spent, their ends, and the settlements of their requests.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "tests/contract/billing_store_harness.h"

namespace allod::billing::billing_lease_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

template <typename Harness>
class BillingLeases : public testing::Test {
 protected:
  BillingLeases() { OpenKenya(store_, 100); }  // a limit of 73000
  Amount Held() { return store_.GetBillingAccount(Tenant("ke"))->held; }
  Amount Posted() { return store_.GetBillingAccount(Tenant("ke"))->posted; }
  TenantAudit Audit(const std::string& tenant = "ke") { return store_.AuditTenant(Tenant(tenant), kNow, {}).value(); }

  Harness harness_;
  Store& store_ = harness_.store();
  const Uuid lease_ = Uuid::V7();
};

using Harnesses = testing::Types<FakeHarness, PgHarness>;
TYPED_TEST_SUITE(BillingLeases, Harnesses);

TYPED_TEST(BillingLeases, AGatewayMovesASliceAndGivesItBack) {
  AdjustLeaseCommand first = Adjustment("ke", this->lease_, 1, kHold, 10 * kHold);
  first.terms = {{kBook, "models/m/versions/v/variants/q4_k_m"}, {kBook, "models/m/versions/v/variants/q8_0"}};
  const AdjustedLease made = *this->store_.AdjustLease(first)->lease;
  EXPECT_EQ(made.currency_code, "KES");
  EXPECT_EQ(made.lease.added, Pico(10 * kHold));
  EXPECT_EQ(made.lease.remaining, Pico(10 * kHold));
  ASSERT_EQ(made.prices.size(), 2U);
  EXPECT_EQ(made.prices[0].completion, Pico(kCompletion));
  EXPECT_EQ(made.prices[1].completion, Pico(11));
  EXPECT_LE(made.admit_for, kLeaseAdmitFor);
  EXPECT_GT(made.admit_for, kLeaseAdmitFor - 30s);
  EXPECT_LE(made.ends_after, kLeaseEndsAfter);
  EXPECT_GT(made.ends_after, kLeaseEndsAfter - 30s);
  EXPECT_EQ(this->Held(), Pico(10 * kHold));
  EXPECT_EQ(this->Posted(), Amount());

  EXPECT_EQ(Adjusted(this->store_, Adjustment("ke", this->lease_, 2, 0, 0, 300)).remaining, Pico(10 * kHold - 300));
  EXPECT_EQ(Adjusted(this->store_, Adjustment("ke", this->lease_, 3, 0, 100, 50)).remaining, Pico(10 * kHold - 250));
  EXPECT_EQ(this->Held(), Pico(10 * kHold - 250));
  EXPECT_EQ(this->Audit().open_lease_count, 1);
  const AdjustedLease ended = *this->store_.AdjustLease(Ending("ke", this->lease_, 4))->lease;
  EXPECT_TRUE(ended.lease.ended);
  EXPECT_EQ(ended.lease.remaining, Amount());
  EXPECT_EQ(ended.ends_after, 0s);
  EXPECT_EQ(this->Held(), Amount());
  EXPECT_EQ(this->Audit().open_lease_count, 0);
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Amount());
}

TYPED_TEST(BillingLeases, SlicesShrinkAsTheLimitComesNear) {
  std::int64_t left = 100 * kHold;
  for (int i = 0; i < 20; ++i) {
    const std::int64_t slice = std::min(left, std::max(kHold, left / 4));
    EXPECT_EQ(Adjusted(this->store_, Adjustment("ke", Uuid::V7(), 1, kHold, 100 * kHold)).added, Pico(slice)) << i;
    left -= slice;
    EXPECT_EQ(this->Held(), Pico(100 * kHold - left));
    if (left < kHold) break;
  }
  EXPECT_LT(left, kHold) << "the last of it can be had";
  ExpectSoundBooks(this->store_, "ke");
}

TYPED_TEST(BillingLeases, WithoutFundsNothingChangesAndOthersAreRecalled) {
  const Uuid other = Uuid::V7(), empty = Uuid::V7();
  Adjusted(this->store_, Adjustment("ke", empty, 1, 0, 0));
  ASSERT_EQ(Adjusted(this->store_, Adjustment("ke", other, 1, 99 * kHold, 99 * kHold)).added, Pico(99 * kHold));
  AdjustLeaseCommand more = Adjustment("ke", this->lease_, 1, 2 * kHold, 5 * kHold);
  const LeaseAdjustment refused = this->store_.AdjustLease(more).value();
  ASSERT_TRUE(refused.refused);
  EXPECT_EQ(refused.refused->reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(refused.refused->retry_after, 20ms);
  EXPECT_NE(refused.refused->message.find("credit limit"), std::string::npos) << refused.refused->message;
  EXPECT_THAT(refused.recalls, ElementsAre(LeaseRecall{kGateway, other})) << "not those that have nothing";
  EXPECT_EQ(this->Held(), Pico(99 * kHold));
  EXPECT_EQ(this->Audit().open_lease_count, 2);

  // Who did not hear of it is asked once more.
  const AdjustedLease given = *this->store_.AdjustLease(Adjustment("ke", other, 2, 0, 0, 10 * kHold))->lease;
  EXPECT_TRUE(given.recalled);
  EXPECT_FALSE(this->store_.AdjustLease(Adjustment("ke", other, 3, 0, 0))->lease->recalled);
  more.want = Pico(2 * kHold);
  EXPECT_EQ(Adjusted(this->store_, more).added, Pico(2 * kHold)) << "the epoch was not used up";

  AdjustLeaseCommand too_much = Adjustment("ke", this->lease_, 2, 200 * kHold, 200 * kHold, kHold);
  EXPECT_EQ(this->store_.AdjustLease(too_much)->refused->reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(Adjusted(this->store_, Adjustment("ke", this->lease_, 2, 0, 0)).remaining, Pico(2 * kHold))
      << "nothing was given back either";
  Adjusted(this->store_, Ending("ke", other, 4));
  Adjusted(this->store_, Ending("ke", empty, 2));
  const LeaseAdjustment alone =
      this->store_.AdjustLease(Adjustment("ke", this->lease_, 3, 200 * kHold, 200 * kHold)).value();
  EXPECT_FALSE(alone.refused->retry_after) << "nobody can give anything back";
  EXPECT_TRUE(alone.recalls.empty());
  ExpectSoundBooks(this->store_, "ke");
}

TYPED_TEST(BillingLeases, TheSameChangeAgainIsAnsweredAgain) {
  const AdjustLeaseCommand first = Adjustment("ke", this->lease_, 1, kHold, 2 * kHold);
  Adjusted(this->store_, first);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Adjusted(this->store_, first).added, Pico(2 * kHold));
  EXPECT_EQ(this->Held(), Pico(2 * kHold));
  const auto reason = [&](AdjustLeaseCommand command, auto change) {
    change(command);
    const auto adjustment = this->store_.AdjustLease(command);
    return adjustment ? std::string() : adjustment.error().reason;
  };
  EXPECT_EQ(reason(first, [](auto& c) { c.want = Pico(3 * kHold); }), "EPOCH_REUSED");
  EXPECT_EQ(reason(first, [](auto& c) { c.gateway = Uuid::V7(); }), "EPOCH_REUSED");
  EXPECT_EQ(reason(first, [](auto& c) { c.epoch = 3; }), "EPOCH_OUT_OF_ORDER");
  EXPECT_EQ(reason(first,
                   [](auto& c) {
                     c.epoch = 2;
                     c.gateway = Uuid::V7();
                   }),
            "EPOCH_REUSED");
  EXPECT_EQ(reason(first,
                   [](auto& c) {
                     c.epoch = 2;
                     c.give_back = Pico(2 * kHold + 1);
                   }),
            "GIVE_BACK_TOO_LARGE");
  EXPECT_EQ(reason(first, [](auto& c) { c.lease_id = Uuid::V7(), c.epoch = 2; }), "LEASE_ENDED") << "never made";
  EXPECT_EQ(reason(first, [](auto& c) { c.tenant = Tenant("tz"); }), "NO_BILLING_ACCOUNT");
  EXPECT_EQ(reason(first,
                   [](auto& c) {
                     c.epoch = 2, c.terms = {{Uuid::V7(), "models/m/versions/v/variants/x"}};
                   }),
            "PRICE_NOT_FOUND");
  Adjusted(this->store_, Ending("ke", this->lease_, 2));
  EXPECT_TRUE(Adjusted(this->store_, Ending("ke", this->lease_, 2)).ended);
  EXPECT_EQ(reason(first, [](auto& c) { c.epoch = 3; }), "LEASE_ENDED");
  EXPECT_EQ(this->Held(), Amount());
  ExpectSoundBooks(this->store_, "ke");
}

TYPED_TEST(BillingLeases, ABatchIsPostedFromTheLeaseAndCountsOnce) {
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 5 * kHold));
  std::vector<LeasedUsage> usage = {Leased("ke", this->lease_, 2, 3), Leased("ke", this->lease_, 10, 100),
                                    Leased("ke", this->lease_, 4, 0, Outcome::kClientCancelled),
                                    Leased("ke", this->lease_, 4, 9, Outcome::kFault)};
  usage[1].terms.variant = "models/m/versions/v/variants/q8_0";
  const std::vector<std::string> costs = {"27", "1150", "0", "0"};
  EXPECT_EQ(Settled(this->store_, "ke", usage), costs);
  EXPECT_EQ(this->Posted(), Pico(1177));
  EXPECT_EQ(this->Held(), Pico(5 * kHold - 1177));
  EXPECT_EQ(Adjusted(this->store_, Adjustment("ke", this->lease_, 2, 0, 0)).remaining, Pico(5 * kHold - 1177));
  EXPECT_EQ(Settled(this->store_, "ke", usage, kNow + 24h * 366), costs) << "a journal that comes a year later";
  EXPECT_EQ(this->Audit().usage_record_count, 4);
  EXPECT_EQ(this->Audit().transfer_count, 3);
  EXPECT_EQ(this->Posted(), Pico(1177));

  const auto records = this->store_.ListUsageRecords({.tenant = Tenant("ke")}).value();
  ASSERT_EQ(records.size(), 4U);
  const auto first = std::ranges::find(records, usage[0].request_id, &UsageRecord::request_id);
  ASSERT_NE(first, records.end());
  EXPECT_EQ(first->lease, this->lease_);
  EXPECT_EQ(first->cost, Pico(27));
  EXPECT_EQ(first->instance, usage[0].instance);
  EXPECT_EQ(first->api_key, usage[0].api_key);
  EXPECT_EQ(first->price_book, kBook);
  EXPECT_EQ(first->settle_time, kNow);
  const auto lines = this->store_.SumMonth({Tenant("ke"), kMonth, 10}).value();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].request_count, 1);
  EXPECT_EQ(lines[0].amount, Pico(27));
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Pico(1177));
}

TYPED_TEST(BillingLeases, WhatMakesNoSenseHoldsUpNoOtherOfItsBatch) {
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 5 * kHold));
  std::vector<LeasedUsage> usage(6, Leased("ke", this->lease_, 1, 1));
  for (LeasedUsage& each : usage) each.request_id = Uuid::V7(kNow);
  usage[1].terms.price_book = Uuid::V7();
  usage[2].completion_tokens = -1;
  usage[3].request_id = usage[0].request_id;
  usage[4].request_id = usage[0].request_id;
  usage[4].completion_tokens = 2;
  EXPECT_THAT(Settled(this->store_, "ke", usage),
              ElementsAre("10", "PRICE_NOT_FOUND", "INVALID_TOKEN_COUNT", "10", "REQUEST_ID_REUSED", "10"));
  for (auto change : std::vector<std::function<void(LeasedUsage&)>>{
           [](LeasedUsage& u) { u.outcome = Outcome::kGatewayLost; }, [](LeasedUsage& u) { u.prompt_tokens = 2; },
           [](LeasedUsage& u) { u.instance += "x"; }, [](LeasedUsage& u) { u.api_key.clear(); },
           [](LeasedUsage& u) { u.lease_id = Uuid::V7(); }, [](LeasedUsage& u) { u.completion_tokens_max = 0; },
           [](LeasedUsage& u) { u.terms.isolation_class = "pooled"; }}) {
    LeasedUsage other = usage[0];
    change(other);
    EXPECT_THAT(Settled(this->store_, "ke", {other}), ElementsAre("REQUEST_ID_REUSED"));
  }
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Pico(20));
  EXPECT_THAT(Settled(this->store_, "tz", {Leased("tz", this->lease_, 1, 1)}), ElementsAre("NO_BILLING_ACCOUNT"));
  EXPECT_THAT(Settled(this->store_, "ke", {}), ElementsAre());
}

TYPED_TEST(BillingLeases, ARequestIsReservedOrLeasedAndNeverBoth) {
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 5 * kHold));
  const ReserveCommand reserved = Request("ke"), settled = Request("ke");
  for (const ReserveCommand& request : {reserved, settled}) ASSERT_TRUE(this->store_.Reserve(request, kNow));
  ASSERT_TRUE(this->store_.Settle(Settlement(settled, 1, 1), kNow));
  LeasedUsage first = Leased("ke", this->lease_, 1, 1), second = first;
  first.request_id = reserved.request_id;
  second.request_id = settled.request_id;
  EXPECT_THAT(Settled(this->store_, "ke", {first, second}), ElementsAre("REQUEST_RESERVED", "REQUEST_RESERVED"));
  ASSERT_TRUE(this->store_.Settle(Settlement(reserved, 1, 1), kNow)) << "its way is open";

  for (const Outcome outcome : {Outcome::kCompleted, Outcome::kFault}) {  // with and without a transfer
    const LeasedUsage leased = Leased("ke", this->lease_, 1, 1, outcome);
    Settled(this->store_, "ke", {leased});
    ReserveCommand late = Request("ke");
    late.request_id = leased.request_id;
    EXPECT_EQ(this->store_.Reserve(late, kNow).error().reason, "REQUEST_ID_REUSED");
  }
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Pico(30));
  EXPECT_EQ(this->Held(), Pico(5 * kHold - 10));
}

TYPED_TEST(BillingLeases, AnAbandonedLeaseComesBackByItselfAndLateSettlementsCount) {
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 5 * kHold));
  const LeasedUsage in_time = Leased("ke", this->lease_, 2, 3), late = Leased("ke", this->lease_, 10, 100);
  Settled(this->store_, "ke", {in_time});
  EXPECT_TRUE(this->store_.TenantsWithDueLeases({}, 10)->empty());
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 10).value(), 0);
  this->harness_.Elapse(9min);
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 10).value(), 0);
  const AdjustedLease again = *this->store_.AdjustLease(Adjustment("ke", this->lease_, 1, 0, 5 * kHold))->lease;
  EXPECT_EQ(again.admit_for, 0s) << "said again, it counts from the first time";
  EXPECT_LE(again.ends_after, 1min);
  this->harness_.Elapse(90s);
  EXPECT_EQ(this->Audit().overdue_lease_count, 0);
  EXPECT_THAT(this->store_.TenantsWithDueLeases({}, 10).value(), ElementsAre(Tenant("ke")));
  EXPECT_TRUE(this->store_.TenantsWithDueLeases(Tenant("ke"), 10)->empty());
  EXPECT_EQ(this->store_.AdjustLease(Adjustment("ke", this->lease_, 2, 0, kHold)).error().reason, "LEASE_ENDED");
  EXPECT_EQ(this->store_.AdjustLease(Adjustment("ke", this->lease_, 1, 0, 5 * kHold)).error().reason, "LEASE_ENDED");
  const LeasedUsage just_before = Leased("ke", this->lease_, 1, 1);
  Settled(this->store_, "ke", {just_before});
  EXPECT_EQ(this->Held(), Pico(5 * kHold - 27 - 10)) << "what is there still pays";
  this->harness_.Elapse(1min);
  EXPECT_EQ(this->Audit().overdue_lease_count, 1);

  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 10).value(), 1);
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 10).value(), 0);
  EXPECT_TRUE(this->store_.TenantsWithDueLeases({}, 10)->empty());
  EXPECT_EQ(this->Held(), Amount());
  // Somebody else has it all by now.
  Adjusted(this->store_, Adjustment("ke", Uuid::V7(), 1, 100 * kHold - 37, 100 * kHold - 37));
  EXPECT_THAT(Settled(this->store_, "ke", {late, in_time}), ElementsAre("730", "27"));
  EXPECT_EQ(this->Posted(), Pico(37 + kHold)) << "owed beyond the limit by that cost: it was delivered";
  EXPECT_THAT(Settled(this->store_, "ke", {Leased("ke", Uuid::V7(), 1, 1)}), ElementsAre("10")) << "not a known lease";
  EXPECT_THAT(Settled(this->store_, "ke", {late}), ElementsAre("730"));
  EXPECT_EQ(this->Audit().short_record_count, 0);
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Pico(37 + kHold + 10));
}

TYPED_TEST(BillingLeases, WhatALeaseDoesNotHaveIsBilledAndCounted) {
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 100));
  const LeasedUsage small = Leased("ke", this->lease_, 1, 1), large = Leased("ke", this->lease_, 10, 100),
                    last = Leased("ke", this->lease_, 9, 9);
  EXPECT_THAT(Settled(this->store_, "ke", {small, large, last}), ElementsAre("10", "730", "90"));
  EXPECT_EQ(this->Held(), Amount());
  EXPECT_EQ(this->Audit().short_record_count, 1);
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Pico(830));
}

TYPED_TEST(BillingLeases, TokensBeyondWhatWasTakenAreRecordedAndNotBilled) {
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 5 * kHold));
  const LeasedUsage more = Leased("ke", this->lease_, 12, 105);
  EXPECT_THAT(Settled(this->store_, "ke", {more}), ElementsAre("730"));
  const UsageRecord record = this->store_.ListUsageRecords({.tenant = Tenant("ke")})->at(0);
  EXPECT_EQ(record.prompt_tokens, 12);
  EXPECT_EQ(record.excess_prompt_tokens, 2);
  EXPECT_EQ(record.excess_completion_tokens, 5);
  EXPECT_EQ(this->Audit().excess_record_count, 1);
  EXPECT_THAT(Settled(this->store_, "ke", {more}), ElementsAre("730"));
  EXPECT_EQ(ExpectSoundBooks(this->store_, "ke"), Pico(kHold));
}

TYPED_TEST(BillingLeases, AGatewaysEarlierLeasesAreFoundAndEnded) {
  ASSERT_TRUE(this->store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));
  std::set<LeaseKey> all;
  const Uuid current = Uuid::V7();
  for (int i = 0; i < 5; ++i) {
    for (const char* tenant : {"ke", "tz"}) {
      const Uuid lease = i == 0 && tenant == std::string("ke") ? current : Uuid::V7();
      Adjusted(this->store_, Adjustment(tenant, lease, 1, 0, 100));
      if (lease != current) all.insert({Tenant(tenant), lease});
    }
  }
  AdjustLeaseCommand of_another = Adjustment("ke", Uuid::V7(), 1, 0, 100);
  of_another.gateway = Uuid::V7();
  Adjusted(this->store_, of_another);
  std::set<LeaseKey> found;
  std::optional<LeaseKey> after;
  while (true) {
    const auto page = this->store_.LeasesBesides(kGateway, {Uuid::V7(), current}, after, 4).value();
    for (const LeaseKey& key : page) EXPECT_TRUE(found.insert(key).second);
    if (page.size() < 4) break;
    after = page.back();
  }
  EXPECT_EQ(found, all);
  std::vector<Uuid> of_kenya;
  for (const LeaseKey& key : all) {
    if (key.tenant == Tenant("ke")) of_kenya.push_back(key.lease);
  }
  EXPECT_EQ(this->store_.EndLeases(Tenant("tz"), of_kenya).value(), 0) << "they are not Tanzania's";
  EXPECT_EQ(this->store_.EndLeases(Tenant("ke"), of_kenya).value(), 4);
  EXPECT_EQ(this->store_.EndLeases(Tenant("ke"), of_kenya).value(), 0);
  EXPECT_EQ(this->Held(), Pico(200)) << "the one that goes on, and the other gateway's";
  EXPECT_EQ(this->store_.LeasesBesides(kGateway, {current}, {}, 100)->size(), 5U);
  for (const char* tenant : {"ke", "tz"}) ExpectSoundBooks(this->store_, tenant);
}

TYPED_TEST(BillingLeases, AnotherTenantCannotSpendThem) {
  ASSERT_TRUE(this->store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));
  Adjusted(this->store_, Adjustment("ke", this->lease_, 1, 0, 5 * kHold));
  EXPECT_THAT(Settled(this->store_, "tz", {Leased("tz", this->lease_, 1, 1)}), ElementsAre("10"));
  EXPECT_EQ(this->store_.GetBillingAccount(Tenant("tz"))->posted, Pico(10)) << "its own money";
  EXPECT_EQ(this->Held(), Pico(5 * kHold));
  EXPECT_EQ(this->store_.AdjustLease(Ending("tz", this->lease_, 2)).error().reason, "LEASE_ENDED");
  EXPECT_EQ(Adjusted(this->store_, Adjustment("tz", this->lease_, 1, 0, 7)).remaining, Pico(7))
      << "the same id is another lease";
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("tz"), 10).value(), 0);
  EXPECT_EQ(this->Held(), Pico(5 * kHold));
  for (const char* tenant : {"ke", "tz"}) ExpectSoundBooks(this->store_, tenant);
}

TYPED_TEST(BillingLeases, ManyAreEndedInParts) {
  for (int i = 0; i < 5; ++i) Adjusted(this->store_, Adjustment("ke", Uuid::V7(), 1, 0, 100));
  this->harness_.Elapse(10min);
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 2).value(), 2);
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 2).value(), 2);
  EXPECT_EQ(this->store_.ExpireLeases(Tenant("ke"), 2).value(), 1);
  ExpectSoundBooks(this->store_, "ke");
}

TYPED_TEST(BillingLeases, WhatWasComputedAndNeverSettledIsFound) {
  const LeasedUsage unsettled = Leased("ke", this->lease_, 1, 1);
  ASSERT_TRUE(this->store_.RecordComputedUsage(Tenant("ke"), {{.tenant = Tenant("ke"),
                                                               .event_id = "ring/1",
                                                               .request_id = unsettled.request_id,
                                                               .instance = unsettled.instance,
                                                               .node = "nodes/n",
                                                               .sampled_tokens = 1,
                                                               .start_time = kNow,
                                                               .end_time = kNow + 1s}}));
  const UsageRange all{Time{}, kNow + 24h, 10};
  const auto check = [&](Time now) { return this->store_.CheckUsage(Tenant("ke"), all, now).value(); };
  EXPECT_EQ(check(kNow + kSettleTimeMax).open_count, 1);
  EXPECT_EQ(check(kNow + kSettleTimeMax).findings.size(), 0U);
  const UsageCheck later = check(kNow + kSettleTimeMax + 2s);
  EXPECT_EQ(later.open_count, 0);
  EXPECT_EQ(later.unbilled_count, 1);
  ASSERT_EQ(later.findings.size(), 1U);
  EXPECT_EQ(later.findings[0].kind, UsageFinding::Kind::kUnbilled);
  EXPECT_EQ(later.findings[0].request_id, unsettled.request_id);
  Settled(this->store_, "ke", {unsettled});
  EXPECT_EQ(check(kNow + 24h).unbilled_count, 0);
}

static_assert(kSettleTimeMax > kLeaseEndsAfter);

}  // namespace
}  // namespace allod::billing::billing_lease_test
