// Event sinks and the outbox in PostgreSQL (migrations/billing/0015, 0017).
#pragma once

#include <functional>

#include "services/billing/domain.h"
#include "services/billing/events/event_store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"

namespace allod::billing::events {

class PgEventStore final : public EventStore {
 public:
  // What an event of a settled request has as its data (convert_event.h).
  using UsageJson = std::function<std::string(const UsageRecord&, const std::string& tenant_name)>;
  // The pool outlives it.
  PgEventStore(PgPool& pool, UsageJson usage_json) : pool_(pool), usage_json_(std::move(usage_json)) {}

  Result<EventSink> CreateSink(const EventSink& wanted, const RequestId& request) override;
  Result<EventSink> GetSink(TenantId tenant, const std::string& id) override;
  Result<std::vector<EventSink>> ListSinks(TenantId tenant, const std::string& after, int limit) override;
  Result<EventSink> UpdateSink(const EventSink& wanted, const std::string& etag, const RequestId& request) override;
  Result<EventSink> RotateSecret(const SinkKey& key, const Uuid& salt, Time previous_expire_time,
                                 const RequestId& request) override;
  Status DeleteSink(const SinkKey& key) override;
  Result<std::int64_t> Replay(const SinkKey& key, std::int64_t sequence) override;
  Result<std::vector<SinkKey>> DueSinks(const std::optional<SinkKey>& after, int limit) override;
  Result<std::optional<Pending>> Take(const SinkKey& key) override;
  Result<bool> Delivered(const SinkKey& key, Position begin, Position end, bool sent) override;
  Result<bool> Failed(const SinkKey& key, const Failure& failure) override;
  Result<std::vector<TenantId>> TenantsToTrim(std::optional<TenantId> after, int limit) override;
  Result<int> Trim(TenantId tenant, int limit) override;

 private:
  PgPool& pool_;
  const UsageJson usage_json_;
  const audit::PgLog log_{"billing"};
};

}  // namespace allod::billing::events
