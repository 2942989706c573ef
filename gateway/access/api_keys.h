// The API keys that are valid now, in memory: authentication without a round trip. Thread-safe.
//
// ApiKeyTable holds them and is fed by WatchApiKeys of the tenancy service: a snapshot, then each change, each
// acknowledged. While the stream is broken the last state stands, and a key that is not in it may be a new one; before
// the first snapshot nobody is let in. Keys of tenants that are suspended or being deleted are known, so that their
// owners can be told why they are refused. What a request costs does not depend on how many keys there are.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "allod/tenancy/v1/api_key.pb.h"
#include "gateway/access/authenticator.h"
#include "gateway/access/key_uses.h"
#include "services/common/api_key_format.h"
#include "services/common/clock.h"
#include "services/common/rpc/pushed_state.h"

namespace allod::gateway::access {

class ApiKeyTable final : public Authenticator {
 public:
  // The clock says which keys expired; `uses` is told of those that are let in. Both must outlive this.
  ApiKeyTable(std::string pepper, const Clock& clock, KeyUses& uses)
      : pepper_(std::move(pepper)), clock_(clock), uses_(uses) {}

  // As PushedState has them.
  void BeginSnapshot() { known_.BeginSnapshot(); }
  void Apply(const tenancy::v1::WatchApiKeysResponse& message);
  void EndStream() { known_.EndStream(); }
  bool synced() const { return known_.Read().synced(); }
  std::size_t size() const { return known_.Read()->keys.size(); }

  // From the value of an Authorization header. Junk is refused by its checksum before anything is looked up, secrets
  // are compared in constant time; who has the right one is told that it expired, UNAUTHENTICATED / API_KEY_EXPIRED, or
  // that it is not let in from its address, PERMISSION_DENIED / ADDRESS_NOT_ALLOWED, or, if it is let in but for that,
  // that its tenant is suspended or being deleted, PERMISSION_DENIED / TENANT_SUSPENDED. UNAUTHENTICATED /
  // INVALID_API_KEY; UNAVAILABLE / KEYS_NOT_SYNCED before the first snapshot, and for a key that is not known while the
  // stream is broken.
  Result<Principal> Authenticate(std::string_view authorization, const std::optional<IpAddress>& client) const override;

 private:
  // The last minute that was noted. Written by requests, which share the lock.
  struct UsedMinute {
    std::atomic<std::int64_t> minute{-1};
    UsedMinute() = default;
    UsedMinute(const UsedMinute& other) : minute(other.minute.load(std::memory_order_relaxed)) {}
    UsedMinute& operator=(const UsedMinute& other) {
      minute.store(other.minute.load(std::memory_order_relaxed), std::memory_order_relaxed);
      return *this;
    }
    // Whether it is another one than before, for one of those who ask at once.
    bool Advance(std::int64_t now);
  };
  struct Entry {
    Principal principal;
    ApiKeyDigest digest{};
    std::optional<Time> expire_time;
    std::vector<IpRange> ranges;  // empty: every address
    mutable UsedMinute used;
  };
  using Standing = tenancy::v1::WatchApiKeysResponse::TenantStanding;
  struct Known {
    std::unordered_map<std::string, Entry> keys;                  // by kid
    std::unordered_map<std::string, Standing::Standing> stopped;  // by id: tenants whose keys are not in force
  };
  static void ApplyKey(const tenancy::v1::WatchApiKeysResponse::Key& key, Known& known);
  static void ApplyStanding(const Standing& standing, Known& known);
  static Result<Entry> EntryOf(const tenancy::v1::WatchApiKeysResponse::Key& key);

  const std::string pepper_;
  const Clock& clock_;
  KeyUses& uses_;
  PushedState<Known> known_;
};

}  // namespace allod::gateway::access
