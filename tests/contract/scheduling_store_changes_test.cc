// What services/scheduling/store.h promises of finding what changed, and of tenants that are apart.
#include "tests/contract/scheduling_store_harness.h"

namespace allod::scheduling::scheduling_store_changes_test {
namespace {

class SchedulingStoreChanges : public SchedulingStoreTest {};

TEST_P(SchedulingStoreChanges, ForgetsOldOperationsWithTheirRequestIds) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, Request("r")));
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  ASSERT_TRUE(store().ForgetOperations(ke_, future, 10));
  EXPECT_TRUE(store().GetOperation(ke_, asked.operation)) << "open ones stay";
  Apply({.operations = {{asked.operation, "ready", true}}});
  ASSERT_TRUE(store().ForgetOperations(ke_, future, 10));
  EXPECT_EQ(store().GetOperation(ke_, asked.operation).error().code, Code::kNotFound);
  EXPECT_EQ(store().FindRequest(ke_, "p", Request("r")).error().code, Code::kNotFound);
}

TEST_P(SchedulingStoreChanges, TellsWhichTenantsChangedSinceALook) {
  const auto look = [&](const std::string& since) { return *store().ListChanged(since, std::nullopt, 100); };
  EXPECT_TRUE(look("").tenants.empty());
  const Instance a = Created("a");
  Created("b", "tenants/tz");
  const TenantChanges all = look("");
  ASSERT_EQ(all.tenants.size(), 2u);
  const auto version_of = [](const TenantChanges& changes, const TenantId& tenant) -> std::int64_t {
    for (const auto& change : changes.tenants) {
      if (change.tenant == tenant) return change.version;
    }
    return 0;
  };
  EXPECT_EQ(version_of(all, ke_), store().LoadTenant(ke_)->version);
  EXPECT_TRUE(look(all.mark).tenants.empty()) << "nothing changed";

  // By everything that changes rows, and only by that.
  ASSERT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), a.name, EtagOf(a), MakeRevision("q8_0")}, {}));
  EXPECT_EQ(look(all.mark).tenants, (std::vector<TenantVersion>{{ke_, version_of(all, ke_) + 1}}));
  const Instance again = Again(a);
  const Applied applied = Apply({.statuses = {{a.id, again.version, {InstanceState::kReady, 1, 1, ""}}}});
  EXPECT_EQ(applied.version, version_of(all, ke_) + 2);
  EXPECT_EQ(look(all.mark).tenants, (std::vector<TenantVersion>{{ke_, applied.version}}));
  ASSERT_TRUE(store().DeleteInstance(ke_, a.name, Uuid::V7(), {}));
  EXPECT_EQ(look(all.mark).tenants, (std::vector<TenantVersion>{{ke_, applied.version + 1}}));
  EXPECT_EQ(store().LoadTenant(ke_)->version, applied.version + 1);
}

TEST_P(SchedulingStoreChanges, TellsOfChangesInPages) {
  for (const char* tenant : {"tenants/ke", "tenants/tz", "tenants/ug"}) Created("a", tenant);
  const auto first = store().ListChanged("", std::nullopt, 2);
  ASSERT_EQ(first->tenants.size(), 2u);
  const auto second = store().ListChanged("", first->tenants.back().tenant, 2);
  ASSERT_EQ(second->tenants.size(), 1u);
  EXPECT_LT(first->tenants[0].tenant, first->tenants[1].tenant);
  EXPECT_LT(first->tenants[1].tenant, second->tenants[0].tenant);
}

TEST_P(SchedulingStoreChanges, KnowsWhichTenantsHaveOperationsToForget) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  Created("b", "tenants/tz");
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  const Time past = std::chrono::system_clock::now() - std::chrono::hours(24 * 3650);
  EXPECT_TRUE(store().ListForgettable(future, std::nullopt, 10)->empty()) << "open ones stay";
  Apply({.operations = {{asked.operation, "ready", true}}});
  EXPECT_EQ(*store().ListForgettable(future, std::nullopt, 10), std::vector{ke_});
  EXPECT_TRUE(store().ListForgettable(past, std::nullopt, 10)->empty());
  ASSERT_TRUE(store().ForgetOperations(ke_, future, 10));
  EXPECT_TRUE(store().ListForgettable(future, std::nullopt, 10)->empty()) << "not again and again";
  ASSERT_TRUE(store().DeleteInstance(tz_, MakeInstance("b", "tenants/tz").name, Uuid::V7(), {}));
  EXPECT_EQ(*store().ListForgettable(future, std::nullopt, 10), std::vector{tz_}) << "deleting ends what was open";
}

TEST_P(SchedulingStoreChanges, ForgetsInBatchesTheOldestFirst) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, {}));
  std::vector<Uuid> operations{asked.operation};
  for (int i = 0; i < 4; ++i) {
    const Instance now = *store().GetInstance(ke_, asked.name);
    operations.push_back(Uuid::V7());
    ASSERT_TRUE(store().UpdateInstance(
        {ke_, operations.back(), now.name, EtagOf(now), MakeRevision(i % 2 == 0 ? "q8_0" : "q4_k_m")}, {}));
  }
  for (const Uuid& operation : operations) Apply({.operations = {{operation, "ready", true}}});
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  EXPECT_EQ(store().ForgetOperations(ke_, future, 2), 2);
  EXPECT_EQ(CountOperations(), 3u);
  EXPECT_TRUE(store().GetOperation(ke_, operations.back()));
  EXPECT_EQ(store().ListForgettable(future, std::nullopt, 10)->size(), 1u) << "there are more";
  EXPECT_EQ(store().ForgetOperations(ke_, future, 10), 3);
  EXPECT_EQ(store().ForgetOperations(ke_, future, 10), 0);
  EXPECT_TRUE(store().ListForgettable(future, std::nullopt, 10)->empty());
}

// One operation can have any number of request ids: of each request for what is so already.
TEST_P(SchedulingStoreChanges, ForgetsAllRequestIdsOfAnOperation) {
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, Request("r0", "1")));
  for (int i = 1; i < 5; ++i) {
    NewInstance again = MakeInstance("a");
    ASSERT_TRUE(store().CreateInstance(again, Request("r" + std::to_string(i), "1")));
  }
  Apply({.operations = {{asked.operation, "ready", true}}});
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  int passes = 1;
  while (store().ForgetOperations(ke_, future, 2).value() == 2 && passes < 10) ++passes;
  EXPECT_LE(passes, 4);
  EXPECT_EQ(CountOperations(), 0u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(store().FindRequest(ke_, "p", Request("r" + std::to_string(i), "1")).error().code, Code::kNotFound);
  }
}

TEST_P(SchedulingStoreChanges, TellsInPagesWhoHasOperationsToForget) {
  const Time future = std::chrono::system_clock::now() + std::chrono::hours(24 * 3650);
  for (const char* tenant : {"tenants/ke", "tenants/tz", "tenants/ug"}) {
    Created("a", tenant);
    const TenantId id = *TenantId::FromName(tenant);
    ASSERT_TRUE(store().DeleteInstance(id, MakeInstance("a", tenant).name, Uuid::V7(), {}));
  }
  const auto first = store().ListForgettable(future, std::nullopt, 2);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->size(), 2u);
  const auto second = store().ListForgettable(future, first->back(), 2);
  ASSERT_EQ(second->size(), 1u);
  EXPECT_LT((*first)[0], (*first)[1]);
  EXPECT_LT((*first)[1], (*second)[0]);
}

TEST_P(SchedulingStoreChanges, AnInstanceIsWholeWhateverIsChangedMeanwhile) {
  Created("a");
  Join("n", 10'000 * kMiB);
  std::atomic<bool> over = false;
  // As a tenant does who scales 2, 1, 2, 1 and changes the variant in between, and as the reconciler follows.
  std::thread changes([&] {
    const std::string name = MakeInstance("a").name;
    for (int i = 0; i < 40; ++i) {
      Instance instance = *store().GetInstance(ke_, name);
      Revision revision = MakeRevision(i % 4 < 2 ? "q4_k_m" : "q8_0");
      revision.spec.replicas = 1 + i % 2;
      EXPECT_TRUE(store().UpdateInstance({ke_, Uuid::V7(), name, EtagOf(instance), revision}, {}));
      instance = *store().GetInstance(ke_, name);
      Changes plan{.creates = {OnNode(instance, "n")}};
      for (const Replica& replica : instance.replicas) {
        plan.stops.push_back({replica.placement.id, replica.placement.epoch, "x"});
        plan.removes.push_back({replica.placement.id, replica.placement.epoch});
      }
      EXPECT_TRUE(store().Apply(ke_, plan));
    }
    over = true;
  });
  int reads = 0;
  const auto check = [](const Result<TenantState>& state) {
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_EQ(state->instances.size(), 1u);
    const Status whole = CheckWhole(state->instances[0]);
    EXPECT_TRUE(whole) << whole.error().message;
  };
  for (; !over || reads < 10; ++reads) {
    check(store().LoadTenant(ke_));
    check(store().LoadInstance(ke_, MakeInstance("a").name));
    const auto got = store().GetInstance(ke_, MakeInstance("a").name);
    EXPECT_TRUE(got) << got.error().message;
    const auto listed = store().ListInstances(ke_, "tenants/ke/", {"scope", 10, ""});
    EXPECT_TRUE(listed) << listed.error().message;
  }
  changes.join();
}

TEST_P(SchedulingStoreChanges, TenantBCannotSeeChangeOrReferenceA) {
  Join("n", 1000 * kMiB);
  const NewInstance asked = MakeInstance("a");
  ASSERT_TRUE(store().CreateInstance(asked, Request("r")));
  const Instance a = *store().GetInstance(ke_, asked.name);
  Created("b", "tenants/tz");
  Apply({.creates = {OnNode(a, "n")}});
  const auto placement = Again(a).replicas[0].placement;

  EXPECT_EQ(store().GetInstance(tz_, asked.name).error().code, Code::kNotFound);
  EXPECT_TRUE(store().ListInstances(tz_, "tenants/ke/", {"scope", 10, ""})->empty());
  EXPECT_EQ(store().GetOperation(tz_, asked.operation).error().code, Code::kNotFound);
  EXPECT_EQ(store().ListOperations(tz_, "", {"scope", 10, ""})->operations.size(), 1u);
  EXPECT_EQ(store().FindRequest(tz_, "p", Request("r")).error().code, Code::kNotFound);
  EXPECT_EQ(store().LoadTenant(tz_)->instances.size(), 1u);
  EXPECT_EQ(store().DeleteInstance(tz_, asked.name, Uuid::V7(), {}).error().code, Code::kNotFound);
  EXPECT_EQ(store().UpdateInstance({tz_, Uuid::V7(), asked.name, EtagOf(a), MakeRevision("q8_0")}, {}).error().code,
            Code::kNotFound);
  // A plan of B that names A's rows changes nothing of them.
  const Changes hostile{.creates = {OnNode(a, "n")},
                        .observations = {{placement.id, placement.epoch, ReplicaState::kReady, "unix:/evil", "", 1}},
                        .stops = {{placement.id, placement.epoch, "x"}},
                        .removes = {{placement.id, placement.epoch}},
                        .statuses = {{a.id, a.version, {InstanceState::kFailing, 0, 0, "x"}}},
                        .operations = {{asked.operation, "x", true}},
                        .gone = {a.id}};
  EXPECT_EQ(Apply(hostile, tz_).dropped, 7);
  EXPECT_EQ(Again(a).replicas.size(), 1u);
  EXPECT_EQ(Again(a).replicas[0].placement.state, ReplicaState::kPending);
  EXPECT_EQ(store().ListNodes()->at(0).worker_count, 1);
}

INSTANTIATE_TEST_SUITE_P(Stores, SchedulingStoreChanges, EveryStore(), KindName);

// A transaction that began before a look and is committed after a later one began must not be missed.
TEST(SchedulingChanges, AreFoundInWhateverOrderTheyAreCommitted) {
  TestDatabase database("scheduling");
  PgPool pool(database.app_config());
  PgStore store(pool);
  const TenantId early = *TenantId::FromName("tenants/ke");
  const TenantId late = *TenantId::FromName("tenants/tz");
  const auto insert = [](auto& tx, const TenantId& tenant, const std::string& name) {
    tx.Exec("INSERT INTO scheduling.tenants (id, name) VALUES ($1, $2)", tenant.ToString(), name);
  };
  TenantChanges between;
  ASSERT_TRUE(pool.Run<int>([&](GlobalTx& tx) -> Result<int> {
    insert(tx, early, "tenants/ke");
    EXPECT_TRUE(pool.Run<int>([&](GlobalTx& other) -> Result<int> {
      insert(other, late, "tenants/tz");
      return 0;
    }));
    between = *store.ListChanged("", std::nullopt, 10);
    return 0;
  }));
  ASSERT_EQ(between.tenants.size(), 1u);
  EXPECT_EQ(between.tenants[0].tenant, late);
  std::vector<TenantId> found;
  const TenantChanges after = *store.ListChanged(between.mark, std::nullopt, 10);
  for (const TenantVersion& change : after.tenants) found.push_back(change.tenant);
  EXPECT_NE(std::ranges::find(found, early), found.end());
}

// Row-level security is the second lock: it must hold where a statement forgets to name the tenant.
TEST(SchedulingRowLevelSecurity, ShowsNothingWithoutATenantAndRefusesForeignRows) {
  TestDatabase database("scheduling");
  PgPool pool(database.app_config());
  PgStore store(pool);
  NewInstance asked;
  asked.tenant = *TenantId::FromName("tenants/ke");
  asked.tenant_name = "tenants/ke";
  asked.id = Uuid::V7();
  asked.operation = Uuid::V7();
  asked.name = "tenants/ke/projects/p/instances/a";
  asked.revision.spec = {"listings/l", "models/m/versions/1/variants/v", "ke-1", IsolationClass::kIsolated, 1, 512, 2};
  asked.revision.artifact_sha256 = std::string(64, 'a');
  asked.revision.artifact_bytes = asked.revision.demand.own.memory_bytes = 1;
  asked.revision.trained_context_tokens = 512;
  ASSERT_TRUE(store.CreateInstance(asked, {}));
  for (const std::string table : {"instances", "revisions", "replicas", "operations", "request_ids"}) {
    const auto count = [&](auto& tx) -> Result<int> {
      return tx.Exec("SELECT count(*) FROM scheduling." + table)[0][0].template as<int>();
    };
    EXPECT_EQ(pool.Run<int>([&](GlobalTx& tx) { return count(tx); }), 0) << table;
    EXPECT_EQ(pool.Run<int>(*TenantId::FromName("tenants/tz"), [&](TenantTx& tx) { return count(tx); }), 0) << table;
  }
  const auto stolen = pool.Run<int>(*TenantId::FromName("tenants/tz"), [&](TenantTx& tx) -> Result<int> {
    return static_cast<int>(tx.Exec("UPDATE scheduling.instances SET deleting = true").affected_rows());
  });
  EXPECT_EQ(stolen, 0);
  const auto forged = pool.Run<int>(*TenantId::FromName("tenants/tz"), [&](TenantTx& tx) -> Result<int> {
    tx.Exec(
        "INSERT INTO scheduling.instances (tenant_id, id, name, generation, template_generation) VALUES ($1, $2, 'x', "
        "1, 1)",
        asked.tenant.ToString(), Uuid::V7().ToString());
    return 1;
  });
  EXPECT_FALSE(forged);
}

}  // namespace
}  // namespace allod::scheduling::scheduling_store_changes_test
