// API keys of the store.
#include <fmt/format.h>

#include "services/common/digest.h"
#include "services/common/pg/row_reader.h"
#include "services/tenancy/audit_acts.h"
#include "services/tenancy/key_rules.h"
#include "services/tenancy/pg_rows.h"
#include "services/tenancy/pg_store.h"

namespace allod::tenancy {
namespace {

constexpr char kKeyColumns[] =
    "project_id, kid, display_name, scopes, roles, encode(digest, 'hex'), " ALLOD_MICROS("create_time") ", "  //
    ALLOD_MICROS("revoke_time") ", " ALLOD_MICROS("expire_time") ", allowed_ip_ranges, allowed_instances, "   //
    ALLOD_MICROS("last_used_time") ", " ALLOD_LIMIT_COLUMNS;

auto ReadKeyOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    ApiKey out;
    out.tenant = tenant;
    std::vector<std::string> scopes, roles, ranges;
    std::string digest;
    row.Into(out.project, out.kid, out.display_name, scopes, roles, digest, out.create_time, out.revoke_time,
             out.expire_time, ranges, out.allowed_instances, out.last_used_time);
    ReadLimits(row, out.limits);
    // One that cannot be read must not come out as a key without it.
    for (const std::string& text : ranges) out.allowed_ip_ranges.push_back(IpRange::Parse("a row", text).value());
    for (const std::string& scope : scopes) out.scopes.insert(FromRowWord<Scope>(scope));
    out.roles = RolesFrom(roles);
    for (std::size_t i = 0; i < out.digest.size(); ++i) {
      out.digest[i] = static_cast<std::uint8_t>(std::stoi(digest.substr(2 * i, 2), nullptr, 16));
    }
    return out;
  };
}

std::vector<std::string> TextsOf(const std::vector<IpRange>& ranges) {
  std::vector<std::string> words;
  for (const IpRange& range : ranges) words.push_back(range.ToString());
  return words;
}

// A key as it stands, and the version of the keys that it has been so since.
Result<ApiKeyCreation> ReadKey(TenantTx& tx, const std::string& tenant, const std::string& kid, bool created) {
  const auto rows = tx.Exec(
      fmt::format("SELECT {}, change_version FROM tenancy.api_keys WHERE tenant_id = $1 AND kid = $2", kKeyColumns),
      tx.tenant().ToString(), kid);
  if (rows.empty()) return NotFound(fmt::format("API key {} of tenants/{} does not exist", kid, tenant));
  RowReader row(rows[0]);
  ApiKey key = ReadKeyOf(tenant)(row);
  return ApiKeyCreation{std::move(key), created, row.Next<std::int64_t>()};
}

// The version of what this transaction does to keys. Holds the tenant's row and the clock's until the commit.
Result<std::int64_t> NextKeysVersion(TenantTx& tx) {
  // A trigger puts the clock's next version in.
  const auto rows = tx.Exec(
      "UPDATE tenancy.tenants SET keys_version = keys_version WHERE tenant_id = $1 RETURNING keys_version, "
      "state IN ('PURGING', 'DELETED'), id",
      tx.tenant().ToString());
  if (rows.empty()) return Internal("a tenant vanished");
  if (rows[0][1].as<bool>()) return std::unexpected(TenantDeleted(rows[0][2].as<std::string>()));
  return rows[0][0].as<std::int64_t>();
}

// One that is not in the project does not exist.
Result<ApiKey> ReadKeyOfProject(TenantTx& tx, const std::string& tenant, const std::string& project,
                                const std::string& kid) {
  auto key = ReadKey(tx, tenant, kid, false);
  if (key && key->key.project == project) return std::move(key->key);
  if (!key && key.error().code != Code::kNotFound) return std::unexpected(std::move(key).error());
  return std::unexpected(NoSuchKey(tenant, project, kid));
}

// Read under the locks of NextKeysVersion(), it is what it is until the commit.
Result<std::optional<ApiKey>> ReadMaker(TenantTx& tx, const std::string& tenant, const std::string& project,
                                        const Maker& maker) {
  if (!maker) return std::nullopt;
  auto key = ReadKeyOfProject(tx, tenant, project, *maker);
  if (key) return *std::move(key);
  if (key.error().code == Code::kNotFound) return std::unexpected(NoSuchMaker());
  return std::unexpected(std::move(key).error());
}

// The locks of NextKeysVersion() are held while the keys are counted.
Status CheckRoom(TenantTx& tx, const ApiKey& key, int replaced = 0) {
  ALLOD_TRY(const QuotaState state, ReadKeyQuotas(tx, key.project, key.create_time));
  return RoomForApiKey(key, state, replaced);
}

void Insert(TenantTx& tx, const ApiKey& key, std::int64_t version) {
  tx.Exec(
      "INSERT INTO tenancy.api_keys (tenant_id, kid, project_id, display_name, scopes, roles, digest, create_time, "
      "change_version, expire_time, allowed_ip_ranges, allowed_instances, " ALLOD_LIMIT_COLUMNS
      ") VALUES ($1, $2, $3, $4, $5::text[], "
      "$6::text[], decode($7, 'hex'), " ALLOD_FROM_MICROS("$8") ", $9, " ALLOD_FROM_MICROS(
          "$10") ", $11::text[], $12::text[], $13, $14, $15, $16)",
      tx.tenant().ToString(), key.kid, key.project, key.display_name, WordsOf(key.scopes), WordsOf(key.roles),
      ToHex(key.digest), key.create_time, version, key.expire_time, TextsOf(key.allowed_ip_ranges),
      key.allowed_instances, key.limits.requests_per_minute, key.limits.tokens_per_minute, key.limits.concurrency,
      key.limits.shadow);
}

// Those that a request names lie within what is outside as it is now.
Status CheckLimitsFit(TenantTx& tx, const ApiKey& key) {
  if (!key.limits.any()) return {};
  const auto outer = [&](const pqxx::result& rows) {
    return ReadFirst(rows, [](RowReader& row) {
      Limits out;
      ReadLimits(row, out);
      return out;
    });
  };
  const std::string tenant = tx.tenant().ToString();
  ALLOD_CHECK_OK(CheckLimitsWithin(
      "api_key.limits", key.limits, "the project's",
      outer(tx.Exec("SELECT " ALLOD_LIMIT_COLUMNS " FROM tenancy.projects WHERE tenant_id = $1 AND id = $2", tenant,
                    key.project))));
  return CheckLimitsWithin(
      "api_key.limits", key.limits, "the tenant's",
      outer(tx.Exec("SELECT " ALLOD_LIMIT_COLUMNS " FROM tenancy.tenants WHERE tenant_id = $1", tenant)));
}

}  // namespace

Result<ApiKeyCreation> PgStore::CreateApiKey(const ApiKey& key, const RequestId& request, const Maker& maker) {
  return pool_.Run<ApiKeyCreation>(
      KeyOf(key.tenant),
      [&](TenantTx& tx) -> Result<ApiKeyCreation> {
        ALLOD_CHECK_OK(RequireProjectRow(tx, key.tenant, key.project));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, key.project, request, key.kid));
        if (earlier) return ReadKey(tx, key.tenant, *earlier, false);
        ALLOD_TRY(const std::int64_t version, NextKeysVersion(tx));
        ApiKey made = key;
        ALLOD_TRY(const auto maker_row, ReadMaker(tx, key.tenant, key.project, maker));
        if (maker_row) {
          ALLOD_TRY(made, HandOn(*maker_row, std::move(made), key.create_time));
        }
        ALLOD_CHECK_OK(CheckLimitsFit(tx, key));
        ALLOD_CHECK_OK(CheckRoom(tx, made));
        Insert(tx, made, version);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + made.tenant, CreationOf(made)));
        return ReadKey(tx, key.tenant, key.kid, true);
      },
      [&](TenantTx& tx) { return ReadKey(tx, key.tenant, key.kid, true); });
}

Result<ApiKeyCreation> PgStore::RotateApiKey(const KeyRotation& rotation, const RequestId& request,
                                             const Maker& maker) {
  return pool_.Run<ApiKeyCreation>(
      KeyOf(rotation.tenant),
      [&](TenantTx& tx) -> Result<ApiKeyCreation> {
        ALLOD_CHECK_OK(ReadKeyOfProject(tx, rotation.tenant, rotation.project, rotation.kid));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, rotation.project, request, rotation.successor_kid));
        if (earlier) return ReadKey(tx, rotation.tenant, *earlier, false);
        ALLOD_TRY(const std::int64_t version, NextKeysVersion(tx));
        // Read again: who held the locks may have revoked it.
        ALLOD_TRY(const ApiKey present, ReadKeyOfProject(tx, rotation.tenant, rotation.project, rotation.kid));
        ALLOD_TRY(const auto maker_row, ReadMaker(tx, rotation.tenant, rotation.project, maker));
        ALLOD_TRY(const Rotated rotated, Rotate(present, rotation, maker_row ? &*maker_row : nullptr));
        // One that is replaced at once makes the room that its successor takes.
        ALLOD_CHECK_OK(CheckRoom(tx, rotated.successor, rotated.present.revoke_time ? 1 : 0));
        tx.Exec("UPDATE tenancy.api_keys SET change_version = $3, revoke_time = " ALLOD_FROM_MICROS(
                    "$4") ", expire_time = " ALLOD_FROM_MICROS("$5") " WHERE tenant_id = $1 AND kid = $2",
                tx.tenant().ToString(), present.kid, version, rotated.present.revoke_time, rotated.present.expire_time);
        Insert(tx, rotated.successor, version);
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + rotation.tenant, RotationOf(rotated.present, rotated.successor)));
        return ReadKey(tx, rotation.tenant, rotation.successor_kid, true);
      },
      [&](TenantTx& tx) { return ReadKey(tx, rotation.tenant, rotation.successor_kid, true); });
}

Result<ApiKey> PgStore::GetApiKey(const std::string& tenant, const std::string& project, const std::string& kid) {
  return pool_.Run<ApiKey>(KeyOf(tenant), [&](TenantTx& tx) { return ReadKeyOfProject(tx, tenant, project, kid); });
}

Result<Page<ApiKey>> PgStore::ListApiKeys(const std::string& tenant, const std::string& project,
                                          const PageRequest& page) {
  return pool_.Run<Page<ApiKey>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<ApiKey>> {
    ALLOD_CHECK_OK(RequireProjectRow(tx, tenant, project));
    const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND project_id = $2 "
                                          "AND kid > $3 ORDER BY kid LIMIT $4",
                                          kKeyColumns),
                              tx.tenant().ToString(), project, page.after, page.size + 1);
    return MakePage(page, ReadAll(rows, ReadKeyOf(tenant)), [](const ApiKey& k) { return k.kid; });
  });
}

Result<std::int64_t> PgStore::RevokeApiKey(const std::string& tenant, const std::string& project,
                                           const std::string& kid, Time now) {
  return pool_.Run<std::int64_t>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<std::int64_t> {
        const auto key = ReadKey(tx, tenant, kid, false);
        if (!key || key->key.project != project) {
          return std::unexpected(NoSuchKey(tenant, project, kid));
        }
        if (key->key.revoke_time) return key->version;
        ALLOD_TRY(const std::int64_t version, NextKeysVersion(tx));
        const auto update = tx.Exec("UPDATE tenancy.api_keys SET change_version = $3, revoke_time = " ALLOD_FROM_MICROS(
                                        "$4") " WHERE tenant_id = $1 AND kid = $2 AND revoke_time IS NULL",
                                    tx.tenant().ToString(), kid, version, now);
        if (update.affected_rows() == 1) {
          ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, RevocationOf(key->key)));
          return version;
        }
        // Somebody else did while this waited for the lock.
        ALLOD_TRY(const ApiKeyCreation revoked, ReadKey(tx, tenant, kid, false));
        return revoked.version;
      },
      RunAgain{});
}

Result<std::vector<TenantKeysVersion>> PgStore::KeysVersions(std::int64_t after, int limit) {
  return pool_.Run<std::vector<TenantKeysVersion>>([&](GlobalTx& tx) -> Result<std::vector<TenantKeysVersion>> {
    const auto rows = tx.Exec(
        "SELECT id, currency_code, state, suspended_by, keys_version, limits_version FROM "
        "tenancy.tenants "
        "WHERE keys_version > 0 AND keys_version > $1 ORDER BY keys_version LIMIT $2",
        after, limit);
    return ReadAll(rows, [](RowReader& row) {
      TenantKeysVersion out;
      row.Into(out.tenant, out.currency_code);
      const auto state = row.Next<TenantState>();
      out.standing = KeysStandingOf(state, row.Next<std::string>());
      row.Into(out.version, out.limits_version);
      return out;
    });
  });
}

Status PgStore::RecordKeyUse(const std::string& tenant, const std::vector<KeyUse>& uses) {
  std::vector<std::string> kids, minutes;
  for (const KeyUse& use : uses) {
    kids.push_back(use.kid);
    minutes.push_back(std::to_string(ToMicros(use.minute)));
  }
  const auto recorded = pool_.Run<bool>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<bool> {
        tx.Exec(
            "UPDATE tenancy.api_keys k SET last_used_time = u.minute "
            "FROM (SELECT kid, max(" ALLOD_FROM_MICROS(
                "micros") ") AS minute FROM unnest($2::text[], $3::bigint[]) AS t (kid, micros) GROUP BY kid) u "
                          "WHERE k.tenant_id = $1 AND k.kid = u.kid "
                          "AND (k.last_used_time IS NULL OR k.last_used_time < u.minute)",
            tx.tenant().ToString(), kids, minutes);
        return true;
      },
      RunAgain{});
  ALLOD_CHECK_OK(recorded);
  return {};
}

Result<std::vector<ApiKey>> PgStore::ValidKeys(const std::string& tenant, Time then) {
  return pool_.Run<std::vector<ApiKey>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<std::vector<ApiKey>> {
    const auto rows = tx.Exec(
        fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND " ALLOD_HOLDS_AT("$2") " ORDER BY kid",
                    kKeyColumns),
        tx.tenant().ToString(), then);
    return ReadAll(rows, ReadKeyOf(tenant));
  });
}

Result<std::vector<ApiKey>> PgStore::KeysChanged(const std::string& tenant, std::int64_t after) {
  return pool_.Run<std::vector<ApiKey>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<std::vector<ApiKey>> {
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM tenancy.api_keys WHERE tenant_id = $1 AND change_version > $2 ORDER BY kid",
                            kKeyColumns),
                tx.tenant().ToString(), after);
    return ReadAll(rows, ReadKeyOf(tenant));
  });
}

}  // namespace allod::tenancy
