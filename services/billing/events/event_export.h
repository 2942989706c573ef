// Exports: where an operator wants the events of all tenants: a file, a Redis stream (billing's configuration;
// docs/events.md). Each event at least once, and in order for each tenant: a cursor moves when what is before it is
// kept.
//
// The loop owns one thread from Start() to Stop(), one for each export, so that one that is away keeps nothing from
// another; from sinks of tenants neither. Of several processes with the same export each tells all of it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "services/billing/events/event.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/set_aside.h"

namespace allod::billing::events {

class EventExport {
 public:
  virtual ~EventExport() = default;
  // CloudEvents in structured JSON, one each, without line breaks. They are kept when it returns. By one thread at a
  // time. UNAVAILABLE / EXPORT_FAILED says why not; some of them may be kept all the same.
  virtual Status Put(const std::vector<std::string>& events) = 0;
};

struct TenantBehind {
  TenantId tenant;
  std::int64_t cursor = 0;
};

// What a consumer of all tenants reads.
struct TenantRows {
  std::string tenant_name;
  std::vector<OutboxRow> rows;  // in order; may begin later than after the cursor, when what is before is gone
};

class ExportStore {
 public:
  virtual ~ExportStore() = default;
  // Consumers of all tenants are these from now on, and whatever others there are beside exports. What is not named any
  // more holds nothing any more. An export's consumer is "export_{name}".
  virtual Status SetExports(const std::vector<std::string>& names) = 0;
  // It holds nothing any more.
  virtual Status RemoveExport(const std::string& name) = 0;
  virtual Result<std::vector<TenantBehind>> Behind(const std::string& destination, std::optional<TenantId> after,
                                                   int limit) = 0;
  virtual Result<TenantRows> ReadRows(TenantId tenant, std::int64_t after) = 0;
  virtual Status Advance(TenantId tenant, const std::string& destination, std::int64_t sequence) = 0;
};

class ExportLoop {
 public:
  // All outlive it. One that has failed for kSuspendAfter (sink.h) is left until billing is started again, and holds no
  // events.
  ExportLoop(ExportStore& store, EventExport& destination, std::string name, const Clock& clock)
      : store_(store), destination_(destination), name_(std::move(name)), clock_(clock) {}
  ~ExportLoop() { Stop(); }

  void Start();
  void Stop();  // joins; idempotent

  // One round over the tenants with something new; how many events were put.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  void Loop(const std::stop_token& stop);
  Result<int> PutAll(const TenantBehind& behind, const std::stop_token& stop);

  ExportStore& store_;
  EventExport& destination_;
  const std::string name_;
  const Clock& clock_;
  SetAside set_aside_{"billing_exports"};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  OwnedThread thread_;
};

}  // namespace allod::billing::events
