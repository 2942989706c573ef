// Reserve, settle, expire: the transactions that move money.
#include <fmt/format.h>

#include "services/billing/pg_store.h"
#include "services/billing/pg_store_rows.h"
#include "services/billing/pg_store_slices.h"
#include "services/common/fault_point.h"

namespace allod::billing {
namespace {

const std::string kLockForReserve = fmt::format(
    "SELECT (s.price_book).id IS NOT NULL, coalesce(s.terminal_kind, ''), s.was_leased, (p).prompt_price, "
    "(p).completion_price, {}, "
    "{} "
    "FROM billing.lock_for_reserve($1::uuid, $2::uuid, $3::uuid, $4, $5) s, "
    "LATERAL (SELECT s.account AS a, s.receivable AS l, s.price AS p, s.reservation AS r) x",
    kAccountColumns, kReservationColumns);

// $18: the id of the hold; $19: the revision.
constexpr std::string_view kWriteReservation = R"(
  WITH hold AS (
    INSERT INTO billing.transfers (tenant_id, id, kind, debit, credit, currency_code, amount, create_time)
    VALUES ($1::uuid, $18::uuid, 'pending', $3, $4, $5, $6::numeric, billing.from_micros($7))),
  reservation AS (
    INSERT INTO billing.reservations (tenant_id, request_id, instance, variant, price_book_id, api_key, prompt_tokens_max,
      completion_tokens_max, currency_code, prompt_price, completion_price, hold, expire_time, create_time,
      isolation_class, hold_id, revision)
    VALUES ($1::uuid, $2::uuid, $8, $9, $10::uuid, $11, $12, $13, $5, $14::numeric, $15::numeric, $6::numeric,
      billing.from_micros($16), billing.from_micros($7), $17, $18::uuid, $19))
  INSERT INTO billing.open_reservations (tenant_id, request_id, expire_time, revision)
  VALUES ($1::uuid, $2::uuid, billing.from_micros($16), $19)
  ON CONFLICT (tenant_id, request_id) DO UPDATE SET revision = EXCLUDED.revision)";

// A hold that another revision replaces, in the transaction that makes the new one.
constexpr std::string_view kReleaseHold = R"(
  INSERT INTO billing.transfers (tenant_id, id, kind, pending_id, debit, credit, currency_code, amount, create_time)
  VALUES ($1::uuid, $2::uuid, 'void', $3::uuid, $4, $5, $6, $7::numeric, billing.from_micros($8)))";

const std::string kFindReservation = fmt::format(
    "SELECT {} FROM billing.reservations r WHERE r.tenant_id = $1::uuid AND r.request_id = $2::uuid "
    "AND r.revision = $3",
    kReservationColumns);

const std::string kLockForSettle = fmt::format(
    "SELECT coalesce(s.terminal_kind, ''), {}, {} FROM billing.lock_for_settle($1::uuid, $2::uuid) s, "
    "LATERAL (SELECT s.reservation AS r, s.usage_record AS u) x",
    kReservationColumns, kUsageColumns);

// Everything about the end of a request, at once. $3 '': no transfer (the hold expired and nothing is to pay); $22: the
// id of the hold.
constexpr std::string_view kWriteSettlement = R"(
  WITH transfer AS (
    INSERT INTO billing.transfers (tenant_id, id, kind, pending_id, expired_id, debit, credit, currency_code, amount,
      create_time)
    SELECT $1::uuid, $4::uuid, $3, CASE WHEN $3 <> 'late_post' THEN $22::uuid END,
      CASE WHEN $3 = 'late_post' THEN $22::uuid END, $5, $6, $7, $8::numeric, billing.from_micros($9)
    WHERE $3 <> ''),
  usage AS (
    INSERT INTO billing.usage_records (tenant_id, request_id, instance, variant, price_book_id, api_key, outcome,
      prompt_tokens, completion_tokens, currency_code, prompt_price, completion_price, billed, cost, admit_time, settle_time,
      isolation_class, revision, excess_prompt_tokens, excess_completion_tokens, invoice_epoch)
    VALUES ($1::uuid, $2::uuid, $10, $11, $12::uuid, $13, $14, $15, $16, $7, $17::numeric, $18::numeric, $19, $20::numeric,
      billing.from_micros($21), billing.from_micros($9), $23, $24, $25, $26,
      (SELECT a.invoice_epoch FROM billing.billing_accounts a WHERE a.tenant_id = $1::uuid)))
  DELETE FROM billing.open_reservations o WHERE o.tenant_id = $1::uuid AND o.request_id = $2::uuid)";

const std::string kFindUsage = fmt::format(
    "SELECT {} FROM billing.usage_records u WHERE u.tenant_id = $1::uuid AND u.request_id = $2::uuid", kUsageColumns);

constexpr std::string_view kAnythingDue =
    "SELECT FROM billing.open_reservations o WHERE o.tenant_id = $1::uuid AND o.expire_time <= billing.from_micros($2) "
    "LIMIT 1";

constexpr std::string_view kTenantsWithDueHolds =
    "SELECT d.id FROM billing.tenants_with_due_holds($1, $2::uuid, $3) AS d (id) ORDER BY d.id";

constexpr std::string_view kExpire = R"(
  WITH due AS (
    SELECT o.request_id, r.hold_id FROM billing.open_reservations o
    JOIN billing.reservations r
      ON r.tenant_id = o.tenant_id AND r.request_id = o.request_id AND r.revision = o.revision
    WHERE o.tenant_id = $1::uuid AND o.expire_time <= billing.from_micros($2)
    ORDER BY o.expire_time LIMIT $3),
  released AS (
    INSERT INTO billing.transfers (tenant_id, id, kind, pending_id, debit, credit, currency_code, amount, create_time)
    SELECT t.tenant_id, gen_random_uuid(), 'expire', t.id, t.debit, t.credit, t.currency_code, t.amount,
      billing.from_micros($2)
    FROM due JOIN billing.transfers t ON t.tenant_id = $1::uuid AND t.id = due.hold_id)
  DELETE FROM billing.open_reservations o USING due WHERE o.tenant_id = $1::uuid AND o.request_id = due.request_id)";

HoldState HoldStateFrom(const std::string& terminal_kind) {
  if (terminal_kind.empty()) return HoldState::kOpen;
  if (terminal_kind == "post") return HoldState::kPosted;
  if (terminal_kind == "void") return HoldState::kVoided;
  return HoldState::kExpired;
}

ReserveState LockForReserve(TenantTx& tx, const ReserveCommand& command) {
  const pqxx::result rows = tx.Exec(kLockForReserve, command.tenant.ToString(), command.request_id.ToString(),
                                    command.price_book.ToString(), VariantId(command.variant), command.isolation_class);
  RowReader row(rows.at(0));
  ReserveState state;
  row.Into(state.price_book_exists);
  state.hold = HoldStateFrom(row.Next<std::string>());
  row.Into(state.was_leased);
  if (row.NextIsNull()) {
    row.Skip(2);
  } else {
    TokenPrice& price = state.price.emplace();
    row.Into(price.prompt, price.completion);
  }
  if (row.NextIsNull()) {
    row.Skip(kAccountColumnCount);
  } else {
    state.account = ReadAccount(row);
  }
  if (!row.NextIsNull()) state.existing = ReadReservation(row);
  return state;
}

// A hold of its own has no part in the slices that gateways have.
Status CheckNoHardBudget(TenantTx& tx, const ReserveCommand& command) {
  ALLOD_TRY(const Time admitted, TimeOfRequestId(command.request_id));
  if (!CountsInHardBudget(tx, command.api_key, command.instance, admitted)) return {};
  return FailedPrecondition("HARD_BUDGET",
                            "tenant: the request counts in a hard budget, which is kept by leases: admit it from one "
                            "(LeaseService), with a gateway of this version");
}

void ReleaseHold(TenantTx& tx, const Reservation& r, Time now) {
  tx.Exec(kReleaseHold, r.tenant.ToString(), Uuid::V7(now).ToString(), HoldId(r.request_id, r.revision).ToString(),
          std::string(kReceivable), std::string(kUsageRevenue), r.currency_code, r.hold, now);
}

void WriteReservation(TenantTx& tx, const Reservation& r, Time now) {
  tx.Exec(kWriteReservation, r.tenant.ToString(), r.request_id.ToString(), std::string(kReceivable),
          std::string(kUsageRevenue), r.currency_code, r.hold, now, r.instance, r.variant, r.price_book.ToString(),
          r.api_key, r.prompt_tokens_max, r.completion_tokens_max, r.prompt_price, r.completion_price, r.expire_time,
          r.isolation_class, HoldId(r.request_id, r.revision).ToString(), r.revision);
}

SettleState LockForSettle(TenantTx& tx, const SettleCommand& command) {
  const pqxx::result rows = tx.Exec(kLockForSettle, command.tenant.ToString(), command.request_id.ToString());
  RowReader row(rows.at(0));
  SettleState state;
  state.hold = HoldStateFrom(row.Next<std::string>());
  if (row.NextIsNull()) {
    row.Skip(kReservationColumnCount);
  } else {
    state.reservation = ReadReservation(row);
  }
  if (!row.NextIsNull()) state.record = ReadUsageRecord(row);
  return state;
}

void WriteSettlement(TenantTx& tx, const SettleDecision& decision, Amount hold, Time now) {
  const UsageRecord& u = decision.record;
  std::string kind;
  Amount amount = u.cost;
  switch (decision.transfer) {
    case SettleTransfer::kPost:
      kind = "post";
      break;
    case SettleTransfer::kVoid:
      kind = "void";
      amount = hold;  // what is released
      break;
    case SettleTransfer::kLatePost:
      kind = "late_post";
      break;
    case SettleTransfer::kNone:
      break;
  }
  tx.Exec(kWriteSettlement, u.tenant.ToString(), u.request_id.ToString(), kind, Uuid::V7(now).ToString(),
          std::string(kReceivable), std::string(kUsageRevenue), u.currency_code, amount, u.settle_time, u.instance,
          u.variant, u.price_book.ToString(), u.api_key, u.outcome, u.prompt_tokens, u.completion_tokens,
          u.prompt_price, u.completion_price, u.billed, u.cost, u.admit_time,
          HoldId(u.request_id, u.revision).ToString(), u.isolation_class, u.revision, u.excess_prompt_tokens,
          u.excess_completion_tokens);
}

}  // namespace

Result<Reservation> PgStore::Reserve(const ReserveCommand& command, Time now) {
  return money_.Run<Reservation>(
      command.tenant,
      [&](TenantTx& tx) -> Result<Reservation> {
        const ReserveState state = LockForReserve(tx, command);
        ALLOD_TRY(const ReserveDecision decision, DecideReserve(state, command, now));
        if (!decision.replay && state.account->budgets_version > 0) ALLOD_CHECK_OK(CheckNoHardBudget(tx, command));
        if (decision.replaced) ReleaseHold(tx, *decision.replaced, now);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kReserveReleased));
        if (!decision.replay) WriteReservation(tx, decision.reservation, now);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kReserveWritten));
        return decision.reservation;
      },
      [&](TenantTx& tx) -> Result<Reservation> {
        const auto rows =
            tx.Exec(kFindReservation, command.tenant.ToString(), command.request_id.ToString(), command.revision);
        if (rows.empty()) return NotFound("the reservation was not committed");
        ALLOD_TRY(const ReserveDecision decision,
                  DecideReserve({.existing = ReadFirst(rows, ReadReservation)}, command, now));
        return decision.reservation;
      });
}

Result<UsageRecord> PgStore::Settle(const SettleCommand& command, Time now) {
  return money_.Run<UsageRecord>(
      command.tenant,
      [&](TenantTx& tx) -> Result<UsageRecord> {
        const SettleState state = LockForSettle(tx, command);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kSettleLocked));
        ALLOD_TRY(const SettleDecision decision, DecideSettle(state, command, now));
        if (!decision.replay) WriteSettlement(tx, decision, state.reservation->hold, now);
        ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kSettleWritten));
        return decision.record;
      },
      [&](TenantTx& tx) -> Result<UsageRecord> {
        const auto rows = tx.Exec(kFindUsage, command.tenant.ToString(), command.request_id.ToString());
        if (rows.empty()) return NotFound("the settlement was not committed");
        ALLOD_TRY(const SettleDecision decision,
                  DecideSettle({.record = ReadFirst(rows, ReadUsageRecord)}, command, now));
        return decision.record;
      });
}

Result<int> PgStore::ExpireReservations(TenantId tenant, Time now, int limit) {
  // In doubt, the next round finds what is left: an expired hold is no longer open.
  return money_.Run<int>(tenant, [&](TenantTx& tx) -> Result<int> {
    if (tx.Exec(kAnythingDue, tenant.ToString(), now).empty()) return 0;  // without the lock
    LockAccount(tx);
    const auto expired = static_cast<int>(tx.Exec(kExpire, tenant.ToString(), now, limit).affected_rows());
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kExpireWritten));
    return expired;
  });
}

Result<std::vector<TenantId>> PgStore::TenantsWithDueHolds(Time now, std::optional<TenantId> after, int limit) {
  return money_.Run<std::vector<TenantId>>([&](GlobalTx& tx) -> Result<std::vector<TenantId>> {
    return ReadAll(tx.Exec(kTenantsWithDueHolds, now, (after ? after->value : Uuid()).ToString(), limit),
                   [](RowReader& row) { return row.Next<TenantId>(); });
  });
}

}  // namespace allod::billing
