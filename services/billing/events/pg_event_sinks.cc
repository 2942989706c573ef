// Event sinks as resources.
#include <fmt/format.h>

#include "services/billing/events/pg_event_rows.h"
#include "services/billing/events/pg_event_store.h"
#include "services/billing/pg_account.h"
#include "services/billing/refusals.h"

namespace allod::billing::events {
namespace {

constexpr std::string_view kInsert =
    "INSERT INTO billing.event_sinks (tenant_id, id, display_name, url, kinds, disabled, salt, request_id, "
    "payload_sha256) "
    "VALUES ($1::uuid, $2, $3, $4, $5::text[], $6, $7::uuid, $8::uuid, $9)";
constexpr std::string_view kUpdate =
    "UPDATE billing.event_sinks s SET display_name = $3, url = $4, kinds = $5::text[], disabled = $6, request_id = "
    "$7::uuid, "
    "payload_sha256 = $8, version = s.version + 1, suspended = false, failures = 0, failing_since = NULL, "
    "next_attempt_time = '-infinity' WHERE s.tenant_id = $1::uuid AND s.id = $2";
constexpr std::string_view kRotate =
    "UPDATE billing.event_sinks s SET previous_salt = s.salt, previous_expire_time = billing.from_micros($4), salt = "
    "$3::uuid, "
    "request_id = $5::uuid, payload_sha256 = $6, version = s.version + 1 WHERE s.tenant_id = $1::uuid AND s.id = $2";
constexpr std::string_view kLastRequest =
    "SELECT s.request_id, s.payload_sha256 FROM billing.event_sinks s WHERE s.tenant_id = $1::uuid AND s.id = $2";

// All changes of a tenant's sinks one after another; it is what moves its money that waits for them, for as long as two
// statements.
std::optional<std::string> Lock(TenantTx& tx) {
  const std::optional<LockedAccount> account = LockAccount(tx);
  if (!account) return std::nullopt;
  return account->tenant_name;
}

std::optional<Uuid> IdOf(const RequestId& request) {
  return request.given() ? std::optional(request.id) : std::nullopt;
}

// Whether that request was the last to change it. ALREADY_EXISTS / REQUEST_ID_REUSED.
Result<bool> WasLast(TenantTx& tx, const std::string& id, const RequestId& request) {
  if (!request.given()) return false;
  const pqxx::result rows = tx.Exec(kLastRequest, tx.tenant(), id);
  if (rows.empty()) return false;
  RowReader row(rows[0]);
  std::optional<Uuid> last;
  std::string payload_sha256;
  row.Into(last, payload_sha256);
  if (last != request.id) return false;
  ALLOD_CHECK_OK(CheckSamePayload(request, payload_sha256));
  return true;
}

// It has a cursor when it is to get something.
void OpenCursor(TenantTx& tx, const std::string& id) {
  tx.Exec("SELECT billing.open_cursor($1::uuid, $2)", tx.tenant(), ConsumerOf(id));
}
void CloseCursor(TenantTx& tx, const std::string& id) {
  tx.Exec("SELECT billing.close_cursor($1::uuid, $2)", tx.tenant(), ConsumerOf(id));
}
std::optional<std::int64_t> Rewind(TenantTx& tx, const std::string& id, std::int64_t sequence) {
  const auto rows = tx.Exec("SELECT billing.rewind_cursor($1::uuid, $2, $3)", tx.tenant(), ConsumerOf(id), sequence);
  return ReadFirst(rows, [](RowReader& row) { return row.Next<std::optional<std::int64_t>>(); });
}

// Its URL is none of the details: some are secrets.
audit::Act ActOf(const std::string& verb, const EventSink& sink) {
  return {.action = "billing.eventSinks." + verb,
          .resource = sink.name(),
          .details = {{"disabled", sink.disabled ? "true" : "false"}}};
}

}  // namespace

EventSink ReadSink(RowReader& row) {
  EventSink sink;
  row.Into(sink.tenant, sink.tenant_name, sink.id, sink.display_name, sink.url, sink.kinds, sink.disabled, sink.salt,
           sink.previous_salt, sink.previous_expire_time, sink.version, sink.create_time, sink.health.suspended,
           sink.health.failures, sink.health.failing_since, sink.health.last_success_time, sink.health.last_error_time,
           sink.health.last_error, sink.health.next_attempt, sink.health.backlog);
  return sink;
}

Result<EventSink> FindSink(TenantTx& tx, const std::string& id) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM {} WHERE s.tenant_id = $1::uuid AND s.id = $2", kSinkColumns, kSinkFrom),
              tx.tenant(), id);
  if (rows.empty()) return NotFound(fmt::format("there is no event sink `{}`", id));
  return ReadFirst(rows, ReadSink);
}

std::string ConsumerOf(const std::string& sink) { return "sinks/" + sink; }

Result<EventSink> PgEventStore::CreateSink(const EventSink& wanted, const RequestId& request) {
  return pool_.Run<EventSink>(
      wanted.tenant,
      [&](TenantTx& tx) -> Result<EventSink> {
        if (!Lock(tx)) return NoBillingAccount();
        ALLOD_TRY(const bool again, WasLast(tx, wanted.id, request));
        if (again) return FindSink(tx, wanted.id);
        if (FindSink(tx, wanted.id)) {
          return Fail(Code::kAlreadyExists, "NAME_TAKEN",
                      fmt::format("event_sink_id: `{}` is there already", wanted.id));
        }
        const auto count =
            tx.Exec("SELECT count(*) FROM billing.event_sinks s WHERE s.tenant_id = $1::uuid", tx.tenant());
        if (count[0][0].as<int>() >= kSinksPerTenantMax) {
          return Fail(Code::kResourceExhausted, "TOO_MANY_EVENT_SINKS",
                      fmt::format("a tenant has at most {} event sinks; delete one first", kSinksPerTenantMax));
        }
        tx.Exec(kInsert, tx.tenant(), wanted.id, wanted.display_name, wanted.url, wanted.kinds, wanted.disabled,
                wanted.salt, IdOf(request), request.payload_sha256);
        if (!wanted.disabled) OpenCursor(tx, wanted.id);
        ALLOD_TRY(EventSink made, FindSink(tx, wanted.id));
        ALLOD_CHECK_OK(log_.Append(tx, made.tenant_name, ActOf("create", made)));
        return made;
      },
      RunAgain{});
}

Result<EventSink> PgEventStore::GetSink(TenantId tenant, const std::string& id) {
  return pool_.Run<EventSink>(tenant, [&](TenantTx& tx) -> Result<EventSink> { return FindSink(tx, id); });
}

Result<std::vector<EventSink>> PgEventStore::ListSinks(TenantId tenant, const std::string& after, int limit) {
  return pool_.Run<std::vector<EventSink>>(tenant, [&](TenantTx& tx) -> Result<std::vector<EventSink>> {
    return ReadAll(tx.Exec(fmt::format("SELECT {} FROM {} WHERE s.tenant_id = $1::uuid AND s.id > $2 COLLATE \"C\" "
                                       "ORDER BY s.id LIMIT $3",
                                       kSinkColumns, kSinkFrom),
                           tenant, after, limit),
                   ReadSink);
  });
}

Result<EventSink> PgEventStore::UpdateSink(const EventSink& wanted, const std::string& etag, const RequestId& request) {
  return pool_.Run<EventSink>(
      wanted.tenant,
      [&](TenantTx& tx) -> Result<EventSink> {
        Lock(tx);
        ALLOD_TRY(const EventSink standing, FindSink(tx, wanted.id));
        ALLOD_TRY(const bool again, WasLast(tx, wanted.id, request));
        if (again) return standing;
        if (EtagOf(standing) != etag) {
          return Fail(Code::kAborted, "ETAG_MISMATCH",
                      fmt::format("event_sink.etag: {} was changed since it was read; read it again", standing.name()));
        }
        tx.Exec(kUpdate, tx.tenant(), wanted.id, wanted.display_name, wanted.url, wanted.kinds, wanted.disabled,
                IdOf(request), request.payload_sha256);
        const bool had_cursor = !standing.disabled && !standing.health.suspended;
        if (had_cursor && wanted.disabled) CloseCursor(tx, wanted.id);
        if (!had_cursor && !wanted.disabled) {
          OpenCursor(tx, wanted.id);
          Rewind(tx, wanted.id, 1);
          tx.Exec("UPDATE billing.event_sinks s SET row_offset = 0 WHERE s.tenant_id = $1::uuid AND s.id = $2",
                  tx.tenant(), wanted.id);
        }
        ALLOD_TRY(EventSink changed, FindSink(tx, wanted.id));
        ALLOD_CHECK_OK(log_.Append(tx, changed.tenant_name, ActOf("update", changed)));
        return changed;
      },
      [&](TenantTx& tx) -> Result<EventSink> {
        // Without a request id it is told from others by the version alone.
        ALLOD_TRY(EventSink standing, FindSink(tx, wanted.id));
        if (!SameContent(standing, wanted) || EtagOf(standing) == etag) return NotFound("not changed");
        return standing;
      });
}

Result<EventSink> PgEventStore::RotateSecret(const SinkKey& key, const Uuid& salt, Time previous_expire_time,
                                             const RequestId& request) {
  return pool_.Run<EventSink>(
      key.tenant,
      [&](TenantTx& tx) -> Result<EventSink> {
        Lock(tx);
        ALLOD_CHECK_OK(FindSink(tx, key.id));
        ALLOD_TRY(const bool again, WasLast(tx, key.id, request));
        if (!again) {
          tx.Exec(kRotate, tx.tenant(), key.id, salt, previous_expire_time, IdOf(request), request.payload_sha256);
        }
        ALLOD_TRY(EventSink changed, FindSink(tx, key.id));
        if (!again) ALLOD_CHECK_OK(log_.Append(tx, changed.tenant_name, ActOf("rotateSecret", changed)));
        return changed;
      },
      [&](TenantTx& tx) -> Result<EventSink> {
        ALLOD_TRY(EventSink standing, FindSink(tx, key.id));
        if (standing.salt != salt) return NotFound("not rotated");
        return standing;
      });
}

Status PgEventStore::DeleteSink(const SinkKey& key) {
  const auto done = pool_.Run<int>(
      key.tenant,
      [&](TenantTx& tx) -> Result<int> {
        Lock(tx);
        ALLOD_TRY(const EventSink standing, FindSink(tx, key.id));
        // The sink's row before the cursor's, as who delivers takes them.
        tx.Exec("DELETE FROM billing.event_sinks s WHERE s.tenant_id = $1::uuid AND s.id = $2", tx.tenant(), key.id);
        CloseCursor(tx, key.id);
        ALLOD_CHECK_OK(log_.Append(tx, standing.tenant_name, ActOf("delete", standing)));
        return 0;
      },
      [&](TenantTx& tx) -> Result<int> {
        if (FindSink(tx, key.id)) return NotFound("not deleted");
        return 0;
      });
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<std::int64_t> PgEventStore::Replay(const SinkKey& key, std::int64_t sequence) {
  return pool_.Run<std::int64_t>(
      key.tenant,
      [&](TenantTx& tx) -> Result<std::int64_t> {
        Lock(tx);
        ALLOD_TRY(const EventSink standing, FindSink(tx, key.id));
        // The row first: what is being delivered does not move the cursor past it then.
        tx.Exec("UPDATE billing.event_sinks s SET row_offset = 0 WHERE s.tenant_id = $1::uuid AND s.id = $2",
                tx.tenant(), key.id);
        const auto first = Rewind(tx, key.id, sequence);
        if (!first) {
          return FailedPrecondition("SINK_NOT_ACTIVE", fmt::format("name: {} is {}; update it first", standing.name(),
                                                                   standing.disabled ? "disabled" : "suspended"));
        }
        audit::Act act = ActOf("replay", standing);
        act.details.push_back({"sequence", std::to_string(*first)});
        ALLOD_CHECK_OK(log_.Append(tx, standing.tenant_name, std::move(act)));
        return *first;
      },
      RunAgain{});
}

}  // namespace allod::billing::events
