// Rows of event sinks, for the pg_event_*.cc files.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "services/billing/domain.h"
#include "services/billing/events/event_store.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing::events {

// Of FROM kSinkFrom.
inline constexpr std::string_view kSinkColumns =
    "s.tenant_id, a.tenant_name, s.id, s.display_name, s.url, s.kinds, s.disabled, s.salt, "
    "CASE WHEN s.previous_expire_time > clock_timestamp() THEN s.previous_salt END, "
    "CASE WHEN s.previous_expire_time > clock_timestamp() THEN billing.to_micros(s.previous_expire_time) END, "
    "s.version, billing.to_micros(s.create_time), s.suspended, s.failures, billing.to_micros(s.failing_since), "
    "billing.to_micros(s.last_success_time), billing.to_micros(s.last_error_time), s.last_error, "
    "CASE WHEN s.failures > 0 THEN billing.to_micros(s.next_attempt_time) END, coalesce(h.last - c.sequence, 0)";
inline constexpr std::string_view kSinkFrom =
    "billing.event_sinks s JOIN billing.billing_accounts a ON a.tenant_id = s.tenant_id "
    "LEFT JOIN billing.outbox_heads h ON h.tenant_id = s.tenant_id "
    "LEFT JOIN billing.outbox_cursors c ON c.tenant_id = s.tenant_id AND c.consumer = 'sinks/' || s.id";
EventSink ReadSink(RowReader& row);
// NOT_FOUND.
Result<EventSink> FindSink(TenantTx& tx, const std::string& id);

std::string ConsumerOf(const std::string& sink);

// What an event of a settled request has as its data (convert_event.h).
using UsageJsonFn = std::function<std::string(const UsageRecord&, const std::string& tenant_name)>;
// The rows after `after`, in order: at most kRowsPerReadMax, with at most kRequestsPerReadMax requests unless the first
// alone has more. Not `with_usage`: without the requests.
std::vector<OutboxRow> ReadOutbox(TenantTx& tx, const std::string& tenant_name, std::int64_t after, bool with_usage,
                                  const UsageJsonFn& usage_json);

}  // namespace allod::billing::events
