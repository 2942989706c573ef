// For the suites that hold the fake and PostgreSQL to what services/scheduling/store.h promises.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "services/scheduling/pg_store.h"
#include "services/scheduling/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::scheduling {

using scheduler::ReplicaState;

inline constexpr std::int64_t kMiB = 1 << 20;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Store& store() = 0;
  // The row of the instance's current revision is lost.
  virtual void Break(const Instance& instance) = 0;
};

class FakeBackend final : public Backend {
 public:
  Store& store() override { return store_; }
  void Break(const Instance& instance) override { store_.Break(instance.tenant, instance.name); }

 private:
  FakeClock clock_;
  FakeStore store_{clock_};
};

class PgBackend final : public Backend {
 public:
  Store& store() override { return store_; }
  void Break(const Instance& instance) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params("DELETE FROM scheduling.revisions WHERE instance_id = $1::uuid AND generation = $2",
                     instance.id.ToString(), instance.generation);
    work.commit();
  }

 private:
  TestDatabase database_{"scheduling"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};

class SchedulingStoreTest : public testing::TestWithParam<Kind> {
 protected:
  static RequestId Request(const std::string& text, const std::string& payload = "p") {
    return {Uuid::FromName(text), std::string(64, payload[0])};
  }
  static Revision MakeRevision(const std::string& variant = "q4_k_m") {
    Revision revision;
    revision.spec = {
        "listings/l", "models/m/versions/1/variants/" + variant, "ke-1", IsolationClass::kIsolated, 1, 512, 2};
    revision.price_book = "priceBooks/b";
    revision.artifact_sha256 = std::string(64, 'a');
    revision.artifact_bytes = 1000;
    revision.trained_context_tokens = 1024;
    revision.residency = {"ke", "tz"};
    revision.demand = {{100 * kMiB, 50}};
    return revision;
  }
  static NewInstance MakeInstance(const std::string& id, const std::string& tenant = "tenants/ke",
                                  const std::string& project = "p") {
    NewInstance out;
    out.tenant = *TenantId::FromName(tenant);
    out.tenant_name = tenant;
    out.id = Uuid::V7();
    out.operation = Uuid::V7();
    out.name = tenant + "/projects/" + project + "/instances/" + id;
    out.revision = MakeRevision();
    return out;
  }
  Instance Created(const std::string& id, const std::string& tenant = "tenants/ke") {
    const NewInstance instance = MakeInstance(id, tenant);
    EXPECT_TRUE(store().CreateInstance(instance, {}));
    return *store().GetInstance(instance.tenant, instance.name);
  }
  void Join(const std::string& id, std::int64_t memory_bytes) {
    ASSERT_TRUE(store().JoinNode({id, "ke-1", scheduler::NodeState::kReady, {memory_bytes, 1000}, {}}));
  }
  static NewReplica OnNode(const Instance& instance, const std::string& node) {
    return {Uuid::V7(), {instance.id, instance.version, instance.template_generation, node, instance.current().demand}};
  }
  Instance Again(const Instance& instance) { return *store().GetInstance(instance.tenant, instance.name); }
  Applied Apply(const Changes& changes, const TenantId& tenant) {
    const auto applied = store().Apply(tenant, changes);
    EXPECT_TRUE(applied) << applied.error().message;
    return applied.value_or(Applied{});
  }
  Applied Apply(const Changes& changes) { return Apply(changes, ke_); }

  std::size_t CountOperations() { return store().ListOperations(ke_, "", {"scope", 1000, ""})->operations.size(); }
  Store& store() { return backend_->store(); }

  std::unique_ptr<Backend> backend_ = GetParam().make();
  const TenantId ke_ = *TenantId::FromName("tenants/ke");
  const TenantId tz_ = *TenantId::FromName("tenants/tz");
};

inline auto EveryStore() {
  return testing::Values(Kind{"Fake", [] { return std::make_unique<FakeBackend>(); }},
                         Kind{"PostgreSql", [] { return std::make_unique<PgBackend>(); }});
}
inline std::string KindName(const testing::TestParamInfo<Kind>& kind) { return kind.param.name; }

}  // namespace allod::scheduling
