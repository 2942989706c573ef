// The end of a tenant in tenancy's database: what goes, what stays, and who comes first.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "services/common/audit/pg_log.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/pg_store_identity.h"
#include "services/tenancy/pg_store_members.h"
#include "services/tenancy/pg_store_purge.h"
#include "services/tenancy/pg_store_roles.h"
#include "services/tenancy/pg_store_sessions.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::tenancy::tenant_purge_test {
namespace {

using namespace std::chrono_literals;

class TenantPurge : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"ke", "ug"}) Furnish(id);
  }
  // One of each kind, and something of each kind in the audit log.
  void Furnish(const std::string& id) {
    ASSERT_TRUE(tenants_.CreateTenant({id, "Republic of " + id, "KES", {id}, TenantState::kActive, clock_.Now()}, {}));
    ASSERT_TRUE(
        tenants_.CreateProject({id, "desk", "Desk", clock_.Now()}, *MakeRequestId(Uuid::V7().ToString(), "t", "p")));
    for (int i = 0; i < 3; ++i) {
      ApiKey key{id,
                 "desk",
                 id + std::string(9, 'k') + static_cast<char>('a' + i),
                 "Njeri's",
                 {Scope::kInference},
                 {},
                 {},
                 clock_.Now(),
                 std::nullopt};
      key.digest = DigestApiKeySecret("pepper", key.kid);
      ASSERT_TRUE(tenants_.CreateApiKey(key, {}));
    }
    IdentityProvider provider{.tenant = id,
                              .id = "corp",
                              .display_name = "Accounts",
                              .issuer = "https://corp.example",
                              .audiences = {"allod"},
                              .create_time = clock_.Now()};
    provider.sign_in = SignIn{.client_id = "allod"};
    ASSERT_TRUE(identities_.CreateProvider(provider, {}));
    ASSERT_TRUE(identities_.CreateRule({.tenant = id,
                                        .project = "desk",
                                        .id = "main",
                                        .uid = Uuid::V7(),
                                        .display_name = "Main",
                                        .provider = "corp",
                                        .claims = {{"sub", "main"}},
                                        .scopes = {Scope::kInference},
                                        .token_minutes = 10,
                                        .create_time = clock_.Now()},
                                       {}));
    const auto made = members_.CreateMember({.tenant = id,
                                             .id = "achieng",
                                             .uid = Uuid::V7(),
                                             .display_name = "Achieng",
                                             .provider = "corp",
                                             .claims = {{"email", "achieng@corp.example"}},
                                             .grants = {{"", {Role::ROLE_OWNER}}},
                                             .create_time = clock_.Now()},
                                            {});
    ASSERT_TRUE(made) << made.error().message;
    TenantRole role{.tenant = id, .id = "on-call", .uid = Uuid::V7(), .display_name = "On call"};
    role.permissions = {"scheduling.instances.get"};
    role.create_time = clock_.Now();
    ASSERT_TRUE(roles_.CreateRole(role, {}));
    ASSERT_TRUE(sessions_.BeginSession({.tenant = id,
                                        .id = Uuid::V7(),
                                        .person = {"corp", "s1"},
                                        .display_name = "Achieng",
                                        .members = {"achieng"},
                                        .client_address = "192.0.2.1",
                                        .create_time = clock_.Now(),
                                        .expire_time = clock_.Now() + 1h},
                                       std::string(64, 'a')));
  }
  void Delete(const std::string& id, std::chrono::seconds grace = 1h) {
    const auto deleted =
        tenants_.DeleteTenant(id, {EtagOf(*tenants_.GetTenant(id)), "moved to Njeri", grace, clock_.Now()}, {});
    ASSERT_TRUE(deleted) << deleted.error().message;
  }
  // To the end; how many steps.
  int Purge(const std::string& id, int batch) {
    for (int steps = 1; steps < 100; ++steps) {
      const auto step = purges_.Purge(id, clock_.Now(), batch);
      if (!step) ADD_FAILURE() << step.error().message;
      if (!step || step->state == TenantState::kDeleted) return steps;
    }
    ADD_FAILURE() << "there is no end";
    return 0;
  }
  // Rows of a tenant in each table that has tenants' rows.
  std::map<std::string, int> Rows(const std::string& id) {
    pqxx::connection connection(database_.owner_url);
    pqxx::nontransaction session(connection);
    std::map<std::string, int> out;
    for (const auto& table : session.exec(
             "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON "
             "a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE c.relkind = 'r' AND n.nspname = 'tenancy'")) {
      const auto name = table[0].as<std::string>();
      out[name] = session
                      .exec_params1(fmt::format("SELECT count(*) FROM tenancy.{} WHERE tenant_id = $1", name),
                                    Uuid::FromName("tenants/" + id).ToString())[0]
                      .as<int>();
    }
    return out;
  }
  // Whether the tenant's log is one chain from its beginning to its head, and what of it is about purging.
  std::string Log(const std::string& id, int& entries) {
    const std::string name = "tenants/" + id;
    const audit::PgLog log("tenancy");
    return pool_
        .Run<std::string>({Uuid::FromName(name)},
                          [&](TenantTx& tx) -> Result<std::string> {
                            audit::ChainVerifier verifier(audit::Genesis("tenancy", name));
                            verifier.Expect(log.ReadHead(tx, name));
                            entries = 0;
                            for (const audit::Entry& entry : log.Read(tx, 0, 1000, {}).entries) {
                              ++entries;
                              if (const auto broken = verifier.Add(entry)) return broken->words;
                            }
                            const auto broken = verifier.Finish();
                            return broken ? broken->words : "";
                          })
        .value();
  }

  FakeClock clock_;
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  PgStore tenants_{pool_};
  PgIdentityStore identities_{pool_};
  PgMemberStore members_{pool_};
  PgSessionStore sessions_{pool_};
  PgRoleStore roles_{pool_};
  PgPurgeStore purges_{pool_};
};

TEST_F(TenantPurge, RemovesAllButTheTombstoneAndTheLog) {
  const auto before = Rows("ke");
  for (const auto& [table, rows] : before) EXPECT_GT(rows, 0) << table << ": Furnish() makes nothing of its kind";
  const auto others = Rows("ug");
  Delete("ke");
  EXPECT_TRUE(purges_.DueForPurge(clock_.Now(), "", 10)->empty());
  const auto early = purges_.Purge("ke", clock_.Now(), 1);
  EXPECT_EQ(early->state, TenantState::kDeleting);
  EXPECT_FALSE(early->changed);
  clock_.Advance(1h);
  EXPECT_EQ(*purges_.DueForPurge(clock_.Now(), "", 10), std::vector<std::string>{"ke"});
  EXPECT_TRUE(purges_.DueForPurge(clock_.Now(), "ke", 10)->empty());
  EXPECT_GE(Purge("ke", 1), 12) << "a row in a step";
  EXPECT_TRUE(purges_.DueForPurge(clock_.Now(), "", 10)->empty());
  EXPECT_FALSE(purges_.Purge("ke", clock_.Now(), 1)->changed) << "what is gone stays as it is";
  for (const auto& [table, rows] : Rows("ke")) {
    const bool stays = std::set<std::string>{"tenants", "audit_heads", "audit_entries"}.contains(table);
    EXPECT_EQ(rows > 0, stays) << table << ": tenancy.purge_tenant() has to know of it";
  }
  EXPECT_EQ(Rows("ug"), others);
  int entries = 0;
  EXPECT_EQ(Log("ke", entries), "");
  EXPECT_EQ(entries, before.at("audit_entries") + 3) << "deleted, purging, deleted for good";
  const Tenant tombstone = *tenants_.GetTenant("ke");
  EXPECT_EQ(tombstone.state, TenantState::kDeleted);
  EXPECT_EQ(tombstone.display_name, "ke");
  EXPECT_EQ(tombstone.deletion->reason, "");
  Tenant same{"ke", "ke", "KES", {"ke"}, TenantState::kActive, clock_.Now()};
  EXPECT_EQ(tenants_.CreateTenant(same, {}).error().reason, "TENANT_ID_USED") << "not even the same again";
}

TEST_F(TenantPurge, AChildThatIsGoneGivesItsQuotaBackAndItsParentMayGo) {
  Tenant ke = *tenants_.GetTenant("ke");
  ke.quota.instances = 3;
  ASSERT_TRUE(tenants_.UpdateTenant(ke, EtagOf(ke), {}));
  Tenant child{"ke-a", "A", "KES", {"ke"}, TenantState::kActive, clock_.Now()};
  child.parent = "ke";
  child.quota.instances = 2;
  ASSERT_TRUE(tenants_.CreateTenant(child, {}));
  Delete("ke-a");
  EXPECT_EQ(tenants_.GetTenant("ke")->quota_below.instances, 2) << "it can come back";
  clock_.Advance(1h);
  Purge("ke-a", 100);
  EXPECT_EQ(tenants_.GetTenant("ke")->quota_below.instances, 0);
  EXPECT_TRUE(tenants_.ChildrenOf("ke")->empty());
  EXPECT_EQ(tenants_.CreateTenant(child, {}).error().reason, "TENANT_ID_USED");
  Delete("ke");
}

TEST_F(TenantPurge, ASuspensionAboveHoldsThroughADeletionAndEndsIt) {
  Tenant child{"ke-a", "A", "KES", {"ke"}, TenantState::kActive, clock_.Now()};
  child.parent = "ke";
  ASSERT_TRUE(tenants_.CreateTenant(child, {}));
  Delete("ke-a");
  ASSERT_TRUE(tenants_.SetTenantState("ke", TenantState::kSuspended, "", {}));
  EXPECT_EQ(tenants_.GetTenant("ke-a")->state, TenantState::kDeleting);
  const auto back = tenants_.UndeleteTenant("ke-a", clock_.Now(), {});
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->tenant.state, TenantState::kActive);
  EXPECT_EQ(back->tenant.suspended_by, "ke") << "what is brought back is held by what holds above it now";
  Delete("ke-a");
  ASSERT_TRUE(tenants_.SetTenantState("ke", TenantState::kActive, "", {}));
  EXPECT_EQ(tenants_.GetTenant("ke-a")->suspended_by, "");
  ASSERT_TRUE(tenants_.SetTenantState("ke", TenantState::kSuspended, "", {}));
  clock_.Advance(1h);
  Purge("ke-a", 1);
  ASSERT_TRUE(tenants_.SetTenantState("ke", TenantState::kActive, "", {}));
  EXPECT_EQ(tenants_.GetTenant("ke-a")->state, TenantState::kDeleted) << "nothing above brings it back";
  int entries = 0;
  EXPECT_EQ(Log("ke-a", entries), "");
}

// What is gone asks for nothing of what is above it.
TEST_F(TenantPurge, ATombstoneHoldsNoResidencyOfItsParents) {
  Tenant child{"ke-a", "A", "KES", {"ke"}, TenantState::kActive, clock_.Now()};
  child.parent = "ke";
  ASSERT_TRUE(tenants_.CreateTenant(child, {}));
  Delete("ke-a");
  const auto narrow = [&] {
    Tenant ke = *tenants_.GetTenant("ke");
    ke.residency_rules = {{DataClass::kPrompts, {"tz"}}};
    const auto changed = tenants_.UpdateTenant(ke, EtagOf(ke), {});
    return changed ? "" : changed.error().reason;
  };
  EXPECT_EQ(narrow(), "CHILD_OUTSIDE") << "it can come back";
  clock_.Advance(1h);
  ASSERT_EQ(purges_.Purge("ke-a", clock_.Now(), 1)->state, TenantState::kPurging);
  EXPECT_EQ(narrow(), "CHILD_OUTSIDE") << "something of it may be left";
  Purge("ke-a", 100);
  EXPECT_EQ(narrow(), "");
}

TEST_F(TenantPurge, NothingIsMadeOnceItsGraceIsOver) {
  Delete("ke");
  EXPECT_TRUE(tenants_.CreateProject({"ke", "lab", "Lab", clock_.Now()}, {})) << "as of a suspended tenant";
  clock_.Advance(1h);
  ASSERT_EQ(purges_.Purge("ke", clock_.Now(), 1)->state, TenantState::kPurging);
  const auto why = [](const auto& result) { return result ? "" : result.error().reason; };
  EXPECT_EQ(why(tenants_.UndeleteTenant("ke", clock_.Now(), {})), "TENANT_DELETED");
  EXPECT_EQ(why(tenants_.CreateProject({"ke", "shop", "Shop", clock_.Now()}, {})), "TENANT_DELETED");
  ApiKey key{"ke", "desk", std::string(12, 'x'), "", {Scope::kInference}, {}, {}, clock_.Now(), std::nullopt};
  EXPECT_EQ(why(tenants_.CreateApiKey(key, {})), "TENANT_DELETED");
  EXPECT_EQ(why(identities_.CreateProvider({.tenant = "ke",
                                            .id = "x",
                                            .display_name = "X",
                                            .issuer = "https://x.example",
                                            .audiences = {"a"},
                                            .create_time = clock_.Now()},
                                           {})),
            "TENANT_DELETED");
  TenantRole role{.tenant = "ke", .id = "x", .uid = Uuid::V7(), .display_name = "X"};
  role.permissions = {"scheduling.instances.get"};
  role.create_time = clock_.Now();
  EXPECT_EQ(why(roles_.CreateRole(role, {})), "TENANT_DELETED");
  EXPECT_EQ(why(roles_.DeleteRole("ke", "on-call", Roles{Role::ROLE_OWNER}, {})), "TENANT_DELETED");
  EXPECT_EQ(why(sessions_.EndSessions("ke", {"corp", "s1"}, clock_.Now())), "TENANT_DELETED");
  EXPECT_EQ(why(tenants_.UpdateTenant(*tenants_.GetTenant("ke"), EtagOf(*tenants_.GetTenant("ke")), {})),
            "TENANT_DELETED");
}

TEST_F(TenantPurge, NothingIsBroughtBackFromThePurgeTimeOn) {
  Delete("ke");
  const Time purge_time = tenants_.GetTenant("ke")->deletion->purge_time;
  const auto late = tenants_.UndeleteTenant("ke", purge_time, {});
  ASSERT_FALSE(late) << "the purger has not come to it";
  EXPECT_EQ(late.error().reason, "TENANT_DELETED");
  EXPECT_EQ(tenants_.GetTenant("ke")->state, TenantState::kDeleting);
  EXPECT_TRUE(tenants_.UndeleteTenant("ke", purge_time - 1us, {}));
}

TEST_F(TenantPurge, TheServicesRoleRemovesNothingOfATenantThatGoesOn) {
  Delete("ke");
  for (const char* id : {"ke", "ug"}) {
    const auto purged = pool_.Run<int>({Uuid::FromName(std::string("tenants/") + id)}, [](TenantTx& tx) -> Result<int> {
      tx.Exec("SELECT tenancy.purge_tenant(1000)");
      return 0;
    });
    EXPECT_FALSE(purged) << id;
    const auto deleted =
        pool_.Run<int>({Uuid::FromName(std::string("tenants/") + id)}, [](TenantTx& tx) -> Result<int> {
          tx.Exec("DELETE FROM tenancy.api_keys");
          return 0;
        });
    EXPECT_FALSE(deleted) << id;
    EXPECT_EQ(Rows(id).at("api_keys"), 3);
  }
}

// Whoever has the row's lock first decides: all is there and goes on, or nothing can be brought back.
TEST_F(TenantPurge, AnUndeleteAndThePurgerNeverBothWin) {
  int kept = 0, gone = 0;
  for (int round = 0; round < 40; ++round) {
    const std::string id = fmt::format("t{}", round);
    ASSERT_TRUE(tenants_.CreateTenant({id, id, "KES", {"ke"}, TenantState::kActive, clock_.Now()}, {}));
    ASSERT_TRUE(tenants_.CreateProject({id, "desk", "Desk", clock_.Now()}, {}));
    Delete(id);
    // By the purger's clock its grace is over, and not yet by that of who brings it back.
    const Time before = clock_.Now(), after = before + 1h;
    Result<TenantStateChange> back = NotFound("");
    {
      std::jthread purger([&] {
        for (int i = 0; i < 5; ++i) (void)purges_.Purge(id, after, 100);
      });
      if (round % 2 == 0) std::this_thread::yield();
      back = tenants_.UndeleteTenant(id, before, {});
    }
    if (back) {
      ++kept;
      EXPECT_EQ(tenants_.GetTenant(id)->state, TenantState::kActive);
      EXPECT_TRUE(tenants_.GetProject(id, "desk")) << id;
    } else {
      ++gone;
      EXPECT_EQ(back.error().reason, "TENANT_DELETED");
      EXPECT_EQ(tenants_.GetTenant(id)->state, TenantState::kDeleted);
      EXPECT_FALSE(tenants_.GetProject(id, "desk"));
    }
  }
  EXPECT_EQ(kept + gone, 40);
}

}  // namespace
}  // namespace allod::tenancy::tenant_purge_test
