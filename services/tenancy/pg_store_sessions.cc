#include "services/tenancy/pg_store_sessions.h"

#include <fmt/format.h>

#include "services/tenancy/audit_acts.h"
#include "services/tenancy/pg_identity_rows.h"

namespace allod {

template <>
inline constexpr auto kRowWords<tenancy::SessionClient> = std::to_array<RowWord<tenancy::SessionClient>>(
    {{tenancy::SessionClient::kBrowser, "BROWSER"}, {tenancy::SessionClient::kCommandLine, "COMMAND_LINE"}});

}  // namespace allod

namespace allod::tenancy {
namespace {

constexpr char kSessionColumns[] =
    "id, provider_id, subject, display_name, members, client, client_address, user_agent, " ALLOD_MICROS(
        "create_time") ", " ALLOD_MICROS("expire_time") ", " ALLOD_MICROS("end_time");

auto ReadSessionOf(const std::string& tenant) {
  return [tenant](RowReader& row) {
    Session out{.tenant = tenant};
    row.Into(out.id, out.person.provider, out.person.subject, out.display_name, out.members, out.client,
             out.client_address, out.user_agent, out.create_time, out.expire_time, out.end_time);
    return out;
  };
}

Status CheckActive(TenantTx& tx, const std::string& tenant) {
  const auto rows =
      tx.Exec("SELECT 1 FROM tenancy.tenants WHERE tenant_id = $1 AND state = 'ACTIVE' AND suspended_by = ''",
              tx.tenant().ToString());
  if (rows.empty()) return std::unexpected(TenantSuspended(tenant));
  return {};
}

Status CheckTokenIsNew(TenantTx& tx, const std::string& id_token_sha256) {
  const auto rows =
      tx.Exec("SELECT 1 FROM tenancy.sessions WHERE tenant_id = $1 AND id_token_sha256 = decode($2, 'hex')",
              tx.tenant().ToString(), id_token_sha256);
  if (rows.empty()) return {};
  return std::unexpected(TokenReplayed());
}

void LetGoOfOldSessions(TenantTx& tx, Time now) {
  tx.Exec(
      "DELETE FROM tenancy.sessions WHERE tenant_id = $1 AND id IN (SELECT id FROM tenancy.sessions WHERE "
      "tenant_id = $1 AND expire_time <= " ALLOD_FROM_MICROS("$2") " ORDER BY expire_time LIMIT $3)",
      tx.tenant().ToString(), now - kSessionsKept, kSessionsLetGo);
}

// All of the person that hold but the newest that leave room for one more. How many those were.
std::int64_t EndOldestOf(TenantTx& tx, const Person& person, Time now) {
  return static_cast<std::int64_t>(
      tx.Exec("UPDATE tenancy.sessions SET end_time = " ALLOD_FROM_MICROS(
                  "$4") " WHERE tenant_id = $1 AND id IN (SELECT id FROM tenancy.sessions WHERE tenant_id = $1 AND "
                        "provider_id = $2 AND subject = $3 AND end_time IS NULL AND expire_time > " ALLOD_FROM_MICROS(
                            "$4") " ORDER BY id DESC OFFSET $5)",
              tx.tenant().ToString(), person.provider, person.subject, now, kSessionsPerPersonMax - 1)
          .affected_rows());
}

Status CheckRoom(TenantTx& tx, const Session& session) {
  const auto counts = tx.Exec(
      "SELECT count(*) FILTER (WHERE end_time IS NULL), count(*), count(*) FILTER (WHERE provider_id = $3 AND "
      "subject = $4) FROM tenancy.sessions WHERE tenant_id = $1 AND expire_time > " ALLOD_FROM_MICROS("$2"),
      tx.tenant().ToString(), session.create_time, session.person.provider, session.person.subject);
  SessionCounts others;
  RowReader(counts[0]).Into(others.live, others.unexpired, others.unexpired_of_person);
  return RoomForSession(session, others);
}

// After a COMMIT in doubt: what was ended at `now` is what it ended.
Result<SessionEnding> IfEnded(TenantTx& tx, const pqxx::result& rows) {
  if (rows.empty()) return NotFound("not done");
  ALLOD_TRY(const std::int64_t version, StandingIdentityVersion(tx));
  return SessionEnding{static_cast<int>(rows.size()), version};
}

}  // namespace

Result<SessionBeginning> PgSessionStore::BeginSession(const Session& session, const std::string& id_token_sha256) {
  return pool_.Run<SessionBeginning>(
      KeyOf(session.tenant),
      [&](TenantTx& tx) -> Result<SessionBeginning> {
        ALLOD_CHECK_OK(LockTenant(tx, session.tenant));
        ALLOD_CHECK_OK(CheckActive(tx, session.tenant));
        ALLOD_TRY(const IdentityProvider provider, ReadProvider(tx, session.tenant, session.person.provider));
        ALLOD_CHECK_OK(CheckTokenIsNew(tx, id_token_sha256));
        SessionBeginning out;
        ALLOD_TRY(out.session, Admitted(session, provider, ReadMembers(tx, session.tenant, session.members)));
        LetGoOfOldSessions(tx, session.create_time);
        const std::int64_t ended = EndOldestOf(tx, session.person, session.create_time);
        ALLOD_CHECK_OK(CheckRoom(tx, session));
        tx.Exec(
            "INSERT INTO tenancy.sessions (tenant_id, id, provider_id, subject, display_name, members, client, "
            "client_address, user_agent, id_token_sha256, create_time, expire_time) VALUES ($1, $2, $3, $4, $5, "
            "$6::text[], $7, $8, $9, decode($10, 'hex'), " ALLOD_FROM_MICROS("$11") ", " ALLOD_FROM_MICROS("$12") ")",
            tx.tenant().ToString(), session.id, session.person.provider, session.person.subject, session.display_name,
            out.session.members, session.client, session.client_address, session.user_agent, id_token_sha256,
            session.create_time, session.expire_time);
        if (ended > 0) {
          ALLOD_TRY(out.version, NextIdentityVersion(tx));
        }
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + session.tenant, BeginningOf(out.session, ended)));
        return out;
      },
      [&](TenantTx& tx) -> Result<SessionBeginning> {
        const auto rows =
            tx.Exec(fmt::format("SELECT {} FROM tenancy.sessions WHERE tenant_id = $1 AND id = $2", kSessionColumns),
                    tx.tenant().ToString(), session.id);
        if (rows.empty()) return NotFound("not done");
        ALLOD_TRY(const std::int64_t version, StandingIdentityVersion(tx));
        return SessionBeginning{ReadFirst(rows, ReadSessionOf(session.tenant)), version};
      });
}

Result<Page<Session>> PgSessionStore::ListSessions(const std::string& tenant, const std::optional<Person>& person,
                                                   Time now, const PageRequest& page) {
  return pool_.Run<Page<Session>>(KeyOf(tenant), [&](TenantTx& tx) -> Result<Page<Session>> {
    ALLOD_CHECK_OK(RequireTenantRow(tx, tenant));
    const Person of = person.value_or(Person());
    const auto rows = tx.Exec(
        fmt::format("SELECT {} FROM tenancy.sessions WHERE tenant_id = $1 AND end_time IS NULL AND "
                    "expire_time > " ALLOD_FROM_MICROS("$2") " {} AND ($5::uuid IS NULL OR id < $5::uuid) "
                                                             "ORDER BY id DESC LIMIT $6",
                    kSessionColumns, person ? "AND provider_id = $3 AND subject = $4" : "AND $3 = '' AND $4 = ''"),
        tx.tenant().ToString(), now, of.provider, of.subject,
        page.after.empty() ? std::nullopt : std::optional<std::string>(page.after), page.size + 1);
    return MakePage(page, ReadAll(rows, ReadSessionOf(tenant)), [](const Session& s) { return s.id.ToString(); });
  });
}

Result<SessionEnding> PgSessionStore::EndSession(const std::string& tenant, const Uuid& id, Time now) {
  return pool_.Run<SessionEnding>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<SessionEnding> {
        ALLOD_CHECK_OK(LockTenant(tx, tenant));
        const auto rows =
            tx.Exec(fmt::format("SELECT {} FROM tenancy.sessions WHERE tenant_id = $1 AND id = $2", kSessionColumns),
                    tx.tenant().ToString(), id);
        if (rows.empty()) {
          return NotFound(fmt::format("tenants/{}/sessions/{} does not exist", tenant, id.ToString()));
        }
        const Session standing = ReadFirst(rows, ReadSessionOf(tenant));
        SessionEnding out;
        if (!standing.HoldsAt(now)) {
          ALLOD_TRY(out.version, StandingIdentityVersion(tx));
          return out;
        }
        tx.Exec("UPDATE tenancy.sessions SET end_time = " ALLOD_FROM_MICROS("$3") " WHERE tenant_id = $1 AND id = $2",
                tx.tenant().ToString(), id, now);
        out.ended = 1;
        ALLOD_TRY(out.version, NextIdentityVersion(tx));
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, EndingOf(standing)));
        return out;
      },
      [&](TenantTx& tx) {
        return IfEnded(tx, tx.Exec("SELECT 1 FROM tenancy.sessions WHERE tenant_id = $1 AND id = $2 AND "
                                   "end_time = " ALLOD_FROM_MICROS("$3"),
                                   tx.tenant().ToString(), id, now));
      });
}

Result<SessionEnding> PgSessionStore::EndSessions(const std::string& tenant, const Person& person, Time now) {
  return pool_.Run<SessionEnding>(
      KeyOf(tenant),
      [&](TenantTx& tx) -> Result<SessionEnding> {
        ALLOD_CHECK_OK(LockTenant(tx, tenant));
        const auto ended =
            tx.Exec("UPDATE tenancy.sessions SET end_time = " ALLOD_FROM_MICROS(
                        "$4") " WHERE tenant_id = $1 AND provider_id = $2 AND subject = $3 AND end_time IS NULL AND "
                              "expire_time > " ALLOD_FROM_MICROS("$4"),
                    tx.tenant().ToString(), person.provider, person.subject, now);
        SessionEnding out{static_cast<int>(ended.affected_rows()), 0};
        if (out.ended == 0) {
          ALLOD_TRY(out.version, StandingIdentityVersion(tx));
          return out;
        }
        ALLOD_TRY(out.version, NextIdentityVersion(tx));
        ALLOD_CHECK_OK(audit_.Append(tx, "tenants/" + tenant, EndingOf(tenant, person, out.ended)));
        return out;
      },
      [&](TenantTx& tx) {
        return IfEnded(tx, tx.Exec("SELECT 1 FROM tenancy.sessions WHERE tenant_id = $1 AND provider_id = $2 AND "
                                   "subject = $3 AND end_time = " ALLOD_FROM_MICROS("$4"),
                                   tx.tenant().ToString(), person.provider, person.subject, now));
      });
}

}  // namespace allod::tenancy
