// Instance time from the rows of scheduling to those of billing, in PostgreSQL: what a replica answered is told once it
// counts, in the transaction that changes it, and counted once, whoever dies when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "services/billing/instance_time/pg_instance_time_store.h"
#include "services/billing/pg_store.h"
#include "services/scheduling/instance_time/pg_interval_store.h"
#include "services/scheduling/instance_time/time_reporter.h"
#include "services/scheduling/pg_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::scheduling::instance_time::intervals_test {
namespace {

using namespace std::chrono_literals;
using scheduler::ReplicaState;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::int64_t kSecondPico = 1'000;
const Uuid kBook = Uuid::FromName("priceBooks/hourly");

// Billing itself, without the wire. It may be cut before or after it has counted.
class Billing final : public TimeSink {
 public:
  explicit Billing(billing::instance_time::InstanceTimeStore& store) : store_(store) {}
  Result<Answer> Record(const std::string& tenant, const std::vector<TimeInterval>& intervals) override {
    std::vector<billing::instance_time::InstanceInterval> told;
    for (const TimeInterval& i : intervals) {
      const Uuid book = Uuid::Parse(i.price_book.substr(i.price_book.find('/') + 1)).value();
      told.push_back({i.replica, i.start, i.until, i.instance, i.generation, {book, i.variant, i.isolation_class}});
    }
    if (Cut()) return Fail(Code::kUnavailable, "RPC_FAILED", "before");
    ALLOD_TRY(const billing::instance_time::RecordedTime recorded,
              store_.RecordInstanceTime(*TenantId::FromName(tenant), told));
    if (Cut()) return Fail(Code::kUnavailable, "RPC_FAILED", "after");
    Answer answer{.credit_used_up = recorded.credit_used_up};
    for (const auto& one : recorded.intervals) {
      Answer::One& out = answer.intervals.emplace_back();
      if (one) out.costs = one->costs;
      if (!one) out.refused = one.error();
    }
    return answer;
  }
  std::atomic<int> cut_one_in = 0;  // 0: never

 private:
  bool Cut() {
    const std::lock_guard lock(mutex_);
    return cut_one_in > 0 && random_() % static_cast<unsigned>(cut_one_in) == 0;
  }
  billing::instance_time::InstanceTimeStore& store_;
  std::mutex mutex_;
  std::mt19937 random_{5};
};

class IntervalsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(billing_store_.CreatePriceBook(
        {.id = kBook, .listing = "listings/l", .prices = {{"KES", "", {}, {}, "", Amount::FromPico(kSecondPico)}}},
        std::chrono::system_clock::now()));
    SetLimit(1'000'000'000);
    ASSERT_TRUE(store_.JoinNode({"n1", "ke-1", scheduler::NodeState::kReady, {1LL << 40, 100'000}, {}}));
    ASSERT_TRUE(store_.JoinNode({"n2", "ke-1", scheduler::NodeState::kReady, {1LL << 40, 100'000}, {}}));
  }
  void SetLimit(std::int64_t seconds) {
    ASSERT_TRUE(billing_store_.SetBillingAccount({.tenant = ke_,
                                                  .tenant_name = "tenants/ke",
                                                  .currency_code = "KES",
                                                  .credit_limit = Amount::FromPico(seconds * kSecondPico)},
                                                 std::chrono::system_clock::now()));
  }
  Instance Made(const std::string& id) {
    NewInstance made;
    made.tenant = ke_;
    made.tenant_name = "tenants/ke";
    made.id = Uuid::V7();
    made.operation = Uuid::V7();
    made.name = "tenants/ke/projects/p/instances/" + id;
    made.revision.spec = {
        "listings/l", "models/m/versions/1/variants/q4_k_m", "ke-1", IsolationClass::kIsolated, 1, 512, 2};
    made.revision.price_book = "priceBooks/" + kBook.ToString();
    made.revision.artifact_sha256 = std::string(64, 'a');
    made.revision.artifact_bytes = 1000;
    made.revision.trained_context_tokens = 1024;
    made.revision.residency = {"ke"};
    made.revision.demand = {{1 << 20, 50}};
    EXPECT_TRUE(store_.CreateInstance(made, {}));
    return *store_.GetInstance(ke_, made.name);
  }
  struct Placed {
    Uuid replica;
    std::int64_t epoch = 0;
  };
  Placed Place(const Instance& instance, const std::string& node = "n1") {
    const NewReplica replica{
        Uuid::V7(), {instance.id, instance.version, instance.template_generation, node, instance.current().demand}};
    Changes changes;
    changes.creates.push_back(replica);
    const auto applied = store_.Apply(ke_, changes);
    EXPECT_TRUE(applied && applied->created == 1);
    return {replica.id, applied->epochs.at(replica.id)};
  }
  void See(const Placed& placed, ReplicaState state) {
    Changes changes;
    changes.observations.push_back({placed.replica, placed.epoch, state, "unix:/w", "", 1});
    ASSERT_TRUE(store_.Apply(ke_, changes));
  }
  void Stop(const Placed& placed) {
    Changes changes;
    changes.stops.push_back({placed.replica, placed.epoch, "test"});
    ASSERT_TRUE(store_.Apply(ke_, changes));
  }
  void Remove(const Placed& placed) {
    Changes changes;
    changes.removes.push_back({placed.replica, placed.epoch});
    ASSERT_TRUE(store_.Apply(ke_, changes));
  }
  // As the owner: time cannot be waited for.
  void Sql(const std::string& sql) {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec(sql);
    work.commit();
  }
  // All that is open has been so for an hour longer, and everything is due.
  void Age(const std::string& by = "1 hour") {
    Sql("UPDATE scheduling.instance_intervals SET start_time = start_time - interval '" + by +
        "', told_to = told_to - interval '" + by +
        "' WHERE end_time IS NULL AND told_to = start_time; "
        "UPDATE scheduling.instance_intervals SET due_time = now()");
  }
  std::int64_t Count(const std::string& where = "true") {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    return work.exec1("SELECT count(*) FROM scheduling.instance_intervals WHERE " + where)[0].as<std::int64_t>();
  }
  std::int64_t Owed() {
    return static_cast<std::int64_t>(billing_store_.GetBillingAccount(ke_)->posted.pico() / kSecondPico);
  }
  std::vector<TimeInterval> Due() { return intervals_.LoadDue(ke_, kIntervalsPerReport).value(); }

  const TenantId ke_ = *TenantId::FromName("tenants/ke");
  TestDatabase database_{std::vector<std::string>{"scheduling", "billing"}};
  PgPool pool_{database_.app_config("scheduling")};
  PgPool billing_pool_{database_.app_config("billing")};
  PgStore store_{pool_};
  PgIntervalStore intervals_{pool_};
  billing::PgStore billing_store_{billing_pool_};
  billing::instance_time::PgInstanceTimeStore times_{billing_pool_, billing_pool_};
  Billing billing_{times_};
  FakeClock clock_;
  std::vector<std::string> changed_;
  TimeReporter reporter_{intervals_, billing_, clock_,
                         [this](const TenantId&, const std::string& instance) { changed_.push_back(instance); }};
};

TEST_F(IntervalsTest, OnlyReadyCounts) {
  const Placed placed = Place(Made("i"));
  EXPECT_EQ(Count(), 0);
  See(placed, ReplicaState::kStarting);
  EXPECT_EQ(Count(), 0);
  See(placed, ReplicaState::kReady);
  See(placed, ReplicaState::kReady);
  EXPECT_EQ(Count("end_time IS NULL"), 1);
  EXPECT_THAT(Due(), SizeIs(1)) << "billing is asked at once whether there is credit";
  for (const ReplicaState pause : {ReplicaState::kAsleep, ReplicaState::kFailed, ReplicaState::kPending}) {
    See(placed, pause);
    EXPECT_EQ(Count("end_time IS NULL"), 0);
    See(placed, ReplicaState::kReady);
    EXPECT_EQ(Count("end_time IS NULL"), 1);
  }
  Stop(placed);
  EXPECT_EQ(Count("end_time IS NULL"), 0);
  Remove(placed);
  EXPECT_EQ(Count(), 4);
  ASSERT_THAT(Due(), SizeIs(4));
  Time end{};
  auto due = Due();
  std::ranges::sort(due, {}, &TimeInterval::start);
  for (const TimeInterval& interval : due) {
    EXPECT_TRUE(interval.ended);
    EXPECT_GE(interval.start, end) << "no two of them overlap";
    EXPECT_GE(interval.until, interval.start);
    end = interval.until;
  }
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_EQ(Count(), 0) << "billing knows them";
}

TEST_F(IntervalsTest, WhatGoesOnIsToldEachHourAndItsEndAtOnce) {
  const Placed placed = Place(Made("i"));
  See(placed, ReplicaState::kReady);
  Age();
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
  EXPECT_EQ(Owed(), 3600);
  EXPECT_EQ(reporter_.RunOnce().value(), 0) << "nothing is due";
  EXPECT_EQ(Count("due_time BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'"), 1);
  Stop(placed);
  EXPECT_EQ(reporter_.RunOnce().value(), 1);
  EXPECT_EQ(Owed(), 3600);
  EXPECT_EQ(Count(), 0);
}

TEST_F(IntervalsTest, ANodeThatIsNotHeardOfDoesNotCount) {
  const Placed lost = Place(Made("i"));
  const Placed well = Place(Made("j"), "n2");
  See(lost, ReplicaState::kReady);
  See(well, ReplicaState::kReady);
  Age();
  // 40 minutes of silence; the row of the replica says ready all the time.
  Sql("UPDATE scheduling.nodes SET last_report_time = now() - interval '40 minutes' WHERE id = 'n1'");
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_EQ(Owed(), 3600 + 1200);
  // It comes back: from then on it counts again.
  ASSERT_TRUE(store_.TouchNodes({"n1", "n2"}));
  EXPECT_EQ(Count("end_time IS NULL AND node = 'n1' AND start_time > now() - interval '1 minute'"), 1);
  Stop(lost);
  Stop(well);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_EQ(Owed(), 3600 + 1200);
  EXPECT_EQ(Count(), 0);
}

TEST_F(IntervalsTest, AClockThatGoesBackCountsNothingTwice) {
  const Placed placed = Place(Made("i"));
  See(placed, ReplicaState::kReady);
  // What was counted last lies half an hour ahead of the clock.
  Sql("UPDATE scheduling.instance_intervals SET start_time = now() + interval '10 minutes', "
      "told_to = now() + interval '30 minutes'");
  See(placed, ReplicaState::kAsleep);
  EXPECT_EQ(Count("end_time = start_time"), 1) << "no length is negative";
  See(placed, ReplicaState::kReady);
  EXPECT_EQ(Count("end_time IS NULL AND start_time >= now() + interval '9 minutes'"), 1) << "none begins before";
}

TEST_F(IntervalsTest, WhateverIsCutAndWhoeverTellsTooEachSecondCountsOnce) {
  constexpr int kReplicas = 8;
  std::vector<Placed> placed;
  for (int i = 0; i < kReplicas; ++i) placed.push_back(Place(Made("i" + std::to_string(i)), i % 2 == 0 ? "n1" : "n2"));
  for (const Placed& each : placed) See(each, ReplicaState::kReady);
  Age("3 hours");
  billing_.cut_one_in = 3;
  const auto report = [&] {
    TimeReporter mine(intervals_, billing_, clock_, [](const TenantId&, const std::string&) {});
    for (int round = 0; round < 20; ++round) {
      (void)mine.RunOnce();  // dies in between, and is begun again
      Sql("UPDATE scheduling.instance_intervals SET due_time = now()");
    }
  };
  std::vector<std::thread> reporters;
  for (int i = 0; i < 3; ++i) reporters.emplace_back(report);
  for (std::thread& each : reporters) each.join();
  for (const Placed& each : placed) Stop(each);
  billing_.cut_one_in = 0;
  // The truth, before it is told for the last time.
  pqxx::connection owner(database_.owner_url);
  pqxx::work work(owner);
  const auto seconds =
      work.exec1("SELECT sum(floor(extract(epoch FROM end_time - start_time))) FROM scheduling.instance_intervals")[0]
          .as<std::int64_t>();
  work.commit();
  clock_.Advance(5min);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_EQ(Count(), 0);
  EXPECT_EQ(Owed(), seconds);
  EXPECT_GE(seconds, kReplicas * 3 * 3600);
  EXPECT_EQ(billing_store_.AuditTenant(ke_, std::chrono::system_clock::now(), std::nullopt)->instance_time_fault_count,
            0);
}

TEST_F(IntervalsTest, WhereTheCreditEndsTheInstanceMayNotRunUntilThereIsSome) {
  SetLimit(1800);
  const Instance instance = Made("i");
  const Placed placed = Place(instance);
  See(placed, ReplicaState::kReady);
  Age();
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_TRUE(store_.GetInstance(ke_, instance.name)->stopped_for_credit);
  EXPECT_THAT(changed_, testing::ElementsAre(instance.name));
  clock_.Advance(2min);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_TRUE(store_.GetInstance(ke_, instance.name)->stopped_for_credit);
  SetLimit(1'000'000);
  clock_.Advance(2min);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_FALSE(store_.GetInstance(ke_, instance.name)->stopped_for_credit);
  EXPECT_THAT(changed_, SizeIs(2));
}

// Pauses and new instances are no way to run without credit.
TEST_F(IntervalsTest, WhatRunsLessThanAnHourEachTimeStopsWhereTheCreditEnds) {
  SetLimit(3000);
  const Instance instance = Made("i");
  const Placed placed = Place(instance);
  const auto stopped_for_credit = [&](const Instance& of) {
    return store_.GetInstance(ke_, of.name)->stopped_for_credit;
  };
  See(placed, ReplicaState::kReady);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_FALSE(stopped_for_credit(instance)) << "there is credit";
  Sql("UPDATE scheduling.instance_intervals SET start_time = start_time - interval '50 minutes', told_to = told_to - "
      "interval '50 minutes'");
  See(placed, ReplicaState::kAsleep);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_TRUE(stopped_for_credit(instance)) << "50 minutes are all there was";
  // Another one gets seconds.
  const Instance second = Made("j");
  See(Place(second, "n2"), ReplicaState::kReady);
  ASSERT_TRUE(reporter_.RunOnce());
  EXPECT_TRUE(stopped_for_credit(second));
  EXPECT_LT(Owed(), 3010);
}

TEST_F(IntervalsTest, TheServiceMakesNoTimeUp) {
  const Placed placed = Place(Made("i"));
  See(placed, ReplicaState::kReady);
  pqxx::connection app(database_.app_config("scheduling").url);
  for (const char* sql : {"UPDATE scheduling.instance_intervals SET start_time = start_time - interval '1 hour'",
                          "UPDATE scheduling.instance_intervals SET end_time = now()",
                          "INSERT INTO scheduling.instance_intervals SELECT * FROM scheduling.instance_intervals"}) {
    pqxx::work work(app);
    work.exec("SELECT set_config('allod.tenant', '" + ke_.ToString() + "', true)");
    EXPECT_THROW(work.exec(sql), pqxx::insufficient_privilege) << sql;
  }
}

}  // namespace
}  // namespace allod::scheduling::instance_time::intervals_test
