// What the gateway does about money when something is away or has died.
#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway {
namespace {

using testing::HasSubstr;

class GatewayBilling : public GatewayTest {};

TEST_F(GatewayBilling, NothingRunsWhileBillingIsAway) {
  billing_server_.reset();
  const auto response = Chat();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(ErrorCode(response), "billing_unavailable");
  EXPECT_THAT(response.head, HasSubstr("retry-after: "));
  EXPECT_EQ(worker_.calls, 0);
}

TEST_F(GatewayBilling, RequestsThatBillingNeverSawAreForgottenOnceItSaysSo) {
  billing_server_.reset();
  EXPECT_EQ(Chat().status, 503);
  EXPECT_EQ(gateway_->pending_settlements(), 1U);
  StartPeer(billing_server_, "billing", {&billing_});
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; }));
  EXPECT_TRUE(billing_.Settled().empty());
}

TEST_F(GatewayBilling, MissingFundsAreInsufficientQuotaAndNotRetried) {
  billing_.no_funds = true;
  const auto response = Chat();
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(ErrorCode(response), "insufficient_quota");
  EXPECT_THAT(response.head, HasSubstr("x-should-retry: false"));
  EXPECT_EQ(worker_.calls, 0);
  EXPECT_EQ(gateway_->pending_settlements(), 0U);
}

TEST_F(GatewayBilling, FailedSettlementsAreTriedAgainUntilAcknowledged) {
  billing_.settle_failures = 3;
  EXPECT_EQ(Chat().status, 200);
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 3);
  EXPECT_EQ(billing_.settle_calls, 4);
  EXPECT_TRUE(Eventually([&] { return gateway_->pending_settlements() == 0; }));
}

TEST_F(GatewayBilling, SettlementsSurviveARestartOfTheGateway) {
  billing_.settle_failures = 1'000'000;
  EXPECT_EQ(Chat().status, 200);
  gateway_->Stop();
  gateway_.reset();
  EXPECT_TRUE(billing_.Settled().empty());
  billing_.settle_failures = 0;
  StartGateway();
  EXPECT_EQ(billing_.OnlySettlement().completion_tokens(), 3);
  EXPECT_EQ(billing_.OnlySettlement().outcome(), billing::v1::OUTCOME_COMPLETED);
}

TEST_F(GatewayBilling, TwoGatewaysNeverShareAJournal) {
  const auto second = Gateway::Start(Config(), kPepper);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "JOURNAL_IN_USE");
}

}  // namespace
}  // namespace allod::gateway
