#include "services/tenancy/pg_rows.h"

#include <fmt/format.h>

#include "services/tenancy/tenant_deletion.h"
#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {

Result<std::optional<std::string>> ClaimRequest(TenantTx& tx, const std::string& project, const RequestId& request,
                                                const std::string& resource) {
  if (!request.given()) return std::nullopt;
  const auto claimed = tx.Exec(
      "INSERT INTO tenancy.request_ids (tenant_id, project, request_id, payload_sha256, resource_id) "
      "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
      tx.tenant().ToString(), project, request.id.ToString(), request.payload_sha256, resource);
  if (claimed.affected_rows() == 1) return std::nullopt;
  const auto rows = tx.Exec(
      "SELECT payload_sha256, resource_id FROM tenancy.request_ids WHERE tenant_id = $1 AND project = $2 AND "
      "request_id = $3",
      tx.tenant().ToString(), project, request.id.ToString());
  if (rows.empty()) return Internal("a request id vanished");
  ALLOD_CHECK_OK(CheckSamePayload(request, rows[0][0].as<std::string>()));
  return rows[0][1].as<std::string>();
}

Result<std::optional<std::string>> ClaimRequest(PgTx& tx, const RequestId& request, const std::string& resource) {
  if (!request.given()) return std::nullopt;
  const auto claimed = tx.Exec(
      "INSERT INTO tenancy.operator_request_ids (request_id, payload_sha256, resource_id) VALUES ($1, $2, $3) "
      "ON CONFLICT DO NOTHING",
      request.id.ToString(), request.payload_sha256, resource);
  if (claimed.affected_rows() == 1) return std::nullopt;
  const auto rows =
      tx.Exec("SELECT payload_sha256, resource_id FROM tenancy.operator_request_ids WHERE request_id = $1",
              request.id.ToString());
  if (rows.empty()) return Internal("a request id vanished");
  ALLOD_CHECK_OK(CheckSamePayload(request, rows[0][0].as<std::string>()));
  return rows[0][1].as<std::string>();
}

std::vector<std::string> WordsOf(const std::set<Scope>& scopes) {
  std::vector<std::string> words;
  for (const Scope scope : scopes) words.emplace_back(ToRowWord(scope));
  return words;
}

std::vector<std::string> WordsOf(Roles roles) {
  std::vector<std::string> words;
  for (const Role role : roles.List()) words.emplace_back(WordOfRole(role));
  return words;
}

Roles RolesFrom(const std::vector<std::string>& words) {
  Roles out;
  for (const std::string& word : words) {
    if (const auto role = RoleOf(word)) out.Add(*role);
  }
  return out;
}

void ReadLimits(RowReader& row, Limits& out) {
  row.Into(out.requests_per_minute, out.tokens_per_minute, out.concurrency, out.shadow);
}

Result<QuotaState> ReadKeyQuotas(TenantTx& tx, const std::string& project, Time now) {
  QuotaState out;
  const std::string tenant = tx.tenant().ToString();
  const auto of_tenant = tx.Exec("SELECT " ALLOD_QUOTA_COLUMNS ", quota_projects, " ALLOD_BELOW_COLUMNS
                                 ", below_projects FROM tenancy.tenants WHERE tenant_id = $1",
                                 tenant);
  if (of_tenant.empty()) return Internal("a tenant vanished");
  RowReader tenant_row(of_tenant[0]);
  Quota quota, below;
  ReadQuota(tenant_row, quota);
  tenant_row.Into(quota.projects);
  ReadQuota(tenant_row, below);
  tenant_row.Into(below.projects);
  out.of_tenant = OwnQuota(quota, below);
  const auto of_project =
      tx.Exec("SELECT " ALLOD_QUOTA_COLUMNS " FROM tenancy.projects WHERE tenant_id = $1 AND id = $2", tenant, project);
  if (!of_project.empty()) {
    RowReader project_row(of_project[0]);
    ReadQuota(project_row, out.of_project);
  }
  const auto count = tx.Exec(
      "SELECT count(*), count(*) FILTER (WHERE project_id = $2) FROM tenancy.api_keys "
      "WHERE tenant_id = $1 AND " ALLOD_HOLDS_AT("$3"),
      tenant, project, now);
  RowReader(count[0]).Into(out.keys_in_tenant, out.keys_in_project);
  return out;
}

void ReadQuota(RowReader& row, Quota& out) {
  row.Into(out.instances, out.replicas, out.context_tokens, out.memory_bytes, out.api_keys);
}

Status RequireTenantRow(PgTx& tx, const std::string& tenant, RowLock lock) {
  const auto rows =
      tx.Exec(fmt::format("SELECT state IN ('PURGING', 'DELETED') FROM tenancy.tenants WHERE tenant_id = $1{}",
                          lock == RowLock::kUntilCommit ? " FOR NO KEY UPDATE" : ""),
              KeyOf(tenant).ToString());
  if (rows.empty()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  if (lock == RowLock::kUntilCommit && rows[0][0].as<bool>()) return std::unexpected(TenantDeleted(tenant));
  return {};
}

Status RequireProjectRow(TenantTx& tx, const std::string& tenant, const std::string& project) {
  const auto rows =
      tx.Exec("SELECT 1 FROM tenancy.projects WHERE tenant_id = $1 AND id = $2", tx.tenant().ToString(), project);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  return {};
}

}  // namespace allod::tenancy
