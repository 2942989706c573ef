// Leases over a real connection, of a billing that keeps its money in memory.
#include "gateway/metering/escrow_funds.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <optional>
#include <vector>

#include "gateway/http/fake_response_writer.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/integration/billing_peer.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::metering::escrow_funds_test {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

const char kTenant[] = "tenants/ke";
const PriceKey kTerms{"models/m/versions/v1/variants/q4", "priceBooks/01890000-0000-7000-8000-000000000000", "pooled"};
constexpr TokenBounds kBounds{100, 50};

Amount Times(Amount amount, int count) { return Amount::FromPico(amount.pico() * count); }
const Amount kEach = BillingPeer::CostOf(kBounds.prompt, kBounds.completion);

class EscrowFundsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({.listen = target_, .threads_max = 64}, {&billing_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }
  std::unique_ptr<EscrowFunds> Make(milliseconds call_timeout = seconds(20)) const {
    return std::make_unique<EscrowFunds>(MakeChannel(target_), Uuid::V7(), call_timeout);
  }
  static http::Awaitable<Result<Funds>> Take(EscrowFunds& funds, http::FakeResponseWriter& out) {
    const FundsRequest request{kTenant, kTerms, kBounds};
    Result<Funds> taken = co_await funds.Take(request, nullptr, out);
    co_return taken;
  }
  static Result<Funds> TakeOne(EscrowFunds& funds) {
    std::optional<Result<Funds>> out;
    http::FakeResponseWriter writer;
    http::RunToEnd([&]() -> http::Awaitable<void> { out = co_await Take(funds, writer); });
    return *std::move(out);
  }
  // Of so many requests at once at each gateway, what was taken there.
  static std::vector<std::vector<Funds>> TakeFrom(const std::vector<EscrowFunds*>& gateways, int count,
                                                  asio::io_context& io) {
    std::vector<std::vector<Funds>> out(gateways.size());
    for (std::size_t i = 0; i < gateways.size(); ++i) {
      const auto strand = asio::make_strand(io);
      for (int n = 0; n < count; ++n) {
        asio::co_spawn(
            strand,
            [&funds = *gateways[i], &mine = out[i]]() -> http::Awaitable<void> {
              http::FakeResponseWriter writer;
              const Result<Funds> taken = co_await Take(funds, writer);
              if (taken) {
                mine.push_back(*taken);
              } else {
                EXPECT_EQ(taken.error().reason, "INSUFFICIENT_FUNDS") << taken.error().message;
              }
            },
            [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
      }
    }
    io.restart();
    std::thread other([&io] { io.run(); });
    io.run();
    other.join();
    return out;
  }

  TempDir directory_;
  const std::string target_ = "unix:" + (directory_ / "billing.sock").string();
  BillingPeer billing_;
  std::unique_ptr<Server> server_;
};

TEST_F(EscrowFundsTest, AdmitsWithoutACallForEach) {
  const auto funds = Make();
  for (int i = 0; i < 1000; ++i) {
    const Result<Funds> taken = TakeOne(*funds);
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_EQ(taken->amount, kEach);
    funds->Settle(kTenant, taken->lease_id, taken->amount, Amount());
  }
  EXPECT_LT(billing_.adjust_calls, 20);
  EXPECT_EQ(funds->figures().leases, 1);
}

TEST_F(EscrowFundsTest, GivesBackWhatALastRequestLeaves) {
  billing_.SetLimit(kEach);  // it takes all that there is
  const auto funds = Make();
  const Result<Funds> taken = TakeOne(*funds);
  ASSERT_TRUE(taken) << taken.error().message;
  ASSERT_EQ(billing_.held(), kEach);
  funds->Settle(kTenant, taken->lease_id, taken->amount, Amount());
  const auto end = std::chrono::steady_clock::now() + seconds(15);  // not when the lease is to be renewed
  while (billing_.held() > Amount() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(billing_.held(), Amount());
}

TEST_F(EscrowFundsTest, GivesBackAtOnceWhatOthersWaitFor) {
  billing_.SetLimit(kEach);
  const auto funds = Make();
  const auto other = Make();
  while (billing_.watchers < 2) std::this_thread::yield();
  const Result<Funds> taken = TakeOne(*funds);
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(TakeOne(*other).error().reason, "INSUFFICIENT_FUNDS") << "a request has it";
  funds->Settle(kTenant, taken->lease_id, taken->amount, Amount());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(TakeOne(*other));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1500)) << "not when it would look anyway";
}

TEST_F(EscrowFundsTest, AStopIsNoticedAlsoByWhoWaitsForOneThatHasGone) {
  billing_.adjust_ms = 3000;
  const auto funds = Make();
  http::FakeResponseWriter out;
  out.is_gone = true;
  std::optional<Result<Funds>> taken;
  const auto start = std::chrono::steady_clock::now();
  http::RunToEnd([&]() -> http::Awaitable<void> {
    asio::steady_timer stop(co_await asio::this_coro::executor, milliseconds(100));
    stop.async_wait([&](const auto&) { out.is_shutting_down = true; });
    taken = co_await Take(*funds, out);
  });
  EXPECT_EQ(taken->error().reason, "BILLING_UNAVAILABLE");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(2000)) << "not when billing has answered";
}

TEST_F(EscrowFundsTest, HoldsForNoMoreTokensThanBillingTakes) {
  billing_.SetLimit(BillingPeer::CostOf(2'000'000'000, 2));
  const auto funds = Make();
  http::FakeResponseWriter out;
  for (const auto& [bounds, reason] :
       {std::pair{TokenBounds{1'000'000'000, 1}, ""}, std::pair{TokenBounds{1'000'000'001, 1}, "INVALID_TOKEN_COUNT"},
        std::pair{TokenBounds{1, 1'000'000'001}, "INVALID_TOKEN_COUNT"}}) {
    std::optional<Result<Funds>> taken;
    http::RunToEnd([&, &bounds = bounds]() -> http::Awaitable<void> {
      const FundsRequest request{kTenant, kTerms, bounds};
      taken = co_await funds->Take(request, nullptr, out);
    });
    EXPECT_EQ(*taken ? "" : taken->error().reason, reason) << bounds.prompt << " " << bounds.completion;
  }
}

TEST_F(EscrowFundsTest, ExchangesWhatARequestHas) {
  const auto funds = Make();
  Funds held = *TakeOne(*funds);
  http::FakeResponseWriter out;
  const auto take = [&](const TokenBounds& bounds, bool running) {
    std::optional<Result<Funds>> taken;
    http::RunToEnd([&]() -> http::Awaitable<void> {
      const FundsRequest request{kTenant, kTerms, bounds, running};
      taken = co_await funds->Take(request, &held, out);
    });
    return *taken;
  };
  held = *take({100, 2000}, true);
  EXPECT_EQ(held.amount, BillingPeer::CostOf(100, 2000));
  billing_.SetLimit(billing_.held());
  EXPECT_EQ(take({100, 1'000'000}, true).error().reason, "INSUFFICIENT_FUNDS");
  held.lease_id = Uuid::V7();
  EXPECT_EQ(take({100, 3000}, true).error().reason, "BILLING_UNAVAILABLE") << "the lease that it runs on is gone";
}

TEST_F(EscrowFundsTest, ThirtySevenRequestsWorthOfMoneyAdmitThirtySeven) {
  constexpr int kRounds = 100;
  constexpr int kAtOnce = 1000;
  constexpr std::size_t kWorth = 37;
  billing_.SetLimit(Times(kEach, kWorth));
  std::array<std::unique_ptr<EscrowFunds>, 4> gateways;
  std::vector<EscrowFunds*> all;
  for (auto& gateway : gateways) {
    gateway = Make();
    all.push_back(gateway.get());
  }
  while (billing_.watchers < static_cast<int>(all.size()))
    std::this_thread::yield();  // who misses a recall hears later
  asio::io_context io;
  int false_refusals = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::vector<Funds>> taken = TakeFrom(all, kAtOnce, io);
    std::size_t count = 0;
    for (const auto& of_one : taken) count += of_one.size();
    ASSERT_LE(count, kWorth) << "round " << round;
    // It is quiet: whatever is left, in whichever lease, anybody gets.
    for (std::size_t i = static_cast<std::size_t>(round); count < kWorth; ++i) {
      const std::size_t gateway = i % all.size();
      if (auto one = TakeOne(*all[gateway])) {
        taken[gateway].push_back(*one);
        ++count;
      } else if (++false_refusals > 0) {
        ADD_FAILURE() << "round " << round << ", the request " << count + 1 << ": " << one.error().message;
        break;
      }
    }
    if (round % 10 == 0) {
      ASSERT_FALSE(TakeOne(*all[static_cast<std::size_t>(round) / 10 % all.size()])) << "overspent in round " << round;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (const Funds& one : taken[i]) all[i]->Settle(kTenant, one.lease_id, one.amount, Amount());
    }
  }
  EXPECT_EQ(false_refusals, 0);
  EXPECT_EQ(billing_.conflicts, 0);
  for (auto& gateway : gateways) gateway->Stop(seconds(10));
  EXPECT_EQ(billing_.held(), Amount());
  EXPECT_EQ(billing_.lease_count(), 0U);
}

TEST_F(EscrowFundsTest, WhatEarlierProcessesLeasedEndsAndOneOfTodayGoesOn) {
  const Uuid gateway = Uuid::V7();
  {
    EscrowFunds dead(MakeChannel(target_), gateway, seconds(20));
    ASSERT_TRUE(TakeOne(dead));
    dead.Stop(milliseconds(0));  // as if it were killed
  }
  ASSERT_EQ(billing_.lease_count(), 1U);
  EscrowFunds funds(MakeChannel(target_), gateway, seconds(20));
  ASSERT_TRUE(TakeOne(funds));
  ASSERT_EQ(billing_.lease_count(), 2U);
  funds.EndEarlierLeases();
  const auto end = std::chrono::steady_clock::now() + seconds(20);
  while (billing_.lease_count() > 1 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(billing_.lease_count(), 1U);
  ASSERT_TRUE(TakeOne(funds));
}

TEST_F(EscrowFundsTest, WhoWaitsIsRefusedWhenTheGatewayStops) {
  billing_.adjust_ms = 500;
  const auto funds = Make();
  std::thread stopper([&] {
    while (!billing_.adjusting) std::this_thread::yield();
    funds->Stop(milliseconds(0));
  });
  EXPECT_EQ(TakeOne(*funds).error().reason, "BILLING_UNAVAILABLE");
  stopper.join();
}

}  // namespace
}  // namespace allod::gateway::metering::escrow_funds_test
