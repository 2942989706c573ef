// What changes of instances and billing accounts leave in the audit logs of their services, on PostgreSQL.
// (tenancy_audit_test.cc has those of tenancy, over its RPCs.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/billing/pg_store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/call_scope.h"
#include "services/scheduling/pg_store.h"
#include "tests/support/pg_fixture.h"

namespace allod::changes_audit_test {
namespace {

using audit::Detail;
using audit::Entry;
using testing::Contains;
using testing::ElementsAre;

const TenantId kKenya{Uuid::FromName("tenants/ke")};
const Actor kActor{"tenant", "tenants/ke", ""};

// All of the log; a broken one fails the test.
std::vector<Entry> LogOf(PgPool& pool, const std::string& service) {
  const audit::PgLog log(service);
  auto entries = pool.Run<std::vector<Entry>>(kKenya, [&](TenantTx& tx) -> Result<std::vector<Entry>> {
    audit::EntryPage page = log.Read(tx, 0, 1000, {});
    audit::ChainVerifier verifier(audit::Genesis(service, "tenants/ke"));
    verifier.Expect(log.ReadHead(tx, "tenants/ke"));
    for (const Entry& entry : page.entries) {
      if (const auto broken = verifier.Add(entry)) return Internal(broken->words);
    }
    if (const auto broken = verifier.Finish()) return Internal(broken->words);
    return std::move(page.entries);
  });
  EXPECT_TRUE(entries) << entries.error().message;
  return entries.value_or(std::vector<Entry>());
}

std::vector<std::string> Actions(const std::vector<Entry>& entries) {
  std::vector<std::string> out;
  for (const Entry& entry : entries) out.push_back(entry.action);
  return out;
}

RequestId Request(const std::string& text) { return {Uuid::FromName(text), std::string(64, 'a')}; }

TEST(SchedulingAudit, EachChangeOfAnInstanceLeavesOneEntry) {
  TestDatabase database("scheduling");
  PgPool pool(database.app_config());
  scheduling::PgStore store(pool);
  scheduling::NewInstance instance;
  instance.tenant = kKenya;
  instance.tenant_name = "tenants/ke";
  instance.id = Uuid::V7();
  instance.operation = Uuid::V7();
  instance.name = "tenants/ke/projects/p/instances/i";
  instance.revision.spec = {
      "listings/l", "models/m/versions/1/variants/q4_k_m", "ke-1", scheduling::IsolationClass::kIsolated, 1, 512, 2};
  instance.revision.price_book = "priceBooks/b";
  instance.revision.artifact_sha256 = std::string(64, 'a');
  instance.revision.artifact_bytes = 1000;
  instance.revision.trained_context_tokens = 1024;
  instance.revision.residency = {"ke"};
  instance.revision.demand = {{100 << 20, 50}};
  {
    const CallScope scope(Deadline::None(), Trace::New(), kActor);
    ASSERT_TRUE(store.CreateInstance(instance, Request("create")));
    ASSERT_TRUE(store.CreateInstance(instance, Request("create"))) << "repeated";
    instance.operation = Uuid::V7();
    ASSERT_TRUE(store.CreateInstance(instance, {})) << "it stands already";
    scheduling::NewInstance other = instance;
    other.revision.spec.replicas = 3;
    EXPECT_FALSE(store.CreateInstance(other, {}));

    const auto etag = [&] { return scheduling::EtagOf(*store.GetInstance(kKenya, instance.name)); };
    scheduling::Revision revision = instance.revision;
    ASSERT_TRUE(store.UpdateInstance({kKenya, Uuid::V7(), instance.name, etag(), revision}, {})) << "the same";
    revision.spec.replicas = 2;
    EXPECT_FALSE(store.UpdateInstance({kKenya, Uuid::V7(), instance.name, "stale", revision}, {}));
    ASSERT_TRUE(store.UpdateInstance({kKenya, Uuid::V7(), instance.name, etag(), revision}, Request("update")));
    ASSERT_TRUE(store.UpdateInstance({kKenya, Uuid::V7(), instance.name, "stale", revision}, Request("update")));

    EXPECT_FALSE(store.DeleteInstance(kKenya, instance.name + "x", Uuid::V7(), {}));
    ASSERT_TRUE(store.DeleteInstance(kKenya, instance.name, Uuid::V7(), Request("delete")));
    ASSERT_TRUE(store.DeleteInstance(kKenya, instance.name, Uuid::V7(), Request("delete")));
    ASSERT_TRUE(store.DeleteInstance(kKenya, instance.name, Uuid::V7(), {})) << "it is being deleted";
  }
  const auto entries = LogOf(pool, "scheduling");
  ASSERT_THAT(Actions(entries),
              ElementsAre("scheduling.instances.create", "scheduling.instances.update", "scheduling.instances.delete"));
  for (const Entry& entry : entries) {
    EXPECT_EQ(entry.actor, kActor);
    EXPECT_EQ(entry.resource, instance.name);
    EXPECT_EQ(entry.trace_id.size(), 32u);
  }
  EXPECT_THAT(entries[0].details, Contains(Detail{"isolation_class", "isolated"}));
  EXPECT_THAT(entries[0].details, Contains(Detail{"replicas", "1"}));
  EXPECT_THAT(entries[1].details, ElementsAre(Detail{"generation", "2"}, Detail{"replicas", "2"}));
}

TEST(BillingAudit, EachChangeOfAnAccountLeavesOneEntry) {
  TestDatabase database("billing");
  PgPool pool(database.app_config());
  billing::PgStore store(pool);
  const Time now = Time(std::chrono::seconds(1'800'000'000));
  billing::SetAccountCommand command{
      .tenant = kKenya, .tenant_name = "tenants/ke", .currency_code = "KES", .credit_limit = Amount::FromPico(5)};
  {
    const CallScope scope(Deadline::None(), Trace::New(), Actor{"operator", "", ""});
    ASSERT_TRUE(store.SetBillingAccount(command, now));
    ASSERT_TRUE(store.SetBillingAccount(command, now)) << "as it is";
    billing::SetAccountCommand other = command;
    other.currency_code = "TZS";
    EXPECT_FALSE(store.SetBillingAccount(other, now));
    command.credit_limit = Amount::FromPico(2'500'000'000'000);
    command.request = Request("set");
    ASSERT_TRUE(store.SetBillingAccount(command, now));
    ASSERT_TRUE(store.SetBillingAccount(command, now)) << "repeated";
  }
  const auto entries = LogOf(pool, "billing");
  ASSERT_THAT(Actions(entries), ElementsAre("billing.billingAccounts.set", "billing.billingAccounts.set"));
  for (const Entry& entry : entries) {
    EXPECT_EQ(entry.actor.kind, "operator");
    EXPECT_EQ(entry.resource, "tenants/ke/billingAccount");
  }
  EXPECT_THAT(entries[1].details, ElementsAre(Detail{"currency_code", "KES"}, Detail{"credit_limit", "2.5"}));
}

}  // namespace
}  // namespace allod::changes_audit_test
