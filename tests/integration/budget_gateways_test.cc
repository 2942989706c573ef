// Money and hard budgets with the real lease books of four gateways, the real billing service, and PostgreSQL: however
// many ask at once, what is used never passes what there is, and all of it can be used.
//
// ALLOD_BUDGET_ROUNDS: how many rounds (3).
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <cstdlib>
#include <optional>
#include <thread>

#include "gateway/http/fake_response_writer.h"
#include "gateway/metering/escrow_funds.h"
#include "gateway/metering/metered_request.h"
#include "gateway/serving/hold.h"
#include "services/billing/budget/budget_service.h"
#include "services/billing/budget/pg_budget_store.h"
#include "services/billing/lease_service.h"
#include "services/billing/usage_service.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::budget_gateways_test {
namespace {

namespace asio = boost::asio;
using ::allod::billing::Budget;
using ::allod::billing::Pico;
using metering::EscrowFunds;
using metering::Journal;
using metering::MeteredRequest;
using metering::Settlement;
using metering::Settler;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kTenant[] = "tenants/ke";
constexpr char kVariant[] = "models/m/versions/v/variants/q4_k_m";
constexpr metering::TokenBounds kBounds{10, 100};
constexpr std::int64_t kEach = ::allod::billing::kHold;
constexpr int kWorth = 37;

int Rounds() {
  const char* text = std::getenv("ALLOD_BUDGET_ROUNDS");
  return text == nullptr ? 3 : std::max(1, std::atoi(text));
}

std::string InstanceOf(const std::string& project) { return "tenants/ke/projects/" + project + "/instances/i"; }
std::string KeyOf(const std::string& project) { return "tenants/ke/projects/" + project + "/apiKeys/k"; }

// What of a gateway has to do with money. Its journal outlives it: another one finds what it left.
struct Gateway {
  Gateway(const std::string& billing, const std::filesystem::path& directory)
      : journal(
            *Journal::Open(directory, 8192, static_cast<std::uint32_t>(::allod::billing::v1::OUTCOME_GATEWAY_LOST))),
        funds(MakeChannel(billing), journal->gateway_id(), seconds(20)),
        settler(*journal, MakeChannel(billing), seconds(7),
                {.settled =
                     [this](const Settlement& settlement, Amount cost) {
                       const metering::LeaseTerms& terms = *settlement.terms;
                       funds.Settle(settlement.entry.tenant, terms.lease_id, CostOf(terms.prices, terms.bounds).value(),
                                    cost, settlement.entry.request_id);
                     },
                 .slices_of =
                     [this](const Settlement& settlement) {
                       return funds.SlicesOf(settlement.entry.tenant, settlement.terms->lease_id,
                                             settlement.entry.request_id);
                     },
                 .earlier_settled = [this] { funds.EndEarlierLeases(); }}) {}

  const std::unique_ptr<Journal> journal;
  EscrowFunds funds;
  Settler settler;
};

// What a request was told.
struct Counts {
  std::atomic<int> admitted = 0;
  std::atomic<int> no_money = 0;
  std::atomic<int> no_budget = 0;
  std::atomic<int> other = 0;
};

class BudgetGateways : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.CreatePriceBook(::allod::billing::ContractPriceBook(), std::chrono::system_clock::now()));
    SetLimit(1'000'000);
    auto server = Server::Start({.listen = address_}, {&leases_, &usage_, &budgets_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    for (std::size_t i = 0; i < gateways_.size(); ++i) Start(i);
  }
  void TearDown() override {
    for (auto& gateway : gateways_) gateway.reset();
    leases_.Stop();
    server_->Stop(seconds(1));
  }
  void Start(std::size_t i) {
    const auto path = directory_.path() / ("journal" + std::to_string(i));
    std::filesystem::create_directories(path);
    gateways_[i] = std::make_unique<Gateway>(address_, path);
  }
  void SetLimit(std::int64_t requests) {
    ASSERT_TRUE(store_.SetBillingAccount(::allod::billing::Account("ke", requests * kEach), clock_.Now()));
  }
  // By RPC, as a tenant makes it: gateways are told.
  std::string SetBudget(const std::string& id, std::int64_t pico, const std::string& project = "") {
    ::allod::billing::v1::CreateBudgetRequest request;
    request.set_parent(kTenant);
    request.set_budget_id(id);
    auto& budget = *request.mutable_budget();
    if (!project.empty()) budget.set_project("tenants/ke/projects/" + project);
    budget.set_period(::allod::billing::v1::Budget::PERIOD_MONTH);
    budget.set_amount(Pico(pico).ToString());
    budget.set_hard(true);
    using Budgets = ::allod::billing::v1::BudgetService;
    const auto stub = Budgets::NewStub(MakeChannel(address_));
    const auto made = CallUnary(*stub, &Budgets::Stub::CreateBudget, request, Caller::Operator(), seconds(10));
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->etag() : "";
  }
  std::string ChangeBudget(const std::string& id, std::int64_t pico, const std::string& etag,
                           const std::string& project) {
    ::allod::billing::v1::UpdateBudgetRequest request;
    auto& budget = *request.mutable_budget();
    budget.set_name("tenants/ke/budgets/" + id);
    budget.set_project("tenants/ke/projects/" + project);
    budget.set_period(::allod::billing::v1::Budget::PERIOD_MONTH);
    budget.set_amount(Pico(pico).ToString());
    budget.set_hard(true);
    budget.set_etag(etag);
    using Budgets = ::allod::billing::v1::BudgetService;
    const auto stub = Budgets::NewStub(MakeChannel(address_));
    const auto made = CallUnary(*stub, &Budgets::Stub::UpdateBudget, request, Caller::Operator(), seconds(10));
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->etag() : "";
  }
  Budget Read(const std::string& id) {
    return budget_store_.GetBudget(TenantId::FromName(kTenant).value(), id, clock_.Now()).value();
  }

  // Admits a request, answers `completion` tokens and hands it over to be settled.
  http::Awaitable<void> Run(Gateway& gateway, std::string project, std::int64_t completion, Counts& counts,
                            std::optional<Time> admitted = std::nullopt) {
    const Uuid id = Uuid::V7(admitted.value_or(clock_.Now()));
    const std::string instance = InstanceOf(project);
    Result<MeteredRequest> metered =
        MeteredRequest::Admit(*gateway.journal, gateway.settler, {id, kTenant, instance, clock_.Now()}, "chat");
    EXPECT_TRUE(metered) << metered.error().message;
    if (!metered) co_return;
    http::FakeResponseWriter out;
    serving::Hold::Owner owner{id.ToString(), kTenant, KeyOf(project), instance};
    serving::Hold hold(gateway.funds, std::move(owner), *metered, out);
    serving::HoldTerms terms{{kVariant, "priceBooks/" + ::allod::billing::kBook.ToString(), "isolated"}, kBounds};
    const Status held = co_await hold.Make(std::move(terms));
    if (!held) {
      const std::string& reason = held.error().reason;
      ++(reason == "BUDGET_EXHAUSTED"     ? counts.no_budget
         : reason == "INSUFFICIENT_FUNDS" ? counts.no_money
                                          : counts.other);
      if (reason == "BUDGET_EXHAUSTED") {
        EXPECT_NE(held.error().message.find("tenants/ke/budgets/"), std::string::npos) << held.error().message;
      }
      co_return;
    }
    ++counts.admitted;
    metered->SetPromptTokens(kBounds.prompt, 0);
    metering::HandOver hand_over(*metered, completion, metering::HandOver::Part::kEnd);
    hand_over.Done();
    metered->Finish(::allod::billing::v1::OUTCOME_COMPLETED);
  }
  // So many at once at each gateway.
  void RunMany(int each, const std::string& project, Counts& counts, std::int64_t completion = kBounds.completion) {
    asio::io_context io;
    for (auto& gateway : gateways_) {
      if (!gateway) continue;
      const auto strand = asio::make_strand(io);
      for (int n = 0; n < each; ++n) {
        asio::co_spawn(
            strand, [&, this] { return Run(*gateway, project, completion, counts); },
            [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
      }
    }
    std::thread other([&io] { io.run(); });
    io.run();
    other.join();
  }
  // Until all that was admitted is settled.
  void Settle() {
    const auto end = steady_clock::now() + seconds(60);
    for (auto& gateway : gateways_) {
      while (gateway && gateway->settler.pending() > 0 && steady_clock::now() < end) {
        std::this_thread::sleep_for(milliseconds(2));
      }
      EXPECT_EQ(gateway ? gateway->settler.pending() : 0, 0U);
    }
  }

  const SystemClock clock_;
  ::allod::billing::PgHarness harness_;
  ::allod::billing::Store& store_ = harness_.store();
  ::allod::billing::budget::PgBudgetStore budget_store_{harness_.pool()};
  ::allod::billing::CallGates gates_;
  ::allod::billing::LeaseServiceImpl leases_{store_, clock_, gates_};
  ::allod::billing::UsageServiceImpl usage_{store_, clock_, gates_};
  ::allod::billing::budget::BudgetServiceImpl budgets_{budget_store_, clock_, gates_, leases_.recalls()};
  TempDir directory_;
  const std::string address_ = "unix:" + (directory_ / "billing.sock").string();
  std::unique_ptr<Server> server_;
  std::array<std::unique_ptr<Gateway>, 4> gateways_;
};

TEST_F(BudgetGateways, AThousandAtOnceAtFourGatewaysAgainstABudgetForThirtySeven) {
  for (int round = 0; round < Rounds(); ++round) {
    const std::string project = "p" + std::to_string(round);
    SetBudget(project, kWorth * kEach, project);
    std::this_thread::sleep_for(seconds(1));  // from when it holds: the gateways have leases of the round before
    Counts counts;
    RunMany(1000, project, counts);
    Settle();
    EXPECT_EQ(counts.other, 0);
    EXPECT_EQ(counts.no_money, 0);
    EXPECT_LE(counts.admitted, kWorth) << "overspend";
    // Nobody else asks now: whoever is refused has nothing to be had.
    while (true) {
      Counts one;
      http::RunToEnd([&]() -> http::Awaitable<void> { co_await Run(*gateways_[0], project, kBounds.completion, one); });
      Settle();
      if (one.admitted == 0) {
        EXPECT_EQ(one.no_budget, 1);
        break;
      }
      ++counts.admitted;
    }
    EXPECT_EQ(counts.admitted, kWorth) << "a false refusal";
    EXPECT_EQ(Read(project).spent, Pico(kWorth * kEach));
    EXPECT_EQ(Read(project).held, Amount());
  }
}

TEST_F(BudgetGateways, AThousandAtOnceAtFourGatewaysAgainstCreditForThirtySeven) {
  std::int64_t owed = 0;
  for (int round = 0; round < Rounds(); ++round) {
    owed += kWorth;
    SetLimit(owed);
    Counts counts;
    RunMany(1000, "p", counts);
    Settle();
    EXPECT_EQ(counts.other, 0);
    EXPECT_LE(counts.admitted, kWorth) << "overspend";
    while (true) {
      Counts one;
      http::RunToEnd([&]() -> http::Awaitable<void> { co_await Run(*gateways_[0], "p", kBounds.completion, one); });
      Settle();
      if (one.admitted == 0) break;
      ++counts.admitted;
    }
    EXPECT_EQ(counts.admitted, kWorth) << "a false refusal";
    EXPECT_EQ(store_.GetBillingAccount(TenantId::FromName(kTenant).value())->posted, Pico(owed * kEach));
  }
}

TEST_F(BudgetGateways, WhatRequestsDoNotCostIsThereForOthers) {
  SetBudget("b", kWorth * kEach, "p");
  const std::int64_t each = ::allod::billing::kPrompt * kBounds.prompt + ::allod::billing::kCompletion;
  Counts counts;
  // One token each, of a hundred that are held for: far more come in than the worst cases say.
  for (int i = 0; i < 20; ++i) RunMany(20, "p", counts, 1);
  Settle();
  EXPECT_EQ(counts.other, 0);
  EXPECT_GT(counts.admitted, kWorth);
  EXPECT_EQ(Read("b").spent, Pico(counts.admitted * each));
  EXPECT_LE(Read("b").spent, Read("b").amount);
}

TEST_F(BudgetGateways, OtherProjectsDoNotNotice) {
  SetBudget("b", 0, "p");
  Counts counts, others;
  RunMany(20, "p", counts);
  RunMany(20, "q", others);
  Settle();
  EXPECT_EQ(counts.no_budget, 80);
  EXPECT_EQ(others.admitted, 80);
}

TEST_F(BudgetGateways, AChangeIsThereWithinASecondAtAllGateways) {
  Counts before;
  RunMany(5, "p", before);  // leases that know of no budget
  ASSERT_EQ(before.admitted, 20);
  Settle();
  std::string etag = SetBudget("b", 0, "p");
  std::this_thread::sleep_for(seconds(1));
  Counts counts;
  RunMany(5, "p", counts);
  EXPECT_EQ(counts.admitted, 0);
  EXPECT_EQ(counts.no_budget, 20);
  etag = ChangeBudget("b", 1000 * kEach, etag, "p");
  std::this_thread::sleep_for(seconds(1));
  Counts raised;
  RunMany(5, "p", raised);
  EXPECT_EQ(raised.admitted, 20);
  Settle();
  ChangeBudget("b", kEach, etag, "p");  // less than was used
  std::this_thread::sleep_for(seconds(1));
  Counts lowered;
  RunMany(5, "p", lowered);
  EXPECT_EQ(lowered.admitted, 0);
}

TEST_F(BudgetGateways, AGatewayThatDiesLeavesNothingHeldAndNothingUncounted) {
  SetBudget("b", kWorth * kEach, "p");
  Counts counts;
  RunMany(4, "p", counts);  // each gateway has a slice
  Settle();
  ASSERT_EQ(counts.admitted, 16);
  // One more is admitted and delivered, and then there is nobody any more: never destroyed, it says nothing of its end,
  // and a gateway that is not given a moment says nothing of its lease.
  Gateway& dying = *gateways_[3];
  MeteredRequest* left = nullptr;
  http::RunToEnd([&]() -> http::Awaitable<void> {
    const Uuid id = Uuid::V7(clock_.Now());
    left = new MeteredRequest(
        *MeteredRequest::Admit(*dying.journal, dying.settler, {id, kTenant, InstanceOf("p"), clock_.Now()}, "chat"));
    http::FakeResponseWriter out;
    serving::Hold::Owner owner{id.ToString(), kTenant, KeyOf("p"), InstanceOf("p")};
    serving::Hold hold(dying.funds, std::move(owner), *left, out);
    serving::HoldTerms terms{{kVariant, "priceBooks/" + ::allod::billing::kBook.ToString(), "isolated"}, kBounds};
    const Status held = co_await hold.Make(std::move(terms));
    EXPECT_TRUE(held);
    left->SetPromptTokens(kBounds.prompt, 0);
    metering::HandOver hand_over(*left, kBounds.completion, metering::HandOver::Part::kPiece);
    hand_over.Done();
  });
  EXPECT_GT(Read("b").held, Amount());
  gateways_[3].reset();
  Start(3);
  Settle();
  const auto end = steady_clock::now() + seconds(20);
  while (Read("b").spent != Pico(17 * kEach) && steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(Read("b").spent, Pico(17 * kEach));
  // Its lease ends with it, so that all the rest can be used.
  Counts rest;
  int refused = 0;
  while (refused < 3 && steady_clock::now() < end) {
    Counts one;
    http::RunToEnd([&]() -> http::Awaitable<void> { co_await Run(*gateways_[0], "p", kBounds.completion, one); });
    Settle();
    rest.admitted += one.admitted;
    refused = one.admitted > 0 ? 0 : refused + 1;
  }
  EXPECT_EQ(rest.admitted, kWorth - 17);
}

TEST_F(BudgetGateways, AMonthThatTurnsLeavesWhatRunsInTheMonthOfItsAdmission) {
  SetBudget("b", 2 * kEach, "p");
  const Time month =
      ::allod::billing::StartOfPeriod(::allod::billing::BudgetPeriod::kMonth, {}, {}, clock_.Now()).value();
  const Time before = month - seconds(1);
  Counts last, now, late;
  // As at the turn of the month: of both at once.
  http::RunToEnd([&]() -> http::Awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      co_await Run(*gateways_[0], "p", kBounds.completion, now);
      co_await Run(*gateways_[0], "p", kBounds.completion, last, before);
    }
  });
  EXPECT_EQ(now.admitted, 2) << "each month has its own";
  EXPECT_EQ(now.no_budget, 1);
  EXPECT_EQ(last.admitted, 2);
  EXPECT_EQ(last.no_budget, 1);
}

}  // namespace
}  // namespace allod::gateway::budget_gateways_test
