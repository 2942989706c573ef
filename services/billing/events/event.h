// What happened, as others are told it: CloudEvents 1.0 in structured JSON. Pure.
//
// A row of the outbox (migrations/billing/0015) is one event, or, of settled usage, one for each request of a batch. An
// event's id is the same whenever it is told again: of usage the request id, else "{sequence}"; with `source` it is
// unique.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/result.h"

namespace allod::billing::events {

inline constexpr std::string_view kUsageRecorded = "usage.recorded";
inline constexpr std::string_view kTestKind = "event_sink.test";

// Of a batch at most; one event alone may have more.
inline constexpr std::size_t kBatchBytesMax = 256 << 10;

// A usage record as an event's data.
struct UsageData {
  std::string request_id;
  Time settle_time;
  std::string json;  // the resource as the portal shows it
};

struct OutboxRow {
  std::int64_t sequence = 0;
  std::string kind;
  std::string payload;  // JSON, an object
  Time create_time;
  std::vector<UsageData> usage;  // of kUsageRecorded, in the order of the row
};

// How far a receiver has come: it has all rows up to `sequence`, and `offset` events of the next one.
struct Position {
  std::int64_t sequence = 0;
  std::int32_t offset = 0;
  auto operator<=>(const Position&) const = default;
};

struct Batch {
  std::string body;  // application/cloudevents-batch+json; empty: there is no event that is wanted
  int event_count = 0;
  Position end;  // when it is delivered
};

// "usage.recorded", or "budget.*" for all that begin so. INVALID_ARGUMENT / UNKNOWN_EVENT_KIND names the field.
Status CheckKinds(std::string_view field, const std::vector<std::string>& kinds);
// No kinds: all of them.
bool IsWanted(const std::vector<std::string>& kinds, std::string_view kind);

// `tenant` is "tenants/ke".
std::string ToCloudEvent(std::string_view tenant, std::string_view id, std::string_view kind, std::string_view subject,
                         Time time, std::int64_t sequence, std::string_view data);

// All of a row.
std::vector<std::string> ToCloudEvents(std::string_view tenant, const OutboxRow& row);

// From `begin` on as many events of `rows` (in order, the first is that after begin.sequence) as fit.
Batch MakeBatch(std::string_view tenant, const std::vector<OutboxRow>& rows, Position begin,
                const std::vector<std::string>& kinds);

}  // namespace allod::billing::events
