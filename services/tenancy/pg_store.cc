#include "services/tenancy/pg_store.h"

#include <fmt/format.h>

#include "services/common/digest.h"

namespace allod::tenancy {
namespace {

// Times cross into SQL as microseconds since 1970, which is what PostgreSQL resolves.
#define MICROS(column) "(extract(epoch FROM " column ") * 1000000)::bigint"
#define FROM_MICROS(parameter) "(timestamptz 'epoch' + " parameter "::bigint * interval '1 microsecond')"

constexpr char kTenantColumns[] =
    "id, display_name, currency_code, array_to_string(residency, ','), state, " MICROS("create_time");
constexpr char kKeyColumns[] =
    "project_id, kid, display_name, array_to_string(scopes, ','), encode(digest, 'hex'), " MICROS(
        "create_time") ", " MICROS("revoke_time");

std::int64_t Micros(Time t) {
  return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch()).count();
}

Time FromMicros(std::int64_t us) { return Time(std::chrono::microseconds(us)); }

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string ArrayText(const std::vector<std::string>& words) { return fmt::format("{{{}}}", fmt::join(words, ",")); }

TenantId KeyOf(const std::string& tenant) { return {Uuid::FromName("tenants/" + tenant)}; }

Tenant TenantFromRow(const pqxx::row& row) {
  return {row[0].as<std::string>(),
          row[1].as<std::string>(),
          row[2].as<std::string>(),
          Split(row[3].as<std::string>()),
          row[4].as<std::string>() == "ACTIVE" ? TenantState::kActive : TenantState::kSuspended,
          FromMicros(row[5].as<std::int64_t>())};
}

Project ProjectFromRow(const std::string& tenant, const pqxx::row& row) {
  return {tenant, row[0].as<std::string>(), row[1].as<std::string>(), FromMicros(row[2].as<std::int64_t>())};
}

ApiKey KeyFromRow(const std::string& tenant, const pqxx::row& row) {
  ApiKey key;
  key.tenant = tenant;
  key.project = row[0].as<std::string>();
  key.kid = row[1].as<std::string>();
  key.display_name = row[2].as<std::string>();
  for (const std::string& scope : Split(row[3].as<std::string>())) {
    key.scopes.insert(scope == "INFERENCE" ? Scope::kInference : Scope::kPortal);
  }
  const std::string hex = row[4].as<std::string>();
  for (std::size_t i = 0; i < key.digest.size(); ++i) {
    key.digest[i] = static_cast<std::uint8_t>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  }
  key.create_time = FromMicros(row[5].as<std::int64_t>());
  if (!row[6].is_null()) key.revoke_time = FromMicros(row[6].as<std::int64_t>());
  return key;
}

std::string ScopesText(const std::set<Scope>& scopes) {
  std::vector<std::string> words;
  for (const Scope scope : scopes) words.push_back(scope == Scope::kInference ? "INFERENCE" : "PORTAL");
  return ArrayText(words);
}

// After a commit whose outcome is unknown: these transactions return what is there when they run again, so running them
// again is the look-up.
template <typename T, typename Tx>
Result<T> RunAgain(Tx&) {
  return NotFound("not looked up");
}

// Takes the request id for `resource`; a concurrent twin waits here for the first to commit. Gives the resource of the
// earlier request with the same id and payload, if there was one.
Result<std::optional<std::string>> ClaimRequest(TenantTx& tx, const RequestId& request, const std::string& resource) {
  if (!request.given()) return std::nullopt;
  const auto claimed = tx.Exec(
      "INSERT INTO tenancy.request_ids (tenant_id, request_id, payload_sha256, resource_id) VALUES ($1, $2, $3, $4) "
      "ON CONFLICT DO NOTHING",
      tx.tenant().ToString(), request.id.ToString(), request.payload_sha256, resource);
  if (claimed.affected_rows() == 1) return std::nullopt;
  const auto rows =
      tx.Exec("SELECT payload_sha256, resource_id FROM tenancy.request_ids WHERE tenant_id = $1 AND request_id = $2",
              tx.tenant().ToString(), request.id.ToString());
  if (rows.empty()) return Internal("a request id vanished");
  ALLOD_CHECK_OK(CheckSamePayload(request, rows[0][0].as<std::string>()));
  return rows[0][1].as<std::string>();
}

enum class RowLock { kNone, kUntilCommit };

// Locked, it puts the counts that limits are checked against in order.
Status RequireTenantRow(PgTx& tx, const std::string& tenant, RowLock lock = RowLock::kNone) {
  const auto rows = tx.Exec(fmt::format("SELECT 1 FROM tenancy.tenants WHERE tenant_id = $1{}",
                                        lock == RowLock::kUntilCommit ? " FOR NO KEY UPDATE" : ""),
                            KeyOf(tenant).ToString());
  if (rows.empty()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  return {};
}

Status RequireProjectRow(TenantTx& tx, const std::string& tenant, const std::string& project) {
  const auto rows =
      tx.Exec("SELECT 1 FROM tenancy.projects WHERE tenant_id = $1 AND id = $2", tx.tenant().ToString(), project);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  return {};
}

Result<Project> ReadProject(TenantTx& tx, const std::string& tenant, const std::string& project) {
  const auto rows = tx.Exec("SELECT id, display_name, " MICROS("create_time") " FROM tenancy.projects "
                            "WHERE tenant_id = $1 AND id = $2",
                            tx.tenant().ToString(), project);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  return ProjectFromRow(tenant, rows[0]);
}

// A key as it stands, and the version of the keys that it has been so since.
Result<ApiKeyCreation> ReadKey(TenantTx& tx, const std::string& tenant, const std::string& kid, bool created) {
  const auto rows = tx.Exec(
      fmt::format("SELECT {}, change_version FROM tenancy.api_keys WHERE tenant_id = $1 AND kid = $2", kKeyColumns),
      tx.tenant().ToString(), kid);
  if (rows.empty()) return NotFound(fmt::format("API key {} of tenants/{} does not exist", kid, tenant));
  return ApiKeyCreation{KeyFromRow(tenant, rows[0]), created, rows[0][7].as<std::int64_t>()};
}

// The version of what this transaction does to keys. Holds the tenant's row and the clock's until the commit.
Result<std::int64_t> NextKeysVersion(TenantTx& tx) {
  // A trigger puts the clock's next version in.
  const auto rows =
      tx.Exec("UPDATE tenancy.tenants SET keys_version = keys_version WHERE tenant_id = $1 RETURNING keys_version",
              tx.tenant().ToString());
  if (rows.empty()) return Internal("a tenant vanished");
  return rows[0][0].as<std::int64_t>();
}

Result<std::vector<ApiKey>> ReadKeys(TenantTx& tx, const std::string& tenant, const std::string& condition,
                                     std::int64_t after) {
  std::vector<ApiKey> out;
  const auto rows = tx.Exec(
      fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND change_version > $2 AND {} ORDER BY kid",
                  kKeyColumns, condition),
      tx.tenant().ToString(), after);
  for (const auto& row : rows) out.push_back(KeyFromRow(tenant, row));
  return out;
}

}  // namespace

Result<Tenant> PgStore::CreateTenant(const Tenant& tenant, const RequestId& request) {
  return pool_.Run<Tenant>(
      [&](GlobalTx& tx) -> Result<Tenant> {
        if (request.given()) {
          tx.Exec(
              "INSERT INTO tenancy.operator_request_ids (request_id, payload_sha256, resource_id) VALUES ($1, $2, $3) "
              "ON CONFLICT DO NOTHING",
              request.id.ToString(), request.payload_sha256, tenant.id);
          const auto rows = tx.Exec("SELECT payload_sha256 FROM tenancy.operator_request_ids WHERE request_id = $1",
                                    request.id.ToString());
          if (rows.empty()) return Internal("a request id vanished");
          ALLOD_CHECK_OK(CheckSamePayload(request, rows[0][0].as<std::string>()));
        }
        tx.Exec(
            "INSERT INTO tenancy.tenants (tenant_id, id, display_name, currency_code, residency, create_time) "
            "VALUES ($1, $2, $3, $4, $5::text[], " FROM_MICROS("$6") ") ON CONFLICT DO NOTHING",
            tenant.uid().ToString(), tenant.id, tenant.display_name, tenant.currency_code, ArrayText(tenant.residency),
            Micros(tenant.create_time));
        const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE tenant_id = $1", kTenantColumns),
                                  tenant.uid().ToString());
        if (rows.empty()) return Internal("a tenant vanished");
        Tenant stored = TenantFromRow(rows[0]);
        if (!SameContent(stored, tenant)) return std::unexpected(TakenByOtherContent(tenant.name()));
        return stored;
      },
      RunAgain<Tenant, GlobalTx>);
}

Result<Tenant> PgStore::GetTenant(const std::string& tenant) {
  return pool_.Run<Tenant>([&](GlobalTx& tx) -> Result<Tenant> {
    const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE id = $1", kTenantColumns), tenant);
    if (rows.empty()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
    return TenantFromRow(rows[0]);
  });
}

Result<Page<Tenant>> PgStore::ListTenants(const PageRequest& page) {
  return pool_.Run<Page<Tenant>>([&](GlobalTx& tx) -> Result<Page<Tenant>> {
    std::vector<Tenant> items;
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE id > $1 ORDER BY id LIMIT $2", kTenantColumns),
                page.after, page.size + 1);
    for (const auto& row : rows) items.push_back(TenantFromRow(row));
    return MakePage(page, std::move(items), [](const Tenant& t) { return t.id; });
  });
}

Result<Project> PgStore::CreateProject(const Project& project, const RequestId& request) {
  return pool_.Run<Project>(
      KeyOf(project.tenant),
      [&](TenantTx& tx) -> Result<Project> {
        ALLOD_CHECK_OK(RequireTenantRow(tx, project.tenant, RowLock::kUntilCommit));
        ALLOD_CHECK_OK(ClaimRequest(tx, request, project.id));
        const auto others =
            tx.Exec("SELECT count(*) FROM tenancy.projects WHERE tenant_id = $1 HAVING bool_and(id <> $2)",
                    tx.tenant().ToString(), project.id);
        // No row: it is there already, or it is the first.
        if (!others.empty()) ALLOD_CHECK_OK(RoomForProject(project, others[0][0].as<std::int64_t>()));
        tx.Exec(
            "INSERT INTO tenancy.projects (tenant_id, id, display_name, create_time) "
            "VALUES ($1, $2, $3, " FROM_MICROS("$4") ") ON CONFLICT DO NOTHING",
            tx.tenant().ToString(), project.id, project.display_name, Micros(project.create_time));
        ALLOD_TRY(Project stored, ReadProject(tx, project.tenant, project.id));
        if (!SameContent(stored, project)) return std::unexpected(TakenByOtherContent(project.name()));
        return stored;
      },
      RunAgain<Project, TenantTx>);
}

Result<Project> PgStore::GetProject(const std::string& tenant, const std::string& project) {
  return pool_.Run<Project>(KeyOf(tenant), [&](TenantTx& tx) { return ReadProject(tx, tenant, project); });
}

Result<Page<Project>> PgStore::ListProjects(const std::string& tenant, const PageRequest& page) {
  return pool_.Run<Page<Project>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<Project>> {
    ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
    std::vector<Project> items;
    const auto rows = tx.Exec("SELECT id, display_name, " MICROS("create_time") " FROM tenancy.projects "
                              "WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                              tx.tenant().ToString(), page.after, page.size + 1);
    for (const auto& row : rows) items.push_back(ProjectFromRow(tenant, row));
    return MakePage(page, std::move(items), [](const Project& p) { return p.id; });
  });
}

Result<ApiKeyCreation> PgStore::CreateApiKey(const ApiKey& key, const RequestId& request) {
  return pool_.Run<ApiKeyCreation>(
      KeyOf(key.tenant),
      [&](TenantTx& tx) -> Result<ApiKeyCreation> {
        ALLOD_CHECK_OK(RequireProjectRow(tx, key.tenant, key.project));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, request, key.kid));
        if (earlier) return ReadKey(tx, key.tenant, *earlier, false);
        // The locks are held while the keys are counted.
        ALLOD_TRY(const std::int64_t version, NextKeysVersion(tx));
        const auto count = tx.Exec(
            "SELECT count(*) FILTER (WHERE project_id = $2), count(*) FROM tenancy.api_keys "
            "WHERE tenant_id = $1 AND revoke_time IS NULL",
            tx.tenant().ToString(), key.project);
        ALLOD_CHECK_OK(RoomForApiKey(key, count[0][0].as<std::int64_t>(), count[0][1].as<std::int64_t>()));
        tx.Exec(
            "INSERT INTO tenancy.api_keys (tenant_id, kid, project_id, display_name, scopes, digest, create_time, "
            "change_version) VALUES ($1, $2, $3, $4, $5::text[], decode($6, 'hex'), " FROM_MICROS("$7") ", $8)",
            tx.tenant().ToString(), key.kid, key.project, key.display_name, ScopesText(key.scopes), ToHex(key.digest),
            Micros(key.create_time), version);
        return ReadKey(tx, key.tenant, key.kid, true);
      },
      [&](TenantTx& tx) { return ReadKey(tx, key.tenant, key.kid, true); });
}

Result<Page<ApiKey>> PgStore::ListApiKeys(const std::string& tenant, const std::string& project,
                                          const PageRequest& page) {
  return pool_.Run<Page<ApiKey>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<ApiKey>> {
    ALLOD_CHECK_OK(RequireProjectRow(tx, tenant, project));
    std::vector<ApiKey> items;
    const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND project_id = $2 "
                                          "AND kid > $3 ORDER BY kid LIMIT $4",
                                          kKeyColumns),
                              tx.tenant().ToString(), project, page.after, page.size + 1);
    for (const auto& row : rows) items.push_back(KeyFromRow(tenant, row));
    return MakePage(page, std::move(items), [](const ApiKey& k) { return k.kid; });
  });
}

Result<std::int64_t> PgStore::RevokeApiKey(const std::string& tenant, const std::string& project,
                                           const std::string& kid, Time now) {
  return pool_.Run<std::int64_t>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<std::int64_t> {
        const auto key = ReadKey(tx, tenant, kid, false);
        if (!key || key->key.project != project) {
          return NotFound(fmt::format("tenants/{}/projects/{}/apiKeys/{} does not exist", tenant, project, kid));
        }
        if (key->key.revoke_time) return key->version;
        ALLOD_TRY(const std::int64_t version, NextKeysVersion(tx));
        const auto update = tx.Exec("UPDATE tenancy.api_keys SET change_version = $3, revoke_time = " FROM_MICROS(
                                        "$4") " WHERE tenant_id = $1 AND kid = $2 AND revoke_time IS NULL",
                                    tx.tenant().ToString(), kid, version, Micros(now));
        if (update.affected_rows() == 1) return version;
        // Somebody else did while this waited for the lock.
        ALLOD_TRY(const ApiKeyCreation revoked, ReadKey(tx, tenant, kid, false));
        return revoked.version;
      },
      RunAgain<std::int64_t, TenantTx>);
}

Result<std::vector<TenantKeysVersion>> PgStore::KeysVersions(std::int64_t after, int limit) {
  return pool_.Run<std::vector<TenantKeysVersion>>([&](GlobalTx& tx) -> Result<std::vector<TenantKeysVersion>> {
    std::vector<TenantKeysVersion> out;
    const auto rows = tx.Exec(
        "SELECT id, currency_code, state = 'ACTIVE', keys_version FROM tenancy.tenants "
        "WHERE keys_version > 0 AND keys_version > $1 ORDER BY keys_version LIMIT $2",
        after, limit);
    for (const auto& row : rows) {
      out.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<bool>(), row[3].as<std::int64_t>()});
    }
    return out;
  });
}

Result<std::vector<ApiKey>> PgStore::ValidKeys(const std::string& tenant) {
  return pool_.Run<std::vector<ApiKey>>(KeyOf(tenant),
                                        [&](TenantTx& tx) { return ReadKeys(tx, tenant, "revoke_time IS NULL", -1); });
}

Result<std::vector<ApiKey>> PgStore::KeysChanged(const std::string& tenant, std::int64_t after) {
  return pool_.Run<std::vector<ApiKey>>(KeyOf(tenant),
                                        [&](TenantTx& tx) { return ReadKeys(tx, tenant, "true", after); });
}

}  // namespace allod::tenancy
