// What the suites of identity providers, members, sessions and custom roles run on: the stores in memory, and those in
// PostgreSQL as the app role. Tenants ke (projects desk and lab) and ug (desk).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "services/common/pg/pool.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/pg_store_identity.h"
#include "services/tenancy/pg_store_members.h"
#include "services/tenancy/pg_store_roles.h"
#include "services/tenancy/pg_store_sessions.h"
#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::tenancy::identity_store_harness {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Store& tenants() = 0;
  virtual IdentityStore& identities() = 0;
  virtual MemberStore& members() = 0;
  virtual SessionStore& sessions() = 0;
  virtual RoleStore& roles() = 0;
  virtual void Suspend(const std::string& tenant) = 0;
};

class FakeBackend final : public Backend {
 public:
  Store& tenants() override { return tenants_; }
  IdentityStore& identities() override { return store_; }
  MemberStore& members() override { return store_; }
  SessionStore& sessions() override { return store_; }
  RoleStore& roles() override { return store_; }
  void Suspend(const std::string& tenant) override {
    tenants_.Suspend(tenant);
    store_.StateChanged(tenant);
  }

 private:
  FakeStore tenants_;
  FakeIdentityStore store_{tenants_};
};

class PgBackend final : public Backend {
 public:
  Store& tenants() override { return tenants_; }
  IdentityStore& identities() override { return identities_; }
  MemberStore& members() override { return members_; }
  SessionStore& sessions() override { return sessions_; }
  RoleStore& roles() override { return roles_; }
  void Suspend(const std::string& tenant) override {
    AsOwner("", "UPDATE tenancy.tenants SET state = 'SUSPENDED' WHERE id = '" + tenant + "'");
  }
  // As the superuser, with the tenant whose rows are seen.
  pqxx::result AsOwner(const std::string& tenant, const std::string& statement) {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params("SELECT set_config('allod.tenant', $1, true)", Uuid::FromName("tenants/" + tenant).ToString());
    const pqxx::result rows = work.exec(statement);
    work.commit();
    return rows;
  }

 private:
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  PgStore tenants_{pool_};
  PgIdentityStore identities_{pool_};
  PgMemberStore members_{pool_};
  PgSessionStore sessions_{pool_};
  PgRoleStore roles_{pool_};
};

inline RequestId Request(std::string_view payload, const Uuid& id = Uuid::V7()) {
  return *MakeRequestId(id.ToString(), "test", payload);
}

class IdentityStores : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Fake") {
      backend_ = std::make_unique<FakeBackend>();
    } else {
      backend_ = std::make_unique<PgBackend>();
    }
    for (const char* id : {"ke", "ug"}) {
      ASSERT_TRUE(backend_->tenants().CreateTenant({id, id, "KES", {id}, TenantState::kActive, clock_.Now()}, {}));
      ASSERT_TRUE(backend_->tenants().CreateProject({id, "desk", "Desk", clock_.Now()}, {}));
    }
    ASSERT_TRUE(backend_->tenants().CreateProject({"ke", "lab", "Lab", clock_.Now()}, {}));
  }
  IdentityStore& identities() { return backend_->identities(); }
  MemberStore& members() { return backend_->members(); }
  SessionStore& sessions() { return backend_->sessions(); }
  RoleStore& roles() { return backend_->roles(); }
  // Nothing where the store has no rows.
  PgBackend* postgres() { return dynamic_cast<PgBackend*>(backend_.get()); }

  // One with which people sign in.
  IdentityProvider SignInProvider(const std::string& id = "corp", const std::string& tenant = "ke") const {
    IdentityProvider out{.tenant = tenant,
                         .id = id,
                         .display_name = "Accounts of " + id,
                         .issuer = "https://" + id + ".example",
                         .create_time = clock_.Now()};
    out.sign_in = SignIn{.client_id = "allod {\"x\"}", .scopes = {"profile", "groups"}, .sealed_secret = "c2VhbGVk"};
    return out;
  }
  Member NewMember(const std::string& id = "achieng", std::vector<RoleGrant> grants = {{"", {Role::ROLE_OWNER}}},
                   const std::string& tenant = "ke") const {
    return {.tenant = tenant,
            .id = id,
            .uid = Uuid::V7(),
            .display_name = "Achieng — " + id,
            .provider = "corp",
            .claims = {{"email", id + "@ke.example"}, {"groups", "a,b{\"c\"}\\", ClaimComparison::kContains}},
            .grants = std::move(grants),
            .create_time = clock_.Now()};
  }
  template <typename T>
  static std::string Why(const Result<T>& result) {
    return result ? "" : result.error().reason;
  }
  std::int64_t VersionOf(const std::string& tenant) {
    const auto versions = identities().IdentityVersions(0, 100);
    for (const auto& version : versions.value()) {
      if (version.tenant == tenant) return version.version;
    }
    return 0;
  }

  FakeClock clock_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace allod::tenancy::identity_store_harness
