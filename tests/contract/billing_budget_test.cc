// Budgets in PostgreSQL: what counts, thresholds, slices of leases, and what changes of them do.
#include <fmt/format.h>

#include <atomic>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "services/billing/budget/pg_budget_store.h"
#include "tests/contract/billing_store_harness.h"

namespace allod::billing::budget::billing_budget_test {
namespace {

using namespace std::chrono_literals;

class BillingBudget : public testing::Test {
 protected:
  void SetUp() override { OpenKenya(store_, 1'000'000); }

  Budget Wanted(const std::string& id, std::int64_t amount, BudgetScope scope = {}, bool hard = true) {
    return {.tenant = Tenant("ke"),
            .tenant_name = "tenants/ke",
            .id = id,
            .scope = std::move(scope),
            .amount = Pico(amount),
            .hard = hard};
  }
  Budget Create(const Budget& wanted) {
    const auto made = budgets_.CreateBudget(CheckBudget(wanted).value(), false, kNow);
    EXPECT_TRUE(made) << made.error().message;
    return made.value_or(Budget());
  }
  Budget Get(const std::string& id, Time now = kNow) { return budgets_.GetBudget(Tenant("ke"), id, now).value(); }
  // Of this month, unless it is said.
  static SliceKey Of(const Budget& budget, Time start = kMonth) {
    return {budget.uid, budget.period == BudgetPeriod::kMonth ? start : Time()};
  }
  static SliceAsk Ask(const SliceKey& key, std::int64_t need, std::int64_t want, std::int64_t give_back = 0) {
    return {key, Pico(need), Pico(want), Pico(give_back)};
  }
  static SliceKey StartKey(const Budget& budget, Time now) {
    return {budget.uid, StartOfPeriod(budget.period, budget.start, budget.end, now).value()};
  }
  struct Answer {
    std::vector<std::string> added;  // "short", "none" or how much
    AdjustedLease lease;
    std::vector<LeaseRecall> recalls;
  };
  // With money enough for everything the first time.
  Answer Adjust(const Uuid& lease, std::int64_t epoch, std::vector<SliceAsk> slices, std::int64_t version = 0) {
    const std::int64_t money = epoch == 1 ? 100 * kHold : 0;
    AdjustLeaseCommand command = Adjustment("ke", lease, epoch, money, money);
    command.slices = std::move(slices);
    command.budgets_version = version;
    const auto done = store_.AdjustLease(command);
    EXPECT_TRUE(done) << done.error().message;
    Answer out;
    if (!done || !done->lease) return out;
    out.lease = *done->lease;
    out.recalls = done->recalls;
    for (const SliceDecision& slice : out.lease.slices) {
      out.added.push_back(!slice.exists ? "none" : slice.is_short ? "short" : slice.added.ToPicoString());
    }
    return out;
  }
  static LeasedUsage Using(const Uuid& lease, std::vector<SliceKey> slices, std::int64_t completion = 100,
                           Time admitted = kNow) {
    LeasedUsage out = Leased("ke", lease, 10, completion, Outcome::kCompleted, admitted);
    out.slices = std::move(slices);
    return out;
  }
  int Events(const std::string& kind) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    work.exec("SELECT set_config('allod.tenant', '" + Tenant("ke").ToString() + "', true)");
    return work.exec_params("SELECT count(*) FROM billing.outbox WHERE kind = $1", kind)[0][0].as<int>();
  }
  // The data of the first event of the kind, as "key=value key=value".
  std::string FirstEvent(const std::string& kind) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    return work
        .exec_params(
            "SELECT string_agg(e.key || '=' || e.value, ' ' ORDER BY e.key) FROM billing.outbox o, "
            "jsonb_each_text(o.payload) e WHERE o.kind = $1 GROUP BY o.sequence ORDER BY o.sequence LIMIT 1",
            kind)
        .at(0)[0]
        .as<std::string>();
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
  PgBudgetStore budgets_{harness_.pool()};
};

using Added = std::vector<std::string>;

TEST_F(BillingBudget, IsMadeReadChangedAndDeleted) {
  const Budget made = Create(Wanted("a", 100, {.project = "p"}));
  EXPECT_EQ(made.currency_code, "KES");
  EXPECT_EQ(Create(Wanted("a", 100, {.project = "p"})).uid, made.uid) << "the same content again";
  EXPECT_EQ(budgets_.CreateBudget(Wanted("a", 101), false, kNow).error().reason, "ALREADY_EXISTS");
  EXPECT_TRUE(budgets_.CreateBudget(Wanted("b", 7), true, kNow));
  EXPECT_EQ(budgets_.GetBudget(Tenant("ke"), "b", kNow).error().code, Code::kNotFound) << "it was only judged";
  Create(Wanted("b", 7));
  const auto listed = budgets_.ListBudgets(Tenant("ke"), "a", 10, kNow).value();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].id, "b");
  Budget wanted = made;
  wanted.amount = Pico(50);
  wanted.thresholds = {50, 100};
  EXPECT_EQ(budgets_.UpdateBudget(wanted, "old", false, kNow).error().reason, "ETAG_MISMATCH");
  EXPECT_EQ(budgets_.UpdateBudget(wanted, EtagOf(made), true, kNow)->amount, Pico(50));
  EXPECT_EQ(Get("a").amount, Pico(100));
  EXPECT_EQ(budgets_.UpdateBudget(wanted, EtagOf(made), false, kNow)->thresholds, wanted.thresholds);
  EXPECT_TRUE(budgets_.DeleteBudget(Tenant("ke"), "tenants/ke", "a"));
  EXPECT_EQ(budgets_.DeleteBudget(Tenant("ke"), "tenants/ke", "a").error().code, Code::kNotFound);
  Budget none = Wanted("c", 1);
  none.tenant = Tenant("none");
  EXPECT_EQ(budgets_.CreateBudget(none, false, kNow).error().reason, "NO_BILLING_ACCOUNT");
  for (int i = 1; i < kBudgetsMax; ++i) Create(Wanted("n" + std::to_string(i), 1));
  EXPECT_EQ(budgets_.CreateBudget(Wanted("more", 1), false, kNow).error().reason, "TOO_MANY_BUDGETS");
}

TEST_F(BillingBudget, CountsWhatIsSettledByProjectKeyInstanceAndMonth) {
  const std::string key = "tenants/ke/projects/p/apiKeys/k", instance = "tenants/ke/projects/p/instances/i";
  Create(Wanted("tenant", 1'000'000));
  Create(Wanted("project", 1'000'000, {.project = "p"}));
  Create(Wanted("other", 1'000'000, {.project = "q"}));
  Create(Wanted("key", 1'000'000, {.api_key = key}));
  Create(Wanted("all", 1'000'000, {.project = "p", .api_key = key, .instance = instance}));
  Budget total = Wanted("total", 1'000'000);
  total.period = BudgetPeriod::kTotal;
  Create(total);
  Budget range = Wanted("range", 1'000'000);
  range.period = BudgetPeriod::kRange;
  range.start = kNow;
  range.end = kNow + 1h;
  Create(range);
  const Uuid lease = Uuid::V7();
  Adjust(lease, 1, {});
  LeasedUsage without_key = Using(lease, {});
  without_key.api_key = "";
  LeasedUsage elsewhere = Using(lease, {});
  elsewhere.instance = "tenants/ke/projects/q/instances/i";
  LeasedUsage before = Using(lease, {}, 100, kNow - 10min);
  Settled(store_, "ke", {Using(lease, {}), without_key, elsewhere, before});
  // Of before leases.
  ReserveCommand request = Request("ke");
  request.instance = "tenants/ke/projects/z/instances/i";
  request.api_key = "";
  EXPECT_EQ(store_.Reserve(request, kNow).error().reason, "HARD_BUDGET") << "leases alone keep them";
  const auto spent = [&](const std::string& id, Time now = kNow) {
    return static_cast<std::int64_t>(Get(id, now).spent.pico() / kHold);
  };
  EXPECT_EQ(spent("tenant"), 4);
  EXPECT_EQ(spent("project"), 3);
  EXPECT_EQ(spent("other"), 1);
  EXPECT_EQ(spent("key"), 3);
  EXPECT_EQ(spent("all"), 2);
  EXPECT_EQ(spent("total"), 4);
  EXPECT_EQ(spent("range"), 3);
  EXPECT_EQ(spent("tenant", NextMonth(kMonth)), 0);
  EXPECT_EQ(spent("total", NextMonth(kMonth)), 4);
  ExpectSoundBooks(store_, "ke");
}

TEST_F(BillingBudget, EachThresholdIsToldOfOnceInEachPeriod) {
  Budget soft = Wanted("soft", 4 * kHold, {}, false);
  soft.thresholds = {50, 75, 100};
  Create(soft);
  const Uuid lease = Uuid::V7();
  Adjust(lease, 1, {});
  const auto use = [&](int count, Time admitted = kNow) {
    std::vector<LeasedUsage> usage;
    for (int i = 0; i < count; ++i) usage.push_back(Using(lease, {}, 100, admitted));
    Settled(store_, "ke", usage, admitted);
  };
  const auto reached = [&](Time now = kNow) {
    std::vector<std::int32_t> out;
    for (const BudgetAlert& alert : Get("soft", now).alerts) out.push_back(alert.percent);
    return out;
  };
  use(1);
  EXPECT_TRUE(reached().empty());
  use(2);
  EXPECT_EQ(reached(), (std::vector<std::int32_t>{50, 75})) << "both at once";
  use(4);
  EXPECT_EQ(reached(), (std::vector<std::int32_t>{50, 75, 100}));
  EXPECT_EQ(Events("budget.threshold"), 2) << "those that are reached together are one";
  EXPECT_EQ(FirstEvent("budget.threshold"),
            fmt::format("amount={} currencyCode=KES hard=false name=tenants/ke/budgets/soft percent=75 period=month "
                        "spent={} startTime=2025-11-01T00:00:00Z",
                        Pico(4 * kHold).ToString(), Pico(3 * kHold).ToString()))
      << "docs/events.md has these keys; `name` is what the event is about";
  use(1);
  EXPECT_EQ(Events("budget.threshold"), 2);
  const Time december = NextMonth(kMonth) + 1h;
  EXPECT_TRUE(reached(december).empty());
  use(2, december);
  EXPECT_EQ(reached(december), (std::vector<std::int32_t>{50}));
  EXPECT_EQ(Events("budget.threshold"), 3);
  // Lowered, it is reached at once.
  Budget wanted = Get("soft", december);
  wanted.amount = Pico(2 * kHold);
  EXPECT_TRUE(budgets_.UpdateBudget(wanted, EtagOf(wanted), false, december));
  EXPECT_EQ(reached(december), (std::vector<std::int32_t>{50, 75, 100}));
  EXPECT_EQ(Events("budget.threshold"), 4);
  // A month that is over is not told of again: in January another threshold is set.
  const Time january = NextMonth(NextMonth(kMonth)) + 1h;
  wanted = Get("soft", january);
  wanted.thresholds = {10, 50, 75, 100};
  EXPECT_TRUE(budgets_.UpdateBudget(wanted, EtagOf(wanted), false, january));
  EXPECT_EQ(Events("budget.threshold"), 4);
  EXPECT_EQ(reached(december), (std::vector<std::int32_t>{50, 75, 100}));
}

// As many as a tenant may have, with as many thresholds each, all passed by the first request.
TEST_F(BillingBudget, WhatASettlementTellsOfIsBounded) {
  std::vector<std::int32_t> thresholds;
  for (std::int32_t i = 1; i <= 10; ++i) thresholds.push_back(i * 10);
  for (int i = 0; i < kBudgetsMax; ++i) {
    Budget wanted = Wanted("n" + std::to_string(i), 1, {}, false);
    wanted.thresholds = thresholds;
    Create(wanted);
  }
  const Uuid lease = Uuid::V7();
  Adjust(lease, 1, {});
  const auto begin = std::chrono::steady_clock::now();
  Settled(store_, "ke", {Using(lease, {})});
  const auto first = std::chrono::steady_clock::now();
  Settled(store_, "ke", {Using(lease, {})});
  const auto second = std::chrono::steady_clock::now();
  EXPECT_EQ(Events("budget.threshold"), kBudgetsMax);
  EXPECT_EQ(Get("n7").alerts.size(), 10U);
  const auto ms = [](auto from, auto to) { return std::chrono::duration<double, std::milli>(to - from).count(); };
  std::cout << fmt::format(
      "{} budgets of 10 thresholds: {:.0f} ms for the settlement that passes them, {:.0f} ms for "
      "the next\n",
      kBudgetsMax, ms(begin, first), ms(first, second));
  EXPECT_LT(first - begin, 1500ms) << "a statement may take two seconds";
  EXPECT_LT(second - first, 1500ms);
}

TEST_F(BillingBudget, SlicesGetSmallAndNeverPassTheAmount) {
  const Budget budget = Create(Wanted("a", 1000));
  const Uuid one = Uuid::V7(), two = Uuid::V7();
  const SliceKey key = Of(budget);
  const Answer first = Adjust(one, 1, {Ask(key, 10, 900)});
  EXPECT_EQ(first.added, Added{"250"});
  ASSERT_EQ(first.lease.budgets.size(), 1U) << "which there are";
  EXPECT_EQ(first.lease.budgets[0].id, "a");
  const std::int64_t version = first.lease.budgets_version;
  EXPECT_GT(version, 0);
  const Answer again = Adjust(one, 1, {Ask(key, 10, 900)});
  EXPECT_EQ(again.added, Added{"250"}) << "sent again it is answered again";
  EXPECT_EQ(Adjust(two, 1, {Ask(key, 10, 900)}).added, Added{"187"});
  EXPECT_TRUE(Adjust(two, 2, {Ask(key, 600, 600)}, version).added == Added{"short"});
  const Answer told = Adjust(two, 3, {Ask(key, 564, 564)}, version);
  EXPECT_EQ(told.added, Added{"short"}) << "one more than is left";
  EXPECT_TRUE(told.lease.budgets.empty()) << "they are known";
  ASSERT_EQ(told.recalls.size(), 1U);
  EXPECT_EQ(told.recalls[0].lease, one);
  EXPECT_EQ(told.recalls[0].budget, budget.uid);
  EXPECT_TRUE(told.lease.ask_again_after);
  EXPECT_EQ(Adjust(one, 2, {}, version).lease.recalled_slices, std::vector<SliceKey>{key});
  EXPECT_EQ(Adjust(one, 3, {Ask(key, 0, 0, 250)}, version).added, Added{"0"});
  EXPECT_EQ(Adjust(two, 4, {Ask(key, 813, 813)}, version).added, Added{"813"});
  EXPECT_EQ(Get("a").held, Pico(1000));
  EXPECT_EQ(Adjust(one, 4, {Ask(key, 1, 1)}, version).added, Added{"short"});
  EXPECT_EQ(Adjust(one, 5, {Ask({Uuid::V7(), kMonth}, 1, 1), Ask({budget.uid, kMonth + 1h}, 1, 1)}, version).added,
            (Added{"none", "none"}));
  EXPECT_EQ(Adjust(one, 6, {Ask(Of(budget, NextMonth(kMonth)), 1, 1000)}, version).added, Added{"250"})
      << "another month is another";
  EXPECT_TRUE(store_.EndLeases(Tenant("ke"), {two}));
  EXPECT_EQ(Get("a").held, Amount()) << "a lease that ends gives all of it back";
}

TEST_F(BillingBudget, WhatIsSettledComesOutOfTheSliceThatItWasTakenFrom) {
  const Budget budget = Create(Wanted("a", 10 * kHold));
  const SliceKey key = Of(budget);
  const Uuid lease = Uuid::V7(), other = Uuid::V7();
  EXPECT_EQ(Adjust(lease, 1, {Ask(key, 4 * kHold, 4 * kHold)}).added, Added{std::to_string(4 * kHold)});
  const LeasedUsage one = Using(lease, {key}), half = Using(lease, {key}, 50);
  Settled(store_, "ke", {one, half});
  Settled(store_, "ke", {one, half});  // once
  const std::int64_t used = kHold + 10 * kPrompt + 50 * kCompletion;
  EXPECT_EQ(Get("a").spent, Pico(used));
  EXPECT_EQ(Get("a").held, Pico(4 * kHold - used));
  // One that a process of before left: nobody knows what was taken for it.
  Settled(store_, "ke", {Using(lease, {})});
  EXPECT_EQ(Get("a").spent, Pico(used + kHold));
  EXPECT_EQ(Get("a").held, Pico(4 * kHold - used)) << "too little is granted rather than too much";
  EXPECT_EQ(Adjust(other, 1, {Ask(key, 10 * kHold, 10 * kHold)}).added, Added{"short"});
  EXPECT_TRUE(store_.EndLeases(Tenant("ke"), {lease}));
  const std::int64_t left = 10 * kHold - used - kHold;
  EXPECT_EQ(Adjust(other, 2, {Ask(key, left, left)}).added, Added{std::to_string(left)});
  ExpectSoundBooks(store_, "ke");
}

TEST_F(BillingBudget, ChangesAreKnownToTheNextAdjustment) {
  const Budget budget = Create(Wanted("a", 1000));
  const Uuid lease = Uuid::V7();
  const SliceKey key = Of(budget);
  const std::int64_t version = Adjust(lease, 1, {Ask(key, 100, 100)}).lease.budgets_version;
  Budget wanted = Get("a");
  wanted.amount = Pico(50);
  const Budget lowered = budgets_.UpdateBudget(wanted, EtagOf(wanted), false, kNow).value();
  Answer answer = Adjust(lease, 2, {}, version);
  EXPECT_NE(answer.lease.budgets_version, version);
  EXPECT_EQ(answer.lease.recalled_slices, std::vector<SliceKey>{key}) << "it has more than there is";
  EXPECT_EQ(Adjust(lease, 3, {Ask(key, 1, 1)}).added, Added{"short"});
  wanted.amount = Pico(1000);
  wanted.hard = false;
  ASSERT_TRUE(budgets_.UpdateBudget(wanted, EtagOf(lowered), false, kNow));
  answer = Adjust(lease, 4, {Ask(key, 1, 1)}, version);
  EXPECT_EQ(answer.added, Added{"none"});
  EXPECT_TRUE(answer.lease.budgets.empty()) << "none is hard any more";
  EXPECT_EQ(Get("a").held, Amount());
  EXPECT_TRUE(budgets_.DeleteBudget(Tenant("ke"), "tenants/ke", "a"));
  EXPECT_NE(Create(Wanted("a", 1000)).uid, budget.uid);
  EXPECT_EQ(Adjust(lease, 5, {Ask(key, 1, 1)}).added, Added{"none"}) << "of before";
}

// Requests run meanwhile, and the gateway hears of both changes at once, or of none of them in time.
TEST_F(BillingBudget, MadeSoftAndHardAgainItsSlicesAreOthers) {
  const Budget budget = Create(Wanted("a", 10 * kHold));
  const SliceKey old = Of(budget);
  const Uuid lease = Uuid::V7(), other = Uuid::V7();
  const std::int64_t version = Adjust(lease, 1, {Ask(old, 4 * kHold, 4 * kHold)}).lease.budgets_version;
  Budget wanted = Get("a");
  wanted.hard = false;
  const Budget soft = budgets_.UpdateBudget(wanted, EtagOf(wanted), false, kNow).value();
  wanted.hard = true;
  ASSERT_TRUE(budgets_.UpdateBudget(wanted, EtagOf(soft), false, kNow));
  EXPECT_EQ(Get("a").held, Amount());
  // What it takes for the same as before is not there; and it learns what is.
  const Answer answer = Adjust(lease, 2, {Ask(old, kHold, kHold)}, version);
  EXPECT_EQ(answer.added, Added{"none"});
  ASSERT_EQ(answer.lease.budgets.size(), 1U);
  const SliceKey fresh{answer.lease.budgets[0].uid, kMonth};
  EXPECT_NE(fresh.budget, old.budget);
  EXPECT_EQ(Adjust(lease, 3, {Ask(fresh, kHold, kHold)}).added, Added{std::to_string(kHold)});
  // One that began with the slice of before ends: that was of nothing, and takes nothing from the new one.
  Settled(store_, "ke", {Using(lease, {old})});
  EXPECT_EQ(Get("a").spent, Pico(kHold));
  EXPECT_EQ(Get("a").held, Pico(kHold));
  EXPECT_EQ(Adjust(other, 1, {Ask(fresh, 9 * kHold, 9 * kHold)}).added, Added{"short"});
  EXPECT_EQ(Adjust(other, 2, {Ask(fresh, 8 * kHold, 8 * kHold)}).added, Added{std::to_string(8 * kHold)});
  ExpectSoundBooks(store_, "ke");
}

TEST_F(BillingBudget, ARecallIsToldToWhoAsksForMoreAtOnce) {
  const Budget budget = Create(Wanted("a", 1000));
  const SliceKey key = Of(budget);
  const Uuid one = Uuid::V7(), two = Uuid::V7();
  Adjust(one, 1, {Ask(key, 400, 400)});
  EXPECT_EQ(Adjust(two, 1, {Ask(key, 700, 700)}).added, Added{"short"});
  EXPECT_EQ(Adjust(one, 2, {Ask(key, 0, 100)}).lease.recalled_slices, std::vector<SliceKey>{key});
  EXPECT_TRUE(Adjust(one, 3, {Ask(key, 0, 0, 300)}).lease.recalled_slices.empty()) << "it has given back";
  EXPECT_TRUE(Adjust(one, 4, {Ask(key, 1, 1)}).lease.recalled_slices.empty());
}

TEST_F(BillingBudget, OthersSeeNothingOfIt) {
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 1), kNow));
  Create(Wanted("a", 1000));
  EXPECT_EQ(budgets_.GetBudget(Tenant("tz"), "a", kNow).error().code, Code::kNotFound);
  EXPECT_TRUE(budgets_.ListBudgets(Tenant("tz"), "", 10, kNow)->empty());
  EXPECT_EQ(budgets_.DeleteBudget(Tenant("tz"), "tenants/tz", "a").error().code, Code::kNotFound);
}

TEST_F(BillingBudget, TheAuditFindsWhatDoesNotAddUp) {
  const Time now = std::chrono::system_clock::now();
  const Budget budget = Create(Wanted("a", 100 * kHold));
  const Uuid lease = Uuid::V7();
  Adjust(lease, 1, {});
  // Settled long after the budget was made.
  Settled(store_, "ke", {Using(lease, {}, 100, now), Using(lease, {}, 100, now)}, now + 1h);
  const auto faults = [&] { return store_.AuditTenant(Tenant("ke"), now, {})->budget_fault_count; };
  EXPECT_EQ(faults(), 0);
  const auto damage = [&](const std::string& sql) {
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work work(owner);
    work.exec("SET LOCAL session_replication_role = replica");
    work.exec("SELECT set_config('allod.tenant', '" + Tenant("ke").ToString() + "', true)");
    EXPECT_GT(work.exec(sql).affected_rows(), 0) << sql;
    work.commit();
  };
  damage("UPDATE billing.budget_periods SET spent = spent + 1");
  EXPECT_EQ(faults(), 1);
  damage("UPDATE billing.budget_periods SET spent = spent - 2");
  EXPECT_EQ(faults(), 1);
  damage("UPDATE billing.budget_periods SET spent = spent + 1");
  EXPECT_EQ(faults(), 0);
  Adjust(lease, 2, {Ask(StartKey(budget, now), 1, 1)});
  damage("UPDATE billing.leases SET remaining = 0, end_time = now()");
  EXPECT_EQ(faults(), 1);
}

// Gateways that ask, give back, settle and die at random, and a budget that is changed meanwhile, beside numbers in
// memory.
TEST_F(BillingBudget, AtRandomItIsTheModel) {
  Budget budget = Create(Wanted("a", 20 * kHold));
  const SliceKey key = Of(budget);
  struct Gateway {
    Uuid lease = Uuid::V7();
    std::int64_t epoch = 0;
    std::int64_t free = 0;
    int running = 0;
  };
  std::array<Gateway, 3> gateways;
  std::int64_t spent = 0, amount = 20 * kHold;
  std::mt19937 random(11);
  const auto granted = [&] {
    std::int64_t sum = 0;
    for (const Gateway& g : gateways) sum += g.free + g.running * kHold;
    return sum;
  };
  for (int i = 0; i < 400; ++i) {
    Gateway& g = gateways[random() % gateways.size()];
    switch (random() % 6) {
      case 0:
      case 1: {
        const std::int64_t need = static_cast<std::int64_t>(random() % 3) * kHold, want = need + random() % (2 * kHold);
        const std::int64_t left = std::max<std::int64_t>(0, amount - spent - granted());
        const Answer answer = Adjust(g.lease, ++g.epoch, {Ask(key, need, want)});
        const bool is_short = need > std::max<std::int64_t>(left, 0);
        const std::int64_t added = is_short ? 0 : std::min(want, std::max(need, left / 4));
        ASSERT_EQ(answer.added, Added{is_short ? "short" : std::to_string(added)}) << i;
        g.free += added;
        break;
      }
      case 2:
        for (; g.free >= kHold; g.free -= kHold) ++g.running;
        break;
      case 3: {
        std::vector<LeasedUsage> usage;
        for (; g.running > 0; --g.running) {
          usage.push_back(Using(g.lease, {key}, static_cast<std::int64_t>(random() % 101)));
          const std::int64_t cost = 10 * kPrompt + usage.back().completion_tokens * kCompletion;
          spent += cost;
          g.free += kHold - cost;
        }
        Settled(store_, "ke", usage);
        break;
      }
      case 4:
        if (g.epoch == 0 || random() % 4 != 0) break;
        ASSERT_TRUE(store_.EndLeases(Tenant("ke"), {g.lease}));
        g = Gateway();  // what ran there is never heard of again
        break;
      case 5: {
        if (random() % 4 != 0) break;
        amount = static_cast<std::int64_t>(random() % 60) * kHold;
        Budget wanted = Get("a");
        wanted.amount = Pico(amount);
        ASSERT_TRUE(budgets_.UpdateBudget(wanted, EtagOf(wanted), false, kNow));
        break;
      }
    }
    const Budget now = Get("a");
    ASSERT_EQ(now.spent, Pico(spent)) << i;
    ASSERT_EQ(now.held, Pico(granted())) << i;
  }
  ExpectSoundBooks(store_, "ke");
}

}  // namespace
}  // namespace allod::billing::budget::billing_budget_test
