// Every tenant as it is now, kept in step with the store, and what changes of them, for any number of watchers.
//
// Refresh() asks the store for the tenants that changed since the version that it has read up to, so changes made by
// another process on the same database are seen too and ten thousand tenants of which nothing is new cost one query
// without rows. A thread of the feed's own refreshes every 750 ms and at once after Notify(). While the store is away
// the last known state stays, as does that of a tenant whose row cannot be read, while the others go on. A tenant is
// one row and never goes, so nothing has to be forgotten: whoever is behind is sent each tenant's last change.
// Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "services/common/refresh_loop.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class TenantFeed {
 public:
  // The store outlives the feed.
  explicit TenantFeed(Store& store);
  ~TenantFeed() { Stop(); }
  TenantFeed(const TenantFeed&) = delete;

  void Start() { loop_.Start(); }
  // Ends the thread and every Next().
  void Stop();
  // Something changed: refresh now rather than within a second.
  void Notify() { loop_.Notify(); }
  // What the thread does. The error is the database's.
  Status Refresh();

  struct Batch {
    std::vector<std::shared_ptr<const Tenant>> tenants;  // by version
    std::int64_t version = 0;                            // pass to the next Next()
    bool news = false;  // false: nothing happened in `wait`, or the store has not been read yet
    bool stopped = false;
  };
  // What changed after the version of the last batch; without one, every tenant. Waits up to `wait` for it.
  Batch Next(std::optional<std::int64_t> after, std::chrono::milliseconds wait);

 private:
  Store& store_;
  std::mutex refresh_mutex_;  // one Refresh() at a time

  std::mutex mutex_;  // guards all below; never held while the store works
  std::condition_variable changed_;
  std::map<std::int64_t, std::shared_ptr<const Tenant>> tenants_;  // by version
  std::map<std::string, std::int64_t> versions_;                   // by id
  std::int64_t version_ = 0;
  bool loaded_ = false;
  bool stopped_ = false;
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::tenancy
