// One tenant's data never stops another's, and tenants of which nothing is new cost nothing.
#include <gtest/gtest.h>

#include <stdexcept>

#include "services/scheduling/testing/reconciler_fixture.h"

namespace allod::scheduling::reconciler_isolation_test {
namespace {

// What a tenant's rows may do to who reads them.
struct Spoilage {
  std::string name;
  std::function<Status(TenantState&)> spoil;
};

class SpoiltTenantTest : public ReconcilerTest, public testing::WithParamInterface<Spoilage> {
 protected:
  const TenantId spoilt_ = *TenantId::FromName("tenants/aa");
  const std::string spoilt_name_ = "tenants/aa/projects/p/instances/a";
};

TEST_P(SpoiltTenantTest, IsLeftAloneWhileTheOthersAreServed) {
  Join("n");
  const Uuid theirs = CreateFor(spoilt_, "tenants/aa", "a");
  Pass();
  Ready("n");
  Pass();
  const auto before = TargetsOf(spoilt_name_);
  ASSERT_EQ(before.size(), 1u);
  store_.Spoil(spoilt_, GetParam().spoil);
  reconciler_->Wake(spoilt_);
  const Uuid ours = Create("b");
  Pass();
  EXPECT_EQ(Assigned("n").size(), 2u) << "ours is placed, theirs is not stopped";
  Ready("n");
  Pass();
  EXPECT_TRUE(GetOperation(ours).done);
  EXPECT_EQ(Targets("b").size(), 1u);
  EXPECT_EQ(TargetsOf(spoilt_name_), before) << "what was known of it stays";

  store_.Spoil(spoilt_, nullptr);
  ASSERT_TRUE(store_.DeleteInstance(spoilt_, spoilt_name_, Uuid::V7(), {}));
  Pass();
  EXPECT_EQ(TargetsOf(spoilt_name_), before) << "it is not tried again at once";
  clock_.Advance(seconds(1));
  Pass();
  EXPECT_EQ(TargetsOf(spoilt_name_), std::vector<std::string>{"no route"}) << "then it is";
  EXPECT_TRUE(store_.GetOperation(spoilt_, theirs)->done);
}

TEST_P(SpoiltTenantTest, DoesNotKeepAStartedServiceFromServingTheOthers) {
  Join("n");
  CreateFor(spoilt_, "tenants/aa", "a");
  Create("b");
  Pass();
  Ready("n");
  Pass();
  store_.Spoil(spoilt_, GetParam().spoil);
  Restart();
  Join("n");
  for (int second = 0; second < 4; ++second) {
    Pass();
    clock_.Advance(seconds(1));
  }
  EXPECT_EQ(Targets("b").size(), 1u);
  ASSERT_EQ(Assigned("n").size(), 1u);
  EXPECT_EQ(Assigned("n")[0].instance, Name("b"));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, SpoiltTenantTest,
    testing::Values(Spoilage{"MissingCurrentRevision",
                             [](TenantState& state) -> Status {
                               state.instances.at(0).revisions.erase(state.instances.at(0).generation);
                               return {};
                             }},
                    Spoilage{"ReplicaOfAnUnknownGeneration",
                             [](TenantState& state) -> Status {
                               for (Instance& instance : state.instances) ++instance.generation;
                               for (Instance& instance : state.instances) {
                                 instance.revisions[instance.generation] = instance.revisions.begin()->second;
                                 instance.revisions.erase(instance.revisions.begin());
                               }
                               return {};
                             }},
                    Spoilage{"UnknownWord",
                             [](TenantState&) -> Status { throw std::runtime_error("unexpected word in a row"); }},
                    Spoilage{"Refusal",
                             [](TenantState&) -> Status {
                               return Fail(Code::kDeadlineExceeded, "STATEMENT_TIMEOUT", "too slow");
                             }}),
    [](const auto& spoilage) { return spoilage.param.name; });

class ReconcilerIsolationTest : public ReconcilerTest {
 protected:
  const TenantId other_ = *TenantId::FromName("tenants/aa");
};

TEST_F(ReconcilerIsolationTest, ATenantWhoseChangesAreRefusedIsTriedAgainLater) {
  Join("n");
  const Uuid theirs = CreateFor(other_, "tenants/aa", "a");
  const Uuid ours = Create("b");
  store_.RefuseChanges(other_, Error{Code::kAborted, "LOCK_TIMEOUT", "another change holds what this one needs"});
  Pass();
  Ready("n");
  Pass();
  EXPECT_TRUE(GetOperation(ours).done);
  EXPECT_FALSE(store_.GetOperation(other_, theirs)->done);
  store_.RefuseChanges(other_, std::nullopt);
  clock_.Advance(seconds(5));
  Ready("n");
  Pass();
  Ready("n");
  Pass();
  EXPECT_TRUE(store_.GetOperation(other_, theirs)->done);
}

// A driver that throws when it is asked to plan for one instance.
class ThrowingDriver final : public drivers::Driver {
 public:
  ThrowingDriver(drivers::ProcessDriver& driver, Uuid poison) : driver_(driver), poison_(poison) {}
  scheduler::Plan MakePlan(const scheduler::Snapshot& snapshot) const override {
    for (const auto& instance : snapshot.instances) {
      if (instance.id == poison_) throw std::out_of_range("map::at");
    }
    return driver_.MakePlan(snapshot);
  }
  Status EnsureTenant(const TenantId& tenant) override { return driver_.EnsureTenant(tenant); }
  Status Apply(const drivers::DesiredWorker& worker) override {
    if (unshowable_ && worker.tenant == *unshowable_) throw std::out_of_range("map::at");
    return driver_.Apply(worker);
  }
  // When it is told of this tenant's workers; the tenant is then not looked at either.
  void ThrowFor(const TenantId& tenant) { unshowable_ = tenant; }
  Status Remove(const Uuid& replica, std::int64_t epoch) override { return driver_.Remove(replica, epoch); }
  void Synced() override { driver_.Synced(); }
  std::vector<drivers::WorkerView> List() const override { return driver_.List(); }
  std::vector<drivers::WorkerView> Find(std::span<const drivers::WorkerKey> keys) const override {
    return driver_.Find(keys);
  }
  std::vector<Uuid> TakeChanged() override { return driver_.TakeChanged(); }
  std::vector<scheduler::Node> Capacity(Time now) const override { return driver_.Capacity(now); }

 private:
  drivers::ProcessDriver& driver_;
  const Uuid poison_;
  std::optional<TenantId> unshowable_;
};

TEST_F(ReconcilerIsolationTest, ASuspendedTenantThatCannotBeLookedAtLosesItsWorkers) {
  Join("n");
  CreateFor(other_, "tenants/aa", "a");
  Create("b");
  ThrowingDriver throwing(*driver_, Uuid::V7());
  Reconciler reconciler(store_, throwing, inbox_, *board_, news_, clock_, {});
  ASSERT_TRUE(reconciler.RunOnce());
  ASSERT_EQ(Assigned("n").size(), 2u);
  throwing.ThrowFor(other_);
  reconciler.Wake(other_);
  ASSERT_TRUE(reconciler.RunOnce());
  ASSERT_EQ(Assigned("n").size(), 2u) << "what was known of it stays";
  Tell({other_, false, 1, {{"ke"}}});
  ASSERT_TRUE(reconciler.RunOnce());
  ASSERT_TRUE(reconciler.RunOnce()) << "routes first, then workers";
  ASSERT_EQ(Assigned("n").size(), 1u);
  EXPECT_EQ(Assigned("n")[0].instance, Name("b"));
}

TEST_F(ReconcilerIsolationTest, ATenantThatCannotBePlannedForDoesNotTakeThePlanFromTheOthers) {
  Join("n");
  CreateFor(other_, "tenants/aa", "a");
  Create("b");
  const Instance poison = *store_.GetInstance(other_, "tenants/aa/projects/p/instances/a");
  ThrowingDriver throwing(*driver_, poison.id);
  Reconciler reconciler(store_, throwing, inbox_, *board_, news_, clock_, {});
  ASSERT_TRUE(reconciler.RunOnce());
  ASSERT_EQ(Assigned("n").size(), 1u);
  EXPECT_EQ(Assigned("n")[0].instance, Name("b"));
}

TEST_F(ReconcilerIsolationTest, SaysWhyAPooledInstanceGetsNoSecondReplica) {
  Join("n");
  NewInstance instance = Wanted("a", 2);
  instance.revision.spec.isolation_class = IsolationClass::kPooled;
  instance.revision.demand = {{kMiB, 2}, std::string(64, 'a'), kMiB, kMiB};
  ASSERT_TRUE(store_.CreateInstance(instance, {}));
  reconciler_->Wake(tenant_);
  Pass();
  EXPECT_EQ(Assigned("n").size(), 1u);
  EXPECT_EQ(Get("a").status.message, "region ke-1 has 1 node; the pooled class holds an instance once on each");
  Join("m");
  Pass();
  EXPECT_EQ(Assigned("m").size(), 1u);
}

TEST_F(ReconcilerIsolationTest, ForgetsOldOperationsOfAllButThoseWhoseRowsRefuseIt) {
  constexpr int kTenants = 205;
  std::map<TenantId, Uuid> operations;
  for (int i = 0; i < kTenants; ++i) {
    const std::string name = "tenants/t" + std::to_string(i);
    const TenantId id = *TenantId::FromName(name);
    operations[id] = CreateFor(id, name, "a");
    ASSERT_TRUE(store_.Apply(id, {.operations = {{operations[id], "ready", true}}}));
  }
  const auto [last, operation] = *operations.rbegin();
  for (const auto& [id, of] : operations) {
    if (id != last) store_.RefuseChanges(id, Error{Code::kInternal, "ROWS_BROKEN", "broken"});
  }
  ASSERT_TRUE(store_.GetOperation(last, operation));
  clock_.Advance(std::chrono::hours(24 * 365));
  for (int pass = 0; pass < 3; ++pass) {
    Pass();
    clock_.Advance(seconds(1));
  }
  EXPECT_EQ(store_.GetOperation(last, operation).error().code, Code::kNotFound);
  EXPECT_TRUE(store_.GetOperation(operations.begin()->first, operations.begin()->second));
}

TEST_F(ReconcilerIsolationTest, ForgetsManyOldOperationsABatchAtATime) {
  constexpr std::size_t kOperations = 4501;
  Changes ends{.operations = {{Create("a"), "ready", true}}};
  while (ends.operations.size() < kOperations) {
    const Instance instance = Get("a");
    const Revision next = MakeRevision(ends.operations.size() % 2 == 0 ? "q4" : "q8", 1);
    ends.operations.push_back({Uuid::V7(), "ready", true});
    ASSERT_TRUE(
        store_.UpdateInstance({tenant_, ends.operations.back().operation, instance.name, EtagOf(instance), next}, {}));
  }
  ASSERT_TRUE(store_.Apply(tenant_, ends));
  const Uuid neighbours = CreateFor(*TenantId::FromName("tenants/tz"), "tenants/tz", "a");
  ASSERT_TRUE(store_.Apply(*TenantId::FromName("tenants/tz"), {.operations = {{neighbours, "ready", true}}}));
  const auto left = [&] { return store_.ListOperations(tenant_, "", {"scope", 10'000, ""})->operations.size(); };
  ASSERT_EQ(left(), kOperations);
  clock_.Advance(std::chrono::hours(24 * 365));
  std::vector<std::size_t> seen;
  for (int pass = 0; pass < 6; ++pass) {
    Pass();
    seen.push_back(left());
    Pass();
    EXPECT_EQ(left(), seen.back()) << "not with every pass of a busy second";
    clock_.Advance(seconds(1));
  }
  std::size_t before = kOperations;
  for (const std::size_t now : seen) {
    EXPECT_LE(before - now, 2000u);
    before = now;
  }
  EXPECT_EQ(before, 0u);
  EXPECT_FALSE(store_.GetOperation(*TenantId::FromName("tenants/tz"), neighbours));
}

TEST_F(ReconcilerIsolationTest, FindsWhatNobodyWokeItFor) {
  Join("n");
  Create("a");
  Pass();
  const NewInstance instance = Wanted("b", 1);
  ASSERT_TRUE(store_.CreateInstance(instance, {}));
  Pass();
  EXPECT_EQ(Assigned("n").size(), 1u) << "it is not looked for all the time";
  clock_.Advance(seconds(10));
  Ready("n");
  Pass();
  EXPECT_EQ(Assigned("n").size(), 2u);
}

TEST_F(ReconcilerIsolationTest, RunsWhatEveryTenantWantsHoweverManyThereAre) {
  constexpr int kTenants = 10'100;
  Join("n", 10'000'000);
  const std::string last = "tenants/zz-last";
  for (int i = 0; i < kTenants; ++i) {
    const std::string name = "tenants/t" + std::to_string(i);
    store_.CreateTenantRows(*TenantId::FromName(name));
  }
  CreateFor(*TenantId::FromName(last), last, "a");
  Pass();
  EXPECT_EQ(Assigned("n").size(), 1u);
  // Idle from here: a minute, tick by tick.
  Ready("n");
  Pass();
  const int before = store_.calls();
  for (int second = 0; second < 60; ++second) {
    clock_.Advance(seconds(1));
    Ready("n");
    Pass();
  }
  // Looking for changes every 10 s and noting that nodes report every 5 s.
  EXPECT_LE(store_.calls() - before, 6 + 12 + 1);
  // And what is new of one tenant costs what one tenant costs.
  const int idle = store_.calls();
  Create("b");
  Pass();
  EXPECT_EQ(Assigned("n").size(), 2u);
  EXPECT_LE(store_.calls() - idle, 8);
}

}  // namespace
}  // namespace allod::scheduling::reconciler_isolation_test
