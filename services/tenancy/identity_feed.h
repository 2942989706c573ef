// What every tenant trusts and grants (identity.h, member.h) and which sessions were ended (session.h), kept in step
// with the store, for any number of watchers.
//
// Refresh() asks the store which tenants changed since the version that it has read up to, and reads these whole: they
// are small. A thread of the feed's own refreshes every 750 ms and at once after Notify(), so changes made by another
// process are seen too and work is proportional to change. While the store is away what is known stays. Thread-safe.
//
// A tenant that cannot be read is set aside (services/common/set_aside.h) and the others go on: what is known of it
// stays. Suspending such a tenant needs none of its rows and works at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"
#include "services/tenancy/identity_store.h"

namespace allod::tenancy {

struct KnownIdentity {
  TenantIdentityVersion version;
  TenantIdentity identity;  // empty of a suspended tenant
};

class IdentityFeed {
 public:
  // Both outlive the feed.
  IdentityFeed(IdentityStore& store, const Clock& clock);
  ~IdentityFeed() { Stop(); }
  IdentityFeed(const IdentityFeed&) = delete;

  void Start() { loop_.Start(); }
  // Ends the thread and every Next().
  void Stop();
  // Something changed: refresh now rather than within a second.
  void Notify() { loop_.Notify(); }
  // What the thread does. The error is the database's.
  Status Refresh();

  // How far a watcher is.
  struct Position {
    std::uint64_t revision = 0;  // of the feed, in this process
    std::int64_t version = 0;    // of the store: everything up to it is in but of tenants that are set aside
  };
  struct Batch {
    std::vector<std::shared_ptr<const KnownIdentity>> tenants;
    Position position;  // pass to the next Next()
    bool news = false;  // false: nothing happened in `wait`; there may be news without tenants
    bool stopped = false;
  };
  // Tenants that changed after the position of the last batch; without one, all. Waits up to `wait` for it.
  Batch Next(const std::optional<Position>& after, std::chrono::milliseconds wait);

  // Until the tenant is not set aside; false when `wait` was over first.
  bool AwaitRead(const std::string& tenant, std::chrono::milliseconds wait);

 private:
  struct Entry {
    std::shared_ptr<const KnownIdentity> known;
    std::uint64_t revision = 0;
  };
  // Errors are those that concern everybody.
  Status RefreshTenantOrSetAside(const TenantIdentityVersion& version);
  Status RefreshTenant(const TenantIdentityVersion& version);

  IdentityStore& store_;
  const Clock& clock_;
  std::mutex refresh_mutex_;  // one refresh at a time
  SetAside set_aside_{"tenancy"};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  bool loaded_ = false;
  std::uint64_t revision_ = 0;
  std::int64_t version_ = 0;
  std::map<std::string, Entry> tenants_;
  std::map<std::uint64_t, std::string> by_revision_;  // the newest of each tenant
  std::map<std::string, TenantIdentityVersion> aside_;
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::tenancy
