// Gateways' money, from the lease to the usage record, on the real billing service: four of them against one credit
// limit.
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "gateway/http/fake_response_writer.h"
#include "gateway/metering/escrow_funds.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/hold.h"
#include "services/billing/testing/service_fixture.h"

namespace allod::gateway::escrow_billing_test {
namespace {

namespace asio = boost::asio;
using metering::EscrowFunds;
using metering::Journal;
using metering::LeaseTerms;
using metering::MeteredRequest;
using metering::Settlement;
using metering::Settler;

constexpr char kTenant[] = "tenants/ke";
constexpr char kInstance[] = "tenants/ke/projects/desk/instances/helper";
constexpr metering::TokenBounds kBounds{40, 200};
constexpr int kWorth = 37;

// What of a gateway has to do with money.
struct Gateway {
  explicit Gateway(const std::string& billing)
      : journal(*Journal::Open(directory.path(), 2048, v1_lost())),
        funds(MakeChannel(billing), journal->gateway_id(), std::chrono::seconds(20)),
        settler(*journal, MakeChannel(billing), std::chrono::seconds(7),
                {.settled =
                     [this](const Settlement& settlement, Amount cost) {
                       const LeaseTerms& terms = *settlement.terms;
                       funds.Settle(settlement.entry.tenant, terms.lease_id, CostOf(terms.prices, terms.bounds).value(),
                                    cost);
                     },
                 .earlier_settled = [this] { funds.EndEarlierLeases(); }}) {}
  static std::uint32_t v1_lost() { return static_cast<std::uint32_t>(::allod::billing::v1::OUTCOME_GATEWAY_LOST); }

  const TempDir directory;
  const std::unique_ptr<Journal> journal;
  EscrowFunds funds;
  Settler settler;
};

class EscrowOnBilling : public ::allod::billing::BillingRpc {
 protected:
  void SetUp() override {
    clock_.Set(std::chrono::system_clock::now());  // as the gateways'
    ASSERT_TRUE(CreateBook(Caller::Operator()));   // 50 and 150.5 a million
    for (auto& gateway : gateways_) gateway = std::make_unique<Gateway>(address_);
  }
  // What `count` requests cost at most.
  static Amount CostOf(int count) {
    const metering::TokenPrices prices{Amount::FromPico(50'000'000), Amount::FromPico(150'500'000)};
    return Amount::FromPico(metering::CostOf(prices, kBounds)->pico() * count);
  }

  // Admits a request, answers it and hands it over to be settled.
  http::Awaitable<void> Run(Gateway& gateway, int& admitted) {
    const Uuid id = Uuid::V7(clock_.Now());
    Result<MeteredRequest> metered =
        MeteredRequest::Admit(*gateway.journal, gateway.settler, {id, kTenant, kInstance, clock_.Now()}, "chat");
    EXPECT_TRUE(metered);
    http::FakeResponseWriter out;
    serving::Hold::Owner owner{id.ToString(), kTenant, key_};
    serving::Hold hold(gateway.funds, std::move(owner), *metered, out);
    serving::HoldTerms terms{
        {"models/desk/versions/1/variants/q4_k_m", "priceBooks/" + book_id_.ToString(), "isolated"}, kBounds};
    const Status held = co_await hold.Make(std::move(terms));
    if (!held) {
      EXPECT_EQ(held.error().reason, "INSUFFICIENT_FUNDS") << held.error().message;
      co_return;
    }
    ++admitted;
    metered->SetPromptTokens(kBounds.prompt, 0);
    metering::HandOver hand_over(*metered, kBounds.completion, metering::HandOver::Part::kEnd);
    hand_over.Done();
    metered->Finish(::allod::billing::v1::OUTCOME_COMPLETED);
  }
  // So many at once at each gateway.
  int RunMany(int each) {
    asio::io_context io;
    std::array<int, 4> admitted{};
    for (std::size_t i = 0; i < gateways_.size(); ++i) {
      const auto strand = asio::make_strand(io);
      for (int n = 0; n < each; ++n) {
        asio::co_spawn(
            strand, [this, i, &admitted] { return Run(*gateways_[i], admitted[i]); },
            [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
      }
    }
    std::thread other([&io] { io.run(); });
    io.run();
    other.join();
    return admitted[0] + admitted[1] + admitted[2] + admitted[3];
  }

  std::array<std::unique_ptr<Gateway>, 4> gateways_;
  std::string key_ = "tenants/ke/projects/desk/apiKeys/a1";
};

TEST_F(EscrowOnBilling, WhoeverMayAskIsSettledToo) {
  ASSERT_TRUE(SetAccount(Caller::Operator(), CostOf(100).ToString()));
  int admitted = 0;
  // Keys, workloads and people, as the principals of gateway/access are named.
  for (const char* name : {"tenants/ke/projects/desk/apiKeys/a1", "tenants/ke/projects/desk/workloadRules/w1", ""}) {
    key_ = name;
    http::RunToEnd([&]() -> http::Awaitable<void> { co_await Run(*gateways_[0], admitted); });
  }
  EXPECT_EQ(admitted, 3);
  while (gateways_[0]->settler.pending() > gateways_[0]->settler.refused()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(gateways_[0]->settler.refused(), 0U);
  EXPECT_EQ(store_.GetBillingAccount(TenantId::FromName(kTenant).value())->posted, CostOf(3));
}

TEST_F(EscrowOnBilling, MoneyForThirtySevenRequestsPaysForThirtySevenToTheLastDigit) {
  constexpr int kRounds = 5;
  for (int round = 1; round <= kRounds; ++round) {
    ASSERT_TRUE(SetAccount(Caller::Operator(), CostOf(round * kWorth).ToString()));
    int admitted = RunMany(1) + RunMany(200);
    ASSERT_LE(admitted, kWorth);
    // It is quiet: what is left, in whichever lease, anybody gets.
    for (std::size_t i = 0; admitted < kWorth; ++i) {
      int more = 0;
      http::RunToEnd([&]() -> http::Awaitable<void> { co_await Run(*gateways_[i % gateways_.size()], more); });
      ASSERT_EQ(more, 1) << "a refusal although there was money, after " << admitted << " in round " << round;
      ++admitted;
    }
    for (const auto& gateway : gateways_) {
      while (gateway->settler.pending() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    const auto account = store_.GetBillingAccount(TenantId::FromName(kTenant).value());
    ASSERT_TRUE(account);
    EXPECT_EQ(account->posted, CostOf(round * kWorth));
  }
  for (const auto& gateway : gateways_) {
    gateway->settler.Stop(std::chrono::seconds(5));
    gateway->funds.Stop(std::chrono::seconds(5));
  }
  const auto account = store_.GetBillingAccount(TenantId::FromName(kTenant).value());
  ASSERT_TRUE(account);
  EXPECT_EQ(account->held, Amount()) << "nothing stays locked up";
  const auto audit = store_.AuditTenant(TenantId::FromName(kTenant).value(), clock_.Now(), ::allod::billing::kAllUsage);
  ASSERT_TRUE(audit);
  EXPECT_EQ(audit->usage_record_count, kRounds * kWorth);
  EXPECT_EQ(audit->posted_usage, CostOf(kRounds * kWorth));
  EXPECT_EQ(audit->recorded_usage, audit->posted_usage);
}

TEST_F(EscrowOnBilling, AGatewayThatIsStartedAgainSettlesAndItsLeasesEnd) {
  ASSERT_TRUE(SetAccount(Caller::Operator(), CostOf(10 * kWorth).ToString()));
  int admitted = 0;
  http::RunToEnd([&]() -> http::Awaitable<void> { co_await Run(*gateways_[0], admitted); });
  ASSERT_EQ(admitted, 1);
  Gateway& gateway = *gateways_[0];
  while (gateway.settler.pending() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  // As if another process of this gateway had begun: none of the leases is of it.
  EscrowFunds next(MakeChannel(address_), gateway.journal->gateway_id(), std::chrono::seconds(20));
  next.EndEarlierLeases();
  const TenantId tenant = TenantId::FromName(kTenant).value();
  while (store_.GetBillingAccount(tenant)->held > Amount()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(store_.GetBillingAccount(tenant)->posted, CostOf(1));
}

}  // namespace
}  // namespace allod::gateway::escrow_billing_test
