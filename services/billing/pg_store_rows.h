// Rows of billing's tables as domain values. Included by the pg_store*.cc files only.
#pragma once

#include <string>
#include <string_view>

#include "services/billing/computed_usage.h"
#include "services/billing/decide.h"
#include "services/billing/domain.h"
#include "services/billing/lease.h"
#include "services/billing/pg_account.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"

namespace allod {

template <>
inline constexpr auto kRowWords<billing::Outcome> =
    std::to_array<RowWord<billing::Outcome>>({{billing::Outcome::kCompleted, "completed"},
                                              {billing::Outcome::kClientCancelled, "client_cancelled"},
                                              {billing::Outcome::kFault, "fault"},
                                              {billing::Outcome::kGatewayLost, "gateway_lost"}});
template <>
inline constexpr auto kRowWords<billing::ComputedOutcome> =
    std::to_array<RowWord<billing::ComputedOutcome>>({{billing::ComputedOutcome::kCompleted, "completed"},
                                                      {billing::ComputedOutcome::kCancelled, "cancelled"},
                                                      {billing::ComputedOutcome::kFailed, "failed"},
                                                      {billing::ComputedOutcome::kLost, "lost"}});

}  // namespace allod

namespace allod::billing {

// An audit reads everything; the pool's limit is for requests. Not beyond the call's deadline.
void AllowMinutes(PgTx& tx);

// Column lists for a row that goes by the name r, u or e, and their readers.
inline constexpr int kReservationColumnCount = 15;
inline constexpr std::string_view kReservationColumns =
    "(r).request_id, (r).instance, (r).variant, (r).price_book_id, (r).api_key, (r).prompt_tokens_max, "
    "(r).completion_tokens_max, (r).currency_code, (r).prompt_price, (r).completion_price, (r).hold, "
    "billing.to_micros((r).expire_time), (r).tenant_id, (r).isolation_class, (r).revision";
Reservation ReadReservation(RowReader& row);

inline constexpr std::string_view kUsageColumns =
    "(u).request_id, (u).instance, (u).variant, (u).price_book_id, (u).api_key, (u).outcome, (u).prompt_tokens, "
    "(u).completion_tokens, (u).currency_code, (u).prompt_price, (u).completion_price, (u).billed, (u).cost, "
    "billing.to_micros((u).admit_time), billing.to_micros((u).settle_time), (u).tenant_id, (u).isolation_class, "
    "coalesce((u).revision, 0), (u).excess_prompt_tokens, (u).excess_completion_tokens, (u).lease_id";
UsageRecord ReadUsageRecord(RowReader& row);

inline constexpr std::string_view kLeaseColumns =
    "(e).tenant_id, (e).id, (e).gateway_id, (e).epoch, (e).remaining, billing.to_micros((e).expire_time), "
    "(e).end_time IS NOT NULL, (e).recalled, (e).payload_sha256, (e).added, billing.to_micros((e).create_time)";
Lease ReadLease(RowReader& row);

}  // namespace allod::billing
