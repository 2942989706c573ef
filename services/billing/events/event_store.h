// The storage port of event sinks and of what is sent to them. Every method is one whole transaction. Thread-safe and
// blocking; besides the errors named here every method may fail with UNAVAILABLE when the database cannot be reached.
//
// Implementation: PgEventStore (migrations/billing/0015, 0017).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/events/event.h"
#include "services/billing/events/sink.h"
#include "services/common/request_id.h"

namespace allod::billing::events {

// What a sink is to be sent next.
struct Pending {
  EventSink sink;
  Position begin;
  std::vector<OutboxRow> rows;  // in order, the first after begin.sequence; at most kRowsPerReadMax
};

struct Failure {
  std::string error;
  std::chrono::milliseconds retry_after;
};

// Rows, and requests in them (a row's are read as a whole).
inline constexpr int kRowsPerReadMax = 64;
inline constexpr int kRequestsPerReadMax = 1000;
// Whoever takes a sink has it so long, and nobody else: longer than a delivery takes.
inline constexpr std::chrono::seconds kClaim{20};

class EventStore {
 public:
  virtual ~EventStore() = default;

  // ALREADY_EXISTS / NAME_TAKEN; a request that was the last to change it is answered again. RESOURCE_EXHAUSTED /
  // TOO_MANY_EVENT_SINKS. FAILED_PRECONDITION / NO_BILLING_ACCOUNT. It begins with what happens from now on.
  virtual Result<EventSink> CreateSink(const EventSink& wanted, const RequestId& request) = 0;
  virtual Result<EventSink> GetSink(TenantId tenant, const std::string& id) = 0;  // NOT_FOUND
  // By id, after `after`.
  virtual Result<std::vector<EventSink>> ListSinks(TenantId tenant, const std::string& after, int limit) = 0;
  // Replaces what can be changed; one that was suspended, or disabled and is no more, begins with the oldest row that
  // is there. ABORTED / ETAG_MISMATCH.
  virtual Result<EventSink> UpdateSink(const EventSink& wanted, const std::string& etag, const RequestId& request) = 0;
  // The secret before it holds until `previous_expire_time` beside the new one.
  virtual Result<EventSink> RotateSecret(const SinkKey& key, const Uuid& salt, Time previous_expire_time,
                                         const RequestId& request) = 0;
  virtual Status DeleteSink(const SinkKey& key) = 0;
  // Everything from `sequence` on again, as far as rows are there; answers with the first. FAILED_PRECONDITION /
  // SINK_NOT_ACTIVE.
  virtual Result<std::int64_t> Replay(const SinkKey& key, std::int64_t sequence) = 0;

  // Sinks with something to send whose time has come, over all tenants, after `after`.
  virtual Result<std::vector<SinkKey>> DueSinks(const std::optional<SinkKey>& after, int limit) = 0;
  // Claims it. Nothing: it is not due any more, or somebody else has it.
  virtual Result<std::optional<Pending>> Take(const SinkKey& key) = 0;
  // What was taken at `begin` is delivered up to `end`, and the claim is over; unless it was sent back meanwhile, then
  // it stays there. `sent`: something was; else nothing of it was wanted.
  // Answers whether it was suspended by it: what it gets next is older than kBehindMax.
  virtual Result<bool> Delivered(const SinkKey& key, Position begin, Position end, bool sent) = 0;
  // Answers whether it was suspended by it: it failed for kSuspendAfter, or is as far behind.
  virtual Result<bool> Failed(const SinkKey& key, const Failure& failure) = 0;

  // Tenants with rows that nobody needs any more, after `after`.
  virtual Result<std::vector<TenantId>> TenantsToTrim(std::optional<TenantId> after, int limit) = 0;
  // At most `limit` rows; how many they were.
  virtual Result<int> Trim(TenantId tenant, int limit) = 0;
};

}  // namespace allod::billing::events
