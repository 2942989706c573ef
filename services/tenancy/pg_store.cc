#include "services/tenancy/pg_store.h"

#include <fmt/format.h>

#include <utility>

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/pg/row_reader.h"
#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_rows.h"
#include "services/tenancy/pg_tenant_rows.h"
#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {
namespace {

constexpr char kProjectColumns[] = "id, display_name, " ALLOD_MICROS(
    "create_time") ", version, " ALLOD_QUOTA_COLUMNS ", " ALLOD_LIMIT_COLUMNS
                   ", limited_instances, instance_requests, instance_tokens, instance_concurrency, instance_shadow";

// Of one tenant.
auto ReadProjectOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    Project out{.tenant = tenant};
    row.Into(out.id, out.display_name, out.create_time, out.version);
    ReadQuota(row, out.quota);
    ReadLimits(row, out.limits);
    std::vector<std::string> instances, requests, tokens, concurrency, shadow;
    row.Into(instances, requests, tokens, concurrency, shadow);
    for (std::size_t i = 0; i < instances.size(); ++i) {
      out.instance_limits[instances[i]] = {std::stoll(requests.at(i)), std::stoll(tokens.at(i)),
                                           std::stoi(concurrency.at(i)), shadow.at(i) == "t"};
    }
    return out;
  };
}

// Its own, and those of the tenants below it.
Result<TenantStateChange> ReadTenantState(PgTx& tx, const std::string& tenant) {
  TenantStateChange out;
  ALLOD_TRY(out.tenant, ReadTenantRow(tx, tenant));
  const auto rows = tx.Exec(
      "SELECT max(keys_version), max(identity_version), max(version) FROM tenancy.tenants "
      "WHERE id = $1 OR ancestors @> ARRAY[$1]",
      tenant);
  RowReader(rows[0]).Into(out.keys_version, out.identity_version, out.tenants_version);
  return out;
}

Result<Project> ReadProject(TenantTx& tx, const std::string& tenant, const std::string& project) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM tenancy.projects WHERE tenant_id = $1 AND id = $2", kProjectColumns),
              tx.tenant().ToString(), project);
  if (rows.empty()) return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  return ReadFirst(rows, ReadProjectOf(tenant));
}

// A trigger puts the clock's next version in.
void NoteLimits(TenantTx& tx) {
  tx.Exec("UPDATE tenancy.tenants SET limits_version = limits_version WHERE tenant_id = $1", tx.tenant().ToString());
}

void WriteLimits(TenantTx& tx, const Project& project) {
  std::vector<std::string> instances, requests, tokens, concurrency, shadow;
  for (const auto& [instance, limits] : project.instance_limits) {
    instances.push_back(instance);
    requests.push_back(std::to_string(limits.requests_per_minute));
    tokens.push_back(std::to_string(limits.tokens_per_minute));
    concurrency.push_back(std::to_string(limits.concurrency));
    shadow.emplace_back(limits.shadow ? "t" : "f");
  }
  tx.Exec("UPDATE tenancy.projects SET (" ALLOD_LIMIT_COLUMNS
          ") = ($3, $4, $5, $6), limited_instances = $7::text[], instance_requests = $8::bigint[], "
          "instance_tokens = $9::bigint[], instance_concurrency = $10::integer[], instance_shadow = $11::text[] "
          "WHERE tenant_id = $1 AND id = $2",
          tx.tenant().ToString(), project.id, project.limits.requests_per_minute, project.limits.tokens_per_minute,
          project.limits.concurrency, project.limits.shadow, instances, requests, tokens, concurrency, shadow);
}

}  // namespace

Result<Tenant> PgStore::CreateTenant(const Tenant& tenant, const RequestId& request) {
  return pool_.Run<Tenant>(
      tenant.uid(),
      [&](TenantTx& tx) -> Result<Tenant> {
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, request, tenant.id));
        if (earlier) return ReadTenantRow(tx, *earlier);
        std::optional<Tenant> parent;
        if (!tenant.parent.empty()) {
          ALLOD_TRY(parent, LockFromTop(tx, tenant.parent));
        }
        const bool is_there = ReadTenantRow(tx, tenant.id).has_value();
        Tenant placed = tenant;
        if (parent && !is_there) {
          ALLOD_TRY(placed, PlacedBelow(tenant, *parent));
          ALLOD_CHECK_OK(CheckRoomBelow(*parent, tenancy::CountBelow(tx, *parent)));
        }
        const auto insert = [&] {
          return tx.Exec(
            "INSERT INTO tenancy.tenants (tenant_id, id, display_name, currency_code, residency, create_time, "
            "weight, " ALLOD_QUOTA_COLUMNS ", quota_projects, " ALLOD_LIMIT_COLUMNS
            ", parent, ancestors, suspended_by, residency_rules) VALUES ($1, $2, $3, $4, $5::text[], " ALLOD_FROM_MICROS(
                "$6") ", $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19::text[], $20, $21::text[]) ON "
                      "CONFLICT DO NOTHING",
            tenant.uid().ToString(), tenant.id, tenant.display_name, tenant.currency_code, tenant.residency,
            tenant.create_time, tenant.weight, tenant.quota.instances, tenant.quota.replicas,
            tenant.quota.context_tokens, tenant.quota.memory_bytes, tenant.quota.api_keys, tenant.quota.projects,
            tenant.limits.requests_per_minute, tenant.limits.tokens_per_minute, tenant.limits.concurrency,
            tenant.limits.shadow, ParentColumn(placed), placed.ancestors, placed.suspended_by,
            RuleWords(tenant.residency_rules));
        };
        const bool is_new = !is_there && insert().affected_rows() == 1;
        const auto rows = tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE tenant_id = $1", kTenantColumns),
                                  tenant.uid().ToString());
        if (rows.empty()) return Internal("a tenant vanished");
        Tenant stored = ReadFirst(rows, ReadTenant);
        if (IsPurged(stored.state)) return std::unexpected(TenantIdUsed(tenant.id));
        if (!SameContent(stored, tenant)) return std::unexpected(TakenByOtherContent(tenant.name()));
        // After it was inserted, so that the parent's use can be asked for; it is undone if this refuses.
        if (is_new && parent) {
          ALLOD_CHECK_OK(CheckWithinParent(tenant, nullptr, *parent, UseOfParent(tx)));
        }
        // Gateways are told of every tenant below another.
        if (is_new && (tenant.limits.any() || parent)) NoteLimits(tx);
        if (is_new) ALLOD_CHECK_OK(audit_.Append(tx, tenant.name(), CreationOf(stored)));
        return stored;
      },
      RunAgain{});
}

Result<Tenant> PgStore::GetTenant(const std::string& tenant) {
  return pool_.Run<Tenant>([&](GlobalTx& tx) { return ReadTenantRow(tx, tenant); });
}

Result<Page<Tenant>> PgStore::ListTenants(const PageRequest& page, const std::optional<std::string>& within) {
  return pool_.Run<Page<Tenant>>([&](GlobalTx& tx) -> Result<Page<Tenant>> {
    const auto rows =
        within
            ? tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE (id = $3 OR ancestors @> ARRAY[$3]) AND id > "
                                  "$1 ORDER BY id LIMIT $2",
                                  kTenantColumns),
                      page.after, page.size + 1, *within)
            : tx.Exec(fmt::format("SELECT {} FROM tenancy.tenants WHERE id > $1 ORDER BY id LIMIT $2", kTenantColumns),
                      page.after, page.size + 1);
    return MakePage(page, ReadAll(rows, ReadTenant), [](const Tenant& t) { return t.id; });
  });
}

Result<std::vector<Tenant>> PgStore::ChildrenOf(const std::string& tenant) {
  return pool_.Run<std::vector<Tenant>>([&](GlobalTx& tx) -> Result<std::vector<Tenant>> {
    ALLOD_CHECK_OK(ReadTenantRow(tx, tenant));
    return ReadChildren(tx, tenant);
  });
}

Result<std::vector<int>> PgStore::CountBelow(const std::string& tenant) {
  return pool_.Run<std::vector<int>>([&](GlobalTx& tx) -> Result<std::vector<int>> {
    ALLOD_TRY(const Tenant parent, ReadTenantRow(tx, tenant));
    return tenancy::CountBelow(tx, parent);
  });
}

Result<Tenant> PgStore::UpdateTenant(const Tenant& wanted, const std::string& etag, const RequestId& request,
                                     Setter by) {
  return pool_.Run<Tenant>(
      wanted.uid(),
      [&](TenantTx& tx) -> Result<Tenant> {
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, request, wanted.id));
        ALLOD_TRY(const auto parent, LockParentOf(tx, wanted.id));
        ALLOD_TRY(const Tenant standing, ReadTenantRow(tx, wanted.id, RowLock::kUntilCommit));
        if (earlier) return standing;
        ALLOD_TRY(const Tenant changed, Changed(standing, wanted, etag));
        if (SameContent(changed, standing)) return standing;
        if (parent) ALLOD_CHECK_OK(CheckWithinParent(changed, &standing, *parent, UseOfParent(tx)));
        // Who makes or changes one of them, a project or a key holds the lock of this row.
        ALLOD_CHECK_OK(CheckHolds(changed, ReadChildren(tx, wanted.id)));
        if (parent) ALLOD_CHECK_OK(CheckGivenBack(changed, standing, *parent, OwnUseOf(tx), by));
        tx.Exec(
            "UPDATE tenancy.tenants SET display_name = $2, residency = $3::text[], weight = $4, (" ALLOD_QUOTA_COLUMNS
            ", quota_projects, " ALLOD_LIMIT_COLUMNS
            ") = ($5, $6, $7, $8, $9, $10, $11, $12, $13, $14), residency_rules = $15::text[] WHERE tenant_id = $1",
            changed.uid().ToString(), changed.display_name, changed.residency, changed.weight, changed.quota.instances,
            changed.quota.replicas, changed.quota.context_tokens, changed.quota.memory_bytes, changed.quota.api_keys,
            changed.quota.projects, changed.limits.requests_per_minute, changed.limits.tokens_per_minute,
            changed.limits.concurrency, changed.limits.shadow, RuleWords(changed.residency_rules));
        ALLOD_CHECK_OK(audit_.Append(tx, changed.name(), ChangeOf(standing, changed)));
        return ReadTenantRow(tx, wanted.id);
      },
      // It took: only with another version than the one that was asked about.
      [&](TenantTx& tx) -> Result<Tenant> {
        ALLOD_TRY(const Tenant stored, ReadTenantRow(tx, wanted.id));
        const auto as_wanted = Changed(stored, wanted, EtagOf(stored));
        if (etag == EtagOf(stored) || !as_wanted || !SameContent(*as_wanted, stored)) return NotFound("not changed");
        return stored;
      });
}

Result<TenantStateChange> PgStore::SetTenantState(const std::string& tenant, TenantState state,
                                                  const std::string& reason, const RequestId& request, Setter by) {
  return pool_.Run<TenantStateChange>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<TenantStateChange> {
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, request, tenant));
        // From the top, as whoever makes a tenant below it locks.
        ALLOD_TRY(const Tenant standing, LockFromTop(tx, tenant));
        if (!earlier) ALLOD_CHECK_OK(CheckNotDeleted(standing));
        // A trigger tells those below; before any lock of a clock they are locked in the order in which everybody
        // locks.
        LockBelow(tx, tenant);
        if (earlier) return ReadTenantState(tx, tenant);
        ALLOD_TRY(const Tenant changed, WithState(standing, state, reason, by));
        if (changed.state != standing.state) {
          tx.Exec(
              "UPDATE tenancy.tenants SET state = $2, suspend_reason = $3, suspended_from_above = $4 "
              "WHERE tenant_id = $1",
              changed.uid().ToString(), changed.state, changed.suspend_reason, changed.suspended_from_above);
        } else if (changed.suspend_reason != standing.suspend_reason ||
                   changed.suspended_from_above != standing.suspended_from_above) {
          tx.Exec("UPDATE tenancy.tenants SET suspend_reason = $2, suspended_from_above = $3 WHERE tenant_id = $1",
                  changed.uid().ToString(), changed.suspend_reason, changed.suspended_from_above);
        } else {
          return ReadTenantState(tx, tenant);
        }
        ALLOD_CHECK_OK(audit_.Append(tx, changed.name(), StateOf(changed)));
        return ReadTenantState(tx, tenant);
      },
      RunAgain{});
}

Result<TenantStateChange> PgStore::DeleteTenant(const std::string& tenant, const TenantDeletionRequest& deletion,
                                                const RequestId& request) {
  return pool_.Run<TenantStateChange>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<TenantStateChange> {
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, request, tenant));
        ALLOD_TRY(const Tenant standing, ReadTenantRow(tx, tenant, RowLock::kUntilCommit));
        if (earlier) return ReadTenantState(tx, tenant);
        ALLOD_TRY(const Tenant changed, Deleted(standing, deletion));
        // Under its lock none is made below it.
        ALLOD_CHECK_OK(CheckChildless(standing, ReadChildren(tx, tenant)));
        WriteLife(tx, changed);
        ALLOD_CHECK_OK(audit_.Append(tx, changed.name(), DeletionOf(changed)));
        return ReadTenantState(tx, tenant);
      },
      // It took: this deletion, and no other.
      [&](TenantTx& tx) -> Result<TenantStateChange> {
        ALLOD_TRY(TenantStateChange stored, ReadTenantState(tx, tenant));
        const auto& made = stored.tenant.deletion;
        if (!made || made->delete_time != deletion.now || made->reason != deletion.reason) return NotFound("not done");
        return stored;
      });
}

Result<TenantStateChange> PgStore::UndeleteTenant(const std::string& tenant, Time now, const RequestId& request,
                                                  Setter by) {
  return pool_.Run<TenantStateChange>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<TenantStateChange> {
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, request, tenant));
        ALLOD_TRY(const Tenant standing, ReadTenantRow(tx, tenant, RowLock::kUntilCommit));
        if (earlier) return ReadTenantState(tx, tenant);
        ALLOD_TRY(const Tenant changed, Undeleted(standing, now, by));
        if (changed.state == standing.state) return ReadTenantState(tx, tenant);
        WriteLife(tx, changed);
        ALLOD_CHECK_OK(audit_.Append(tx, changed.name(), UndeletionOf(changed)));
        return ReadTenantState(tx, tenant);
      },
      RunAgain{});
}

Result<TenantChanges> PgStore::TenantsChanged(std::int64_t after, int limit) {
  return pool_.Run<TenantChanges>([&](GlobalTx& tx) -> Result<TenantChanges> {
    const auto rows = tx.Exec(
        fmt::format("SELECT {} FROM tenancy.tenants WHERE version > $1 ORDER BY version LIMIT $2", kTenantColumns),
        after, limit);
    TenantChanges out{{}, after, std::cmp_equal(rows.size(), limit)};
    for (const pqxx::row& fields : rows) {
      out.version = fields["version"].as<std::int64_t>();
      const Status read = Catching("read a tenant's row", [&]() -> Status {
        RowReader row(fields);
        out.tenants.push_back(ReadTenant(row));
        return {};
      });
      if (!read) {
        Log(LogLevel::kError, "a tenant's row cannot be read; who follows tenants is not told of its last change",
            {{"tenant", fields["id"].as<std::string>()}});
      }
    }
    return out;
  });
}

Result<Project> PgStore::CreateProject(const Project& project, const RequestId& request) {
  return pool_.Run<Project>(
      KeyOf(project.tenant),
      [&](TenantTx& tx) -> Result<Project> {
        ALLOD_TRY(const Tenant tenant, ReadTenantRow(tx, project.tenant, RowLock::kUntilCommit));
        ALLOD_CHECK_OK(CheckNotPurged(tenant));
        ALLOD_CHECK_OK(ClaimRequest(tx, "", request, project.id));
        const auto count =
            tx.Exec("SELECT count(*), count(*) FILTER (WHERE id = $2) FROM tenancy.projects WHERE tenant_id = $1",
                    tx.tenant().ToString(), project.id);
        if (count[0][1].as<int>() == 0) {
          ALLOD_CHECK_OK(CheckWithinTenant(project, tenant));
          ALLOD_CHECK_OK(RoomForProject(project, {.of_tenant = OwnQuota(tenant.quota, tenant.quota_below),
                                                  .projects = count[0][0].as<std::int64_t>()}));
        }
        const auto inserted = tx.Exec(
            "INSERT INTO tenancy.projects (tenant_id, id, display_name, create_time, " ALLOD_QUOTA_COLUMNS
            ") VALUES ($1, $2, $3, " ALLOD_FROM_MICROS("$4") ", $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            tx.tenant().ToString(), project.id, project.display_name, project.create_time, project.quota.instances,
            project.quota.replicas, project.quota.context_tokens, project.quota.memory_bytes, project.quota.api_keys);
        if (inserted.affected_rows() == 1 && !SameLimits(project, {})) {
          WriteLimits(tx, project);
          NoteLimits(tx);
        }
        ALLOD_TRY(Project stored, ReadProject(tx, project.tenant, project.id));
        if (!SameContent(stored, project)) return std::unexpected(TakenByOtherContent(project.name()));
        if (inserted.affected_rows() == 1) {
          ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + project.tenant, CreationOf(stored)));
        }
        return stored;
      },
      RunAgain{});
}

Result<Project> PgStore::GetProject(const std::string& tenant, const std::string& project) {
  return pool_.Run<Project>(KeyOf(tenant), [&](TenantTx& tx) { return ReadProject(tx, tenant, project); });
}

Result<Project> PgStore::UpdateProject(const Project& wanted, const std::string& etag, const RequestId& request) {
  return pool_.Run<Project>(
      KeyOf(wanted.tenant),
      [&](TenantTx& tx) -> Result<Project> {
        // What is checked against quotas holds the same lock.
        ALLOD_TRY(const Tenant tenant, ReadTenantRow(tx, wanted.tenant, RowLock::kUntilCommit));
        ALLOD_TRY(const Project standing, ReadProject(tx, wanted.tenant, wanted.id));
        ALLOD_TRY(const auto earlier, ClaimRequest(tx, "", request, wanted.id));
        if (earlier) return standing;
        ALLOD_TRY(const Project changed, Changed(standing, wanted, etag, tenant));
        if (SameContent(changed, standing)) return standing;
        tx.Exec("UPDATE tenancy.projects SET display_name = $3, version = version + 1, (" ALLOD_QUOTA_COLUMNS
                ") = ($4, $5, $6, $7, $8) WHERE tenant_id = $1 AND id = $2",
                tx.tenant().ToString(), changed.id, changed.display_name, changed.quota.instances,
                changed.quota.replicas, changed.quota.context_tokens, changed.quota.memory_bytes,
                changed.quota.api_keys);
        if (!SameLimits(standing, changed)) {
          WriteLimits(tx, changed);
          NoteLimits(tx);
        }
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + changed.tenant, ChangeOf(standing, changed)));
        return ReadProject(tx, wanted.tenant, wanted.id);
      },
      // It took: only with another version than the one that was asked about.
      [&](TenantTx& tx) -> Result<Project> {
        ALLOD_TRY(const Project stored, ReadProject(tx, wanted.tenant, wanted.id));
        ALLOD_TRY(const Tenant tenant, ReadTenantRow(tx, wanted.tenant));
        const auto as_wanted = Changed(stored, wanted, EtagOf(stored), tenant);
        if (etag == EtagOf(stored) || !as_wanted || !SameContent(*as_wanted, stored)) return NotFound("not changed");
        return stored;
      });
}

Result<QuotaState> PgStore::ReadQuotas(const std::string& tenant, const std::string& project, Time now) {
  return pool_.RunSnapshot<QuotaState>(KeyOf(tenant), [&](TenantTx& tx) -> Result<QuotaState> {
    ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
    if (!project.empty()) ALLOD_CHECK_OK(RequireProjectRow(tx, tenant, project));
    ALLOD_TRY(QuotaState out, ReadKeyQuotas(tx, project, now));
    const auto rows = tx.Exec("SELECT count(*) FROM tenancy.projects WHERE tenant_id = $1", tx.tenant().ToString());
    out.projects = rows[0][0].as<std::int64_t>();
    return out;
  });
}

Result<TenantLimits> PgStore::LimitsOf(const std::string& tenant) {
  return pool_.RunSnapshot<TenantLimits>(KeyOf(tenant), [&](TenantTx& tx) -> Result<TenantLimits> {
    ALLOD_TRY(const Tenant read, ReadTenantRow(tx, tenant));
    TenantLimits out{tenant, read.limits, {}, read.ancestors};
    const auto rows = tx.Exec(
        fmt::format("SELECT {} FROM tenancy.projects WHERE tenant_id = $1 AND (limit_requests > 0 OR limit_tokens > 0 "
                    "OR limit_concurrency > 0 OR limited_instances <> '{{}}') ORDER BY id",
                    kProjectColumns),
        tx.tenant().ToString());
    for (Project& project : ReadAll(rows, ReadProjectOf(tenant))) {
      out.projects.push_back({project.id, project.limits, std::move(project.instance_limits)});
    }
    return out;
  });
}

Result<std::int64_t> PgStore::LimitsVersion(const std::string& tenant) {
  return pool_.Run<std::int64_t>([&](GlobalTx& tx) -> Result<std::int64_t> {
    const auto rows = tx.Exec("SELECT limits_version FROM tenancy.tenants WHERE id = $1", tenant);
    if (rows.empty()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
    return rows[0][0].as<std::int64_t>();
  });
}

Result<Page<Project>> PgStore::ListProjects(const std::string& tenant, const PageRequest& page) {
  return pool_.Run<Page<Project>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<Project>> {
    ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM tenancy.projects WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                            kProjectColumns),
                tx.tenant().ToString(), page.after, page.size + 1);
    return MakePage(page, ReadAll(rows, ReadProjectOf(tenant)), [](const Project& p) { return p.id; });
  });
}

}  // namespace allod::tenancy
