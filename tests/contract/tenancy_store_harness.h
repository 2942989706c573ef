// The stores of services/tenancy/store.h for their contract tests: the fake, and PostgreSQL as the app role.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/common/pg/pool.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::tenancy {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Store& store() = 0;
  virtual void Suspend(const std::string& tenant) = 0;
  // Its row changes to one that cannot be read.
  virtual void SpoilTenant(const std::string& tenant) = 0;
  // So many valid keys in a project, in no time.
  virtual void FillWithKeys(const std::string& tenant, const std::string& project, int count) = 0;
};

// A kid of twelve letters.
inline std::string NumberedKid(char family, int number) {
  std::string out(12, family);
  for (std::size_t at = 11; number > 0; --at, number /= 26) out[at] = static_cast<char>('a' + number % 26);
  return out;
}

class FakeBackend final : public Backend {
 public:
  Store& store() override { return store_; }
  void Suspend(const std::string& tenant) override { store_.Suspend(tenant); }
  void SpoilTenant(const std::string& tenant) override { store_.SpoilTenant(tenant); }
  void FillWithKeys(const std::string& tenant, const std::string& project, int count) override {
    store_.FillWithKeys(tenant, project, count);
  }

 private:
  FakeStore store_;
};

class PgBackend final : public Backend {
 public:
  Store& store() override { return store_; }
  void Suspend(const std::string& tenant) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params("UPDATE tenancy.tenants SET state = 'SUSPENDED' WHERE id = $1", tenant);
    work.commit();
  }
  void SpoilTenant(const std::string& tenant) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec0("ALTER TABLE tenancy.tenants DROP CONSTRAINT tenants_state_check");
    work.exec_params("UPDATE tenancy.tenants SET state = 'ODD' WHERE id = $1", tenant);
    work.commit();
  }
  void FillWithKeys(const std::string& tenant, const std::string& project, int count) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params("SELECT set_config('allod.tenant', $1, true)", Uuid::FromName("tenants/" + tenant).ToString());
    work.exec_params(
        "INSERT INTO tenancy.api_keys (tenant_id, kid, project_id, display_name, scopes, roles, digest, create_time) "
        "SELECT $1::uuid, translate(substr(md5($2::text || n::text), 1, 12), '0189', 'ghij'), $2::text, '', "
        "'{PORTAL}', '{admin}', "
        "sha256(n::text::bytea), now() FROM generate_series(1, $3::int) AS n",
        Uuid::FromName("tenants/" + tenant).ToString(), project, count);
    work.commit();
  }
  TestDatabase& database() { return database_; }
  PgPool& pool() { return pool_; }

 private:
  TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
};

inline RequestId Request(std::string_view payload, const Uuid& id = Uuid::V7()) {
  return *MakeRequestId(id.ToString(), "test", payload);
}

class TenancyStore : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Fake") {
      backend_ = std::make_unique<FakeBackend>();
    } else {
      backend_ = std::make_unique<PgBackend>();
    }
    ASSERT_TRUE(store().CreateTenant(Kenya(), {}));
    ASSERT_TRUE(store().CreateTenant(Uganda(), {}));
    ASSERT_TRUE(store().CreateProject(Desk(), {}));
  }
  Store& store() { return backend_->store(); }

  Tenant Kenya() const { return {"ke", "Kenya — Jamhuri", "KES", {"ke", "rw"}, TenantState::kActive, clock_.Now()}; }
  Tenant Uganda() const { return {"ug", "Uganda", "UGX", {"ug"}, TenantState::kActive, clock_.Now()}; }
  Project Desk() const { return {"ke", "desk", "Service desk", clock_.Now()}; }
  ApiKey Key(const std::string& kid) const {
    ApiKey key{"ke", "desk", kid, "phone app", {Scope::kInference}, {}, {}, clock_.Now(), std::nullopt};
    key.digest = DigestApiKeySecret("pepper", kid);
    return key;
  }
  KeyRotation Rotation(const std::string& kid, const std::string& successor, std::chrono::microseconds overlap) const {
    return {"ke", "desk", kid, overlap, std::nullopt, successor, DigestApiKeySecret("pepper", successor), clock_.Now()};
  }
  static std::vector<IpRange> Ranges(const std::vector<std::string>& texts) {
    return ParseIpRanges("ranges", texts, 32).value();
  }
  // Of ke's project desk, which has few.
  ApiKey Stored(const std::string& kid) {
    PageRequest page{"k", 1000, ""};
    for (bool more = true; more;) {
      const auto keys = store().ListApiKeys("ke", "desk", page);
      for (const ApiKey& key : keys.value().items) {
        if (key.kid == kid) return key;
        page.after = key.kid;
      }
      more = !keys->next_page_token.empty();
    }
    ADD_FAILURE() << "there is no key " << kid;
    return {};
  }
  std::int64_t KeysVersion(const std::string& tenant) {
    const auto versions = store().KeysVersions(0, 100);
    for (const TenantKeysVersion& version : versions.value()) {
      if (version.tenant == tenant) return version.version;
    }
    return 0;
  }

  FakeClock clock_;
  std::unique_ptr<Backend> backend_;
};

inline auto EveryStore() { return testing::Values("Fake", "PostgreSQL"); }
inline std::string StoreName(const testing::TestParamInfo<std::string>& store) { return store.param; }

inline constexpr char kKid[] = "abcdefghijkl";
inline constexpr char kOtherKid[] = "mnopqrstuvwx";

}  // namespace allod::tenancy
