#include "services/billing/lease.h"

#include <gtest/gtest.h>

namespace allod::billing::lease_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28);
Amount Pico(std::int64_t pico) { return Amount::FromPico(pico); }

BillingAccount Account(std::int64_t limit, std::int64_t posted, std::int64_t held) {
  return {.tenant = TenantId::FromName("tenants/ke").value(),
          .tenant_name = "tenants/ke",
          .currency_code = "KES",
          .credit_limit = Pico(limit),
          .posted = Pico(posted),
          .held = Pico(held)};
}

TEST(Grant, IsAQuarterOfWhatIsLeftWithinWhatIsNeededAndWanted) {
  struct Case {
    const char* what;
    std::int64_t limit, posted, held, freed, need, want;
    std::int64_t granted;  // -1: refused
  };
  for (const Case& c : std::vector<Case>{
           {"all that is wanted, where there is plenty", 1000, 0, 0, 0, 10, 100, 100},
           {"a quarter of what is left", 1000, 0, 0, 0, 10, 1000, 250},
           {"rounded down", 1003, 0, 0, 0, 10, 1000, 250},
           {"what is owed and held is not left", 1000, 300, 300, 0, 10, 1000, 100},
           {"what is needed, though it is more than a quarter", 1000, 0, 0, 0, 400, 1000, 400},
           {"the last of it", 1000, 900, 0, 0, 100, 100, 100},
           {"not one more than there is", 1000, 900, 0, 0, 101, 200, -1},
           {"what is given back counts", 1000, 500, 500, 101, 101, 200, 101},
           {"and no more than that", 1000, 500, 500, 100, 101, 200, -1},
           {"nothing needed, nothing left", 1000, 1000, 0, 0, 0, 100, 0},
           {"nothing needed, more owed than may be", 1000, 1500, 0, 0, 0, 100, 0},
           {"nothing needed, something left", 1000, 900, 0, 0, 0, 100, 25},
           {"nothing wanted", 1000, 0, 0, 0, 0, 0, 0},
           {"no limit at all", 0, 0, 0, 0, 1, 1, -1},
           {"less than four units are left", 1000, 997, 0, 0, 0, 100, 0},
       }) {
    const auto granted = Grant(Account(c.limit, c.posted, c.held), Pico(c.freed), Pico(c.need), Pico(c.want));
    if (c.granted < 0) {
      ASSERT_FALSE(granted) << c.what;
      EXPECT_EQ(granted.error().reason, "INSUFFICIENT_FUNDS") << c.what;
    } else {
      ASSERT_TRUE(granted) << c.what << ": " << granted.error().message;
      EXPECT_EQ(*granted, Pico(c.granted)) << c.what;
    }
  }
}

TEST(Grant, SaysWithNumbersWhyThereIsNothing) {
  const auto refused = Grant(Account(1000, 300, 600), Pico(50), Pico(500), Pico(500));
  ASSERT_FALSE(refused);
  for (const char* text :
       {"tenants/ke", "0.0000000005 KES", "0.000000001 ", "0.0000000003 owed", "0.00000000055 held"}) {
    EXPECT_NE(refused.error().message.find(text), std::string::npos) << text << " in " << refused.error().message;
  }
}

AdjustLeaseCommand Command(std::int64_t epoch) {
  return {.tenant = TenantId::FromName("tenants/ke").value(),
          .lease_id = Uuid::FromName("leases/one"),
          .gateway = Uuid::FromName("gateways/one"),
          .epoch = epoch,
          .need = Pico(10),
          .want = Pico(20)};
}

TEST(DecideAdjustLease, RenewsWithEveryChange) {
  AdjustLeaseState state{.now = kNow, .account = Account(1000, 0, 0)};
  const auto made = DecideAdjustLease(state, Command(1));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->lease.expire_time, kNow + kLeaseEndsAfter);
  EXPECT_EQ(AnswerOf(state, *made).admit_for, kLeaseAdmitFor);
  EXPECT_EQ(AnswerOf(state, *made).ends_after, kLeaseEndsAfter);
  state.lease = made->lease;
  state.now += 5min;
  const auto renewed = DecideAdjustLease(state, Command(2));
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed->lease.remaining, Pico(40));
  EXPECT_EQ(AnswerOf(state, *renewed).ends_after, kLeaseEndsAfter);
  const auto repeated = DecideAdjustLease(state, Command(1));
  ASSERT_TRUE(repeated);
  EXPECT_TRUE(repeated->replay);
  EXPECT_EQ(AnswerOf(state, *repeated).ends_after, 5min);
  EXPECT_EQ(AnswerOf(state, *repeated).admit_for, 0s);
}

TEST(DecideAdjustLease, IsOverToTheMoment) {
  AdjustLeaseState state{.now = kNow, .account = Account(1000, 0, 0)};
  state.lease = DecideAdjustLease(state, Command(1))->lease;
  state.now = kNow + kLeaseEndsAfter - 1us;
  EXPECT_TRUE(DecideAdjustLease(state, Command(2)));
  state.now = kNow + kLeaseEndsAfter;
  EXPECT_EQ(DecideAdjustLease(state, Command(2)).error().reason, "LEASE_ENDED");
}

}  // namespace
}  // namespace allod::billing::lease_test
