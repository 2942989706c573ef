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

Status RequireTenantRow(PgTx& tx, const std::string& tenant) {
  const auto rows = tx.Exec("SELECT 1 FROM tenancy.tenants WHERE tenant_id = $1", KeyOf(tenant).ToString());
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

Result<ApiKey> ReadKey(TenantTx& tx, const std::string& tenant, const std::string& kid) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND kid = $2", kKeyColumns),
              tx.tenant().ToString(), kid);
  if (rows.empty()) return NotFound(fmt::format("API key {} of tenants/{} does not exist", kid, tenant));
  return KeyFromRow(tenant, rows[0]);
}

Status BumpKeysVersion(TenantTx& tx) {
  tx.Exec("UPDATE tenancy.tenants SET keys_version = keys_version + 1 WHERE tenant_id = $1", tx.tenant().ToString());
  return {};
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
        ALLOD_CHECK_OK(RequireTenantRow(tx, project.tenant));
        ALLOD_CHECK_OK(ClaimRequest(tx, request, project.id));
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
        if (earlier) {
          ALLOD_TRY(ApiKey stored, ReadKey(tx, key.tenant, *earlier));
          return ApiKeyCreation{std::move(stored), false};
        }
        ALLOD_CHECK_OK(BumpKeysVersion(tx));  // first, so that the tenant's row serialises the count below
        const auto count = tx.Exec("SELECT count(*) FROM tenancy.api_keys WHERE tenant_id = $1 AND project_id = $2",
                                   tx.tenant().ToString(), key.project);
        if (count[0][0].as<int>() >= kApiKeysPerProjectMax) return std::unexpected(TooManyApiKeys(key));
        tx.Exec(
            "INSERT INTO tenancy.api_keys (tenant_id, kid, project_id, display_name, scopes, digest, create_time) "
            "VALUES ($1, $2, $3, $4, $5::text[], decode($6, 'hex'), " FROM_MICROS("$7") ")",
            tx.tenant().ToString(), key.kid, key.project, key.display_name, ScopesText(key.scopes), ToHex(key.digest),
            Micros(key.create_time));
        ALLOD_TRY(ApiKey stored, ReadKey(tx, key.tenant, key.kid));
        return ApiKeyCreation{std::move(stored), true};
      },
      [&](TenantTx& tx) -> Result<ApiKeyCreation> {
        ALLOD_TRY(ApiKey stored, ReadKey(tx, key.tenant, key.kid));
        return ApiKeyCreation{std::move(stored), true};
      });
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

Status PgStore::RevokeApiKey(const std::string& tenant, const std::string& project, const std::string& kid, Time now) {
  const auto revoked = pool_.Run<ApiKey>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<ApiKey> {
        const auto update =
            tx.Exec("UPDATE tenancy.api_keys SET revoke_time = " FROM_MICROS(
                        "$4") " WHERE tenant_id = $1 AND project_id = $2 AND kid = $3 AND revoke_time IS NULL",
                    tx.tenant().ToString(), project, kid, Micros(now));
        if (update.affected_rows() == 1) ALLOD_CHECK_OK(BumpKeysVersion(tx));
        auto key = ReadKey(tx, tenant, kid);
        if (!key || key->project != project) {
          return NotFound(fmt::format("tenants/{}/projects/{}/apiKeys/{} does not exist", tenant, project, kid));
        }
        return key;
      },
      RunAgain<ApiKey, TenantTx>);
  if (!revoked) return std::unexpected(revoked.error());
  return {};
}

Result<std::vector<TenantKeysVersion>> PgStore::KeysVersions() {
  return pool_.Run<std::vector<TenantKeysVersion>>([&](GlobalTx& tx) -> Result<std::vector<TenantKeysVersion>> {
    std::vector<TenantKeysVersion> out;
    const auto rows =
        tx.Exec("SELECT id, currency_code, state = 'ACTIVE', keys_version FROM tenancy.tenants ORDER BY id");
    for (const auto& row : rows) {
      out.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<bool>(), row[3].as<std::int64_t>()});
    }
    return out;
  });
}

Result<std::vector<ApiKey>> PgStore::ValidKeys(const std::string& tenant) {
  return pool_.Run<std::vector<ApiKey>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<std::vector<ApiKey>> {
    std::vector<ApiKey> out;
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND revoke_time IS NULL ORDER BY kid",
                            kKeyColumns),
                tx.tenant().ToString());
    for (const auto& row : rows) out.push_back(KeyFromRow(tenant, row));
    return out;
  });
}

}  // namespace allod::tenancy
