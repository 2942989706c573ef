#include "services/billing/expirer.h"

#include <gtest/gtest.h>

#include "services/billing/testing/fake_store.h"
#include "tests/support/fake_clock.h"

namespace allod::billing::expirer_test {
namespace {

using namespace std::chrono_literals;

class ExpirerTest : public testing::Test {
 protected:
  // A tenant with holds that end ten minutes from now.
  void AddTenant(const std::string& id, int holds) {
    const std::string name = "tenants/" + id;
    const TenantId tenant = TenantId::FromName(name).value();
    const Uuid book = Uuid::FromName("priceBooks/x");
    ASSERT_TRUE(store_.CreatePriceBook(
        {.id = book, .listing = "listings/x", .prices = {{"KES", "", Amount::FromPico(1), Amount::FromPico(1)}}},
        Now()));
    ASSERT_TRUE(store_.SetBillingAccount(
        {.tenant = tenant, .tenant_name = name, .currency_code = "KES", .credit_limit = kCreditLimitMax}, Now()));
    for (int i = 0; i < holds; ++i) {
      ASSERT_TRUE(store_.Reserve({.tenant = tenant,
                                  .request_id = Uuid::V7(Now()),
                                  .instance = name + "/projects/p/instances/i",
                                  .variant = "models/m/versions/v/variants/q8_0",
                                  .price_book = book,
                                  .prompt_tokens_max = 1,
                                  .completion_tokens_max = 1,
                                  .expire_time = Now() + 10min},
                                 Now()));
    }
  }

  Time Now() const { return clock_.Now(); }

  // Counts what would be transactions of a tenant.
  class CountingStore final : public FakeStore {
   public:
    Result<int> ExpireReservations(TenantId tenant, Time now, int limit) override {
      ++expirations;
      if (tenant == broken) return std::unexpected(*error);
      return FakeStore::ExpireReservations(tenant, now, limit);
    }
    int expirations = 0;
    std::optional<TenantId> broken;
    std::optional<Error> error;
  };

  FakeClock clock_;
  CountingStore store_;
  Expirer expirer_{store_, clock_};
};

TEST_F(ExpirerTest, ReleasesEveryTenantsHoldsWhenTheirTimeIsOver) {
  AddTenant("ke", 3);
  AddTenant("tz", 2);
  AddTenant("ug", 0);
  EXPECT_EQ(expirer_.RunOnce().value(), 0);
  clock_.Advance(10min);
  EXPECT_EQ(expirer_.RunOnce().value(), 5);
  EXPECT_EQ(expirer_.RunOnce().value(), 0);
}

TEST_F(ExpirerTest, LeavesTenantsAloneThatHaveNothingDue) {
  for (int i = 0; i < 300; ++i) AddTenant("t" + std::to_string(i), i % 2);
  EXPECT_EQ(expirer_.RunOnce().value(), 0);
  EXPECT_EQ(store_.expirations, 0);
  AddTenant("due", 1);
  clock_.Advance(10min);
  EXPECT_EQ(expirer_.RunOnce().value(), 151);
  EXPECT_EQ(store_.expirations, 151);
}

TEST_F(ExpirerTest, TakesMoreThanOneTransactionForManyHolds) {
  AddTenant("ke", 1201);
  clock_.Advance(1h);
  EXPECT_EQ(expirer_.RunOnce().value(), 1201);
}

TEST_F(ExpirerTest, GoesThroughMoreThanOnePageOfTenants) {
  for (int i = 0; i < 401; ++i) AddTenant("t" + std::to_string(i), 1);
  clock_.Advance(1h);
  EXPECT_EQ(expirer_.RunOnce().value(), 401);
}

TEST_F(ExpirerTest, ATenantWhoseHoldsCannotBeReleasedKeepsNobodyElses) {
  for (int i = 0; i < 5; ++i) AddTenant("t" + std::to_string(i), 1);
  clock_.Advance(1h);
  store_.broken = store_.TenantsWithDueHolds(Now(), std::nullopt, 1)->at(0);
  store_.error = Error{Code::kFailedPrecondition, "CONSTRAINT", "a row makes no sense"};
  EXPECT_EQ(expirer_.RunOnce(), 4);
  EXPECT_EQ(store_.expirations, 5);
  EXPECT_EQ(expirer_.RunOnce(), 0);
  EXPECT_EQ(store_.expirations, 5) << "it is left alone for a second";
  clock_.Advance(1s);
  EXPECT_EQ(expirer_.RunOnce(), 0);
  EXPECT_EQ(store_.expirations, 6);
  store_.broken.reset();
  clock_.Advance(1s);
  EXPECT_EQ(expirer_.RunOnce(), 0) << "now it is for two";
  clock_.Advance(1s);
  EXPECT_EQ(expirer_.RunOnce(), 1);
}

TEST_F(ExpirerTest, ADatabaseThatIsAwayEndsTheRound) {
  for (int i = 0; i < 5; ++i) AddTenant("t" + std::to_string(i), 1);
  clock_.Advance(1h);
  store_.broken = store_.TenantsWithDueHolds(Now(), std::nullopt, 1)->at(0);
  store_.error = Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"};
  EXPECT_EQ(expirer_.RunOnce().error().reason, "DATABASE_UNAVAILABLE");
  EXPECT_EQ(store_.expirations, 1) << "the others would meet the same";
  store_.broken.reset();
  EXPECT_EQ(expirer_.RunOnce(), 5) << "and nobody is left alone for it";
}

TEST_F(ExpirerTest, EndsLeasesThatNobodyRenews) {
  AddTenant("ke", 1);
  AddTenant("tz", 0);
  for (const char* id : {"ke", "tz"}) {
    const auto made = store_.AdjustLease({.tenant = TenantId::FromName(std::string("tenants/") + id).value(),
                                          .lease_id = Uuid::V7(),
                                          .gateway = Uuid::FromName("gateways/one"),
                                          .want = Amount::FromPico(5)});
    ASSERT_TRUE(made && made->lease);
  }
  EXPECT_EQ(expirer_.RunOnce().value(), 0);
  store_.Elapse(kLeaseEndsAfter);
  EXPECT_EQ(expirer_.RunOnce().value(), 2);
  EXPECT_EQ(expirer_.RunOnce().value(), 0);
  EXPECT_EQ(store_.GetBillingAccount(TenantId::FromName("tenants/tz").value())->held, Amount());
  EXPECT_EQ(store_.expirations, 0) << "no hold was due";
}

TEST_F(ExpirerTest, EndsInTheMiddleOfARoundWhenAskedTo) {
  AddTenant("ke", 1);
  clock_.Advance(1h);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(expirer_.RunOnce(stop.get_token()).value(), 0);
}

TEST_F(ExpirerTest, StopsAtOnceAlthoughItsPeriodIsASecond) {
  const auto begun = std::chrono::steady_clock::now();
  expirer_.Start();
  expirer_.Stop();
  expirer_.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 900ms);
}

}  // namespace
}  // namespace allod::billing::expirer_test
