#include "services/billing/finaliser.h"

#include <gtest/gtest.h>

#include "services/billing/testing/fake_store.h"
#include "tests/support/fake_clock.h"

namespace allod::billing::finaliser_test {
namespace {

using namespace std::chrono_literals;

const Time kOctober = std::chrono::sys_days(std::chrono::year(2026) / 10 / 1);

class FinaliserTest : public testing::Test {
 protected:
  class CountingStore final : public FakeStore {
   public:
    Result<IssuedInvoice> FinaliseInvoice(const FinaliseCommand& command, Time now) override {
      ++finalisations;
      if (command.tenant == broken) return Fail(Code::kInternal, "DATABASE_FAILED", "a row makes no sense");
      return FakeStore::FinaliseInvoice(command, now);
    }
    int finalisations = 0;
    std::optional<TenantId> broken;
  };

  static TenantId Id(const std::string& id) { return TenantId::FromName("tenants/" + id).value(); }

  void AddTenant(const std::string& id, bool by_hand = false) {
    const Uuid book = Uuid::FromName("priceBooks/x");
    ASSERT_TRUE(store_.CreatePriceBook(
        {.id = book, .listing = "listings/x", .prices = {{"KES", "", Amount::FromPico(1), Amount::FromPico(1)}}},
        clock_.Now()));
    ASSERT_TRUE(store_.SetBillingAccount(
        {.tenant = Id(id), .tenant_name = "tenants/" + id, .currency_code = "KES", .credit_limit = kCreditLimitMax},
        clock_.Now()));
    ASSERT_TRUE(store_.SetLegalEntity({.id = "e", .invoice_prefix = "I", .credit_note_prefix = "C"}, clock_.Now()));
    ASSERT_TRUE(
        store_.SetBillingProfile({.tenant = Id(id), .legal_entity = "e", .finalise_by_hand = by_hand}, clock_.Now()));
    for (int i = 0; i < 2; ++i) {
      const Uuid request = Uuid::V7(clock_.Now());
      ASSERT_TRUE(store_.Reserve({.tenant = Id(id),
                                  .request_id = request,
                                  .instance = "tenants/" + id + "/projects/p/instances/i",
                                  .variant = "models/m/versions/v/variants/q8_0",
                                  .price_book = book,
                                  .prompt_tokens_max = 9,
                                  .completion_tokens_max = 9,
                                  .expire_time = clock_.Now() + 10min},
                                 clock_.Now()));
      ASSERT_TRUE(store_.Settle({.tenant = Id(id), .request_id = request, .prompt_tokens = 5, .completion_tokens = 5},
                                clock_.Now()));
    }
  }

  FakeClock clock_{kOctober + 5h};
  CountingStore store_;
  Finaliser finaliser_{store_, clock_, 24h};
};

TEST_F(FinaliserTest, FinalisesEndedMonthsAfterTheGraceAndThenRests) {
  AddTenant("ke");
  AddTenant("tz", true);
  EXPECT_EQ(finaliser_.RunOnce().value(), 0);
  clock_.Advance(24h * 32);
  EXPECT_EQ(finaliser_.RunOnce().value(), 1) << "24 hours and more after the month";
  EXPECT_EQ(store_.FindInvoice(Id("ke"), "2026-10")->number, "I000001");
  EXPECT_FALSE(store_.FindInvoice(Id("tz"), "2026-10")) << "by hand";
  const int before = store_.finalisations;
  EXPECT_EQ(finaliser_.RunOnce().value(), 0);
  EXPECT_EQ(store_.finalisations, before) << "who has nothing new costs nothing";
}

TEST_F(FinaliserTest, WaitsForTheGrace) {
  AddTenant("ke");
  clock_.Advance(24h * 31);
  EXPECT_EQ(finaliser_.RunOnce().value(), 0) << "in the month after, and not 24 hours yet";
  EXPECT_EQ(store_.finalisations, 0);
}

TEST_F(FinaliserTest, ATenantWhoseMonthCannotBeFinalisedKeepsNobodyElses) {
  for (const char* tenant : {"ke", "tz", "ug"}) AddTenant(tenant);
  store_.broken = Id("tz");
  clock_.Advance(24h * 32);
  EXPECT_EQ(finaliser_.RunOnce().value(), 2);
  const int before = store_.finalisations;
  EXPECT_EQ(finaliser_.RunOnce().value(), 0);
  EXPECT_EQ(store_.finalisations, before) << "it is left alone for a while";
  store_.broken.reset();
  clock_.Advance(2min);
  EXPECT_EQ(finaliser_.RunOnce().value(), 1);
}

}  // namespace
}  // namespace allod::billing::finaliser_test
