// The limits of tenants, of their projects and of the models in these, as tenancy pushes them beside the keys
// (PushedKeys), and which tenants are above which. What is known stays while the stream is broken. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "allod/tenancy/v1/api_key.pb.h"
#include "gateway/access/api_keys.h"
#include "gateway/access/rate_limits.h"
#include "services/common/result.h"
#include "services/common/rpc/pushed_state.h"
#include "services/common/rpc/watch_loop.h"

namespace allod::gateway::access {

struct TenantLimits {
  RateLimits tenant;
  std::map<std::string, RateLimits> projects;   // by full name
  std::map<std::string, RateLimits> instances;  // by full name
  std::vector<std::string> above;               // full names of the tenants above it, from the top
};

class LimitTable {
 public:
  // As PushedState has them.
  void BeginSnapshot() { known_.BeginSnapshot(); }
  void Apply(const tenancy::v1::WatchApiKeysResponse& message);
  void EndStream() { known_.EndStream(); }
  // Null: it has none of its own, and is below none. `tenant`: full name.
  std::shared_ptr<const TenantLimits> Of(const std::string& tenant) const;
  // Whether `tenant` is below `top`, both full names. UNAVAILABLE / KEYS_NOT_SYNCED before the first snapshot.
  Result<bool> IsBelow(const std::string& tenant, const std::string& top) const;

 private:
  using Entries = std::unordered_map<std::string, std::shared_ptr<const TenantLimits>>;  // by tenant
  PushedState<Entries> known_;
};

// What WatchApiKeys feeds: limits first, so that no key is let in without those that bind it.
class PushedKeys {
 public:
  PushedKeys(ApiKeyTable& keys, LimitTable& limits) : keys_(keys), limits_(limits) {}
  void BeginSnapshot();
  void Apply(const tenancy::v1::WatchApiKeysResponse& message);
  void EndStream();

 private:
  ApiKeyTable& keys_;
  LimitTable& limits_;
};

// Feeds `pushed`, which must outlive the loop.
std::unique_ptr<WatchLoop> WatchApiKeys(std::shared_ptr<grpc::Channel> tenancy, PushedKeys& pushed);

}  // namespace allod::gateway::access
