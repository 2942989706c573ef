#include "services/billing/pg_store_rows.h"

#include "services/common/call_scope.h"

namespace allod::billing {

void AllowMinutes(PgTx& tx) {
  const auto limit = CurrentDeadline().Bound(std::chrono::minutes(2));
  tx.Exec("SELECT set_config('statement_timeout', $1, true)", std::to_string(std::max<std::int64_t>(1, limit.count())));
}

Reservation ReadReservation(RowReader& row) {
  Reservation r;
  row.Into(r.request_id, r.instance, r.variant, r.price_book, r.api_key, r.prompt_tokens_max, r.completion_tokens_max,
           r.currency_code, r.prompt_price, r.completion_price, r.hold, r.expire_time, r.tenant, r.isolation_class,
           r.revision);
  return r;
}

UsageRecord ReadUsageRecord(RowReader& row) {
  UsageRecord u;
  row.Into(u.request_id, u.instance, u.variant, u.price_book, u.api_key, u.outcome, u.prompt_tokens,
           u.completion_tokens, u.currency_code, u.prompt_price, u.completion_price, u.billed, u.cost, u.admit_time,
           u.settle_time, u.tenant, u.isolation_class, u.revision, u.excess_prompt_tokens, u.excess_completion_tokens,
           u.lease);
  return u;
}

Lease ReadLease(RowReader& row) {
  Lease e;
  row.Into(e.tenant, e.id, e.gateway, e.epoch, e.remaining, e.expire_time, e.ended, e.recalled, e.payload_sha256,
           e.added, e.create_time);
  return e;
}

}  // namespace allod::billing
