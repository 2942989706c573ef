// The set of API keys that hold now, kept in step with the store, and the changes to it in order, for any number of
// watchers.
//
// Refresh() asks the store which tenants changed (one query) and re-reads only their keys, so changes made by another
// process on the same database are seen too. A thread of the feed's own refreshes every second and at once after
// Notify(). While the store is away the last known set stays. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/tenancy/store.h"

namespace allod::tenancy {

struct KeyChange {
  ApiKey key;  // of a revoked key only the name parts are set
  std::string currency_code;
  bool revoked = false;
};

class KeyFeed {
 public:
  explicit KeyFeed(Store& store) : store_(store) {}
  ~KeyFeed() { Stop(); }
  KeyFeed(const KeyFeed&) = delete;

  void Start();
  // Ends the thread and every Next().
  void Stop();
  // Something changed: refresh now rather than within a second.
  void Notify();
  // What the thread does.
  Status Refresh();

  struct Batch {
    std::vector<KeyChange> changes;
    std::uint64_t revision = 0;  // pass to the next Next()
    bool loaded = false;         // false: the store has not been read yet
    bool stopped = false;
  };
  // What changed after the revision of the last batch; without one, every key that holds. Waits up to `wait` for it.
  Batch Next(std::optional<std::uint64_t> after, std::chrono::milliseconds wait);

 private:
  struct Entry {
    KeyChange change;
    std::uint64_t revision = 0;
  };
  void Loop();
  void Apply(const TenantKeysVersion& version, const std::vector<ApiKey>& keys);

  Store& store_;
  std::mutex refresh_mutex_;  // one Refresh() at a time; guards seen_
  std::map<std::string, TenantKeysVersion> seen_;

  std::mutex mutex_;  // guards all below; never held while the store works
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;  // by kid
  std::uint64_t revision_ = 0;
  bool loaded_ = false;
  bool notified_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace allod::tenancy
