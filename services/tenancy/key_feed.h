// The set of API keys that hold now, kept in step with the store, and the changes to it in order, for any number of
// watchers.
//
// Refresh() asks the store which tenants changed since the version that it has read up to, and reads of those only the
// keys that changed (all of a tenant whose state changed), so changes made by another process on the same database are
// seen too and work is proportional to change. A thread of the feed's own refreshes every 750 ms and at once after
// Notify(). While the store is away the last known set stays. Thread-safe.
//
// A tenant whose keys cannot be read is set aside (services/common/set_aside.h) and the others go on. What is known of
// it stays, because to refuse all its keys would let one bad row shut a tenant out; what was missed, revocations above
// all, is read as soon as it can be. Suspending such a tenant needs none of its keys and works at once.
//
// The keys of a tenant that is suspended, or deleted and still to be brought back, are told as others are, and that
// they are refused is one thing that is told beside, so that gateways can say why and a suspension costs the same
// however many there are.
//
// A key that expired is let go as one that was revoked, kExpiredKept later: until then gateways, which refuse it by
// their own clocks, can say why. A key whose life was shortened is told anew.
//
// The limits of a tenant, those of its projects and models included, are one thing that is told anew whole whenever any
// of them changed.
//
// A key that no longer holds is forgotten; that it was is remembered for the last kForgottenMax of them. A watcher that
// is further behind starts again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

struct KeyChange {
  ApiKey key;  // of a revoked key only the name parts are set
  std::string currency_code;
  bool revoked = false;
};

// Of a tenant whose keys did not hold at some time.
struct TenantStanding {
  std::string tenant;
  KeysStanding standing = KeysStanding::kInForce;  // kInForce for one that is gone, too: it has no keys
};

class KeyFeed {
 public:
  static constexpr std::size_t kForgottenMax = 10'000;
  static constexpr std::chrono::minutes kExpiredKept{5};

  // Both outlive the feed.
  KeyFeed(Store& store, const Clock& clock);
  ~KeyFeed() { Stop(); }
  KeyFeed(const KeyFeed&) = delete;

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
    std::int64_t version = 0;    // of the store's keys: everything up to it is in but of tenants that are set aside
  };
  struct Batch {
    std::vector<std::shared_ptr<const KeyChange>> changes;
    std::vector<std::shared_ptr<const TenantLimits>> limits;
    // To be told before the keys if it stops any, and after them if it lets them in.
    std::vector<std::shared_ptr<const TenantStanding>> standings;
    Position position;    // pass to the next Next()
    bool loaded = false;  // false: the store has not been read yet
    bool news = false;    // false: nothing happened in `wait`; changes may be empty although there is news
    bool behind = false;  // what is asked for is forgotten: begin without a position
    bool stopped = false;
  };
  // What changed after the position of the last batch; without one, every key that holds. Waits up to `wait` for it.
  Batch Next(const std::optional<Position>& after, std::chrono::milliseconds wait);

  // Until the tenant is not set aside; false when `wait` was over first.
  bool AwaitRead(const std::string& tenant, std::chrono::milliseconds wait);

  std::size_t keys() const;  // that hold but for their tenant's standing, or expired just now

 private:
  struct Entry {
    std::shared_ptr<const KeyChange> change;
    std::uint64_t revision = 0;
  };
  struct Tenant {
    std::optional<TenantKeysVersion> version;     // up to which its keys were read
    std::unordered_map<std::string, Entry> keys;  // that hold, by kid
    std::uint64_t limits_revision = 0;            // of its limits in limits_; 0: it never had any
    KeysStanding standing = KeysStanding::kInForce;
    std::uint64_t standing_revision = 0;  // of it in standings_; 0: it was never another than kInForce
  };
  struct Expiry {
    Time time;
    std::string tenant;
    std::string kid;
    auto operator<=>(const Expiry&) const = default;
  };
  // A failure that concerns nobody else is noted, and is none.
  Status RefreshTenantOrSetAside(const TenantKeysVersion& version);
  Status RefreshTenant(const TenantKeysVersion& version);
  // Those that expired kExpiredKept ago; work is proportional to their number.
  void DropExpired();
  // With the lock held:
  void Hold(Tenant& tenant, const ApiKey& key);
  void Drop(Tenant& tenant, const std::string& kid);
  void Stand(const std::string& id, KeysStanding standing);

  Store& store_;
  const Clock& clock_;
  std::mutex refresh_mutex_;  // one Refresh() at a time
  SetAside set_aside_{"tenancy"};

  mutable std::mutex mutex_;  // guards all below; never held while the store works
  std::condition_variable changed_;
  std::map<std::string, Tenant> tenants_;                                     // that ever had a key, by id
  std::map<std::uint64_t, std::shared_ptr<const KeyChange>> log_;             // each key's last change, by revision
  std::map<std::uint64_t, std::shared_ptr<const TenantLimits>> limits_;       // each tenant's as they are, by revision
  std::map<std::uint64_t, std::shared_ptr<const TenantStanding>> standings_;  // the same
  std::deque<std::uint64_t> forgotten_;             // of those in log_ the revocations, oldest first
  std::uint64_t complete_since_ = 0;                // log_ has every change after this revision
  std::set<Expiry> expiries_;                       // of the keys in tenants_ that expire
  std::map<std::string, TenantKeysVersion> aside_;  // tenants that are set aside, what is to be read
  std::uint64_t revision_ = 0;
  std::int64_t version_ = 0;
  std::size_t keys_ = 0;
  bool loaded_ = false;
  bool stopped_ = false;
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::tenancy
