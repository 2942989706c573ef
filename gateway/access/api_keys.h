// The API keys that are valid now, in memory: authentication without a round trip. Thread-safe.
//
// ApiKeyTable holds them and is fed by WatchApiKeys of the tenancy service: a snapshot, then each change, each
// acknowledged. While the stream is broken the last state stands, and a key that is not in it may be a new one; before
// the first snapshot nobody is let in. What a request costs does not depend on how many keys there are.
#pragma once

#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "allod/tenancy/v1/api_key.pb.h"
#include "gateway/access/authenticator.h"
#include "services/common/api_key_format.h"
#include "services/common/rpc/watch_loop.h"

namespace allod::gateway::access {

class ApiKeyTable final : public Authenticator {
 public:
  explicit ApiKeyTable(std::string pepper) : pepper_(std::move(pepper)) {}

  // A new stream begins: what follows up to `synced` replaces what was known.
  void BeginSnapshot();
  void Apply(const tenancy::v1::WatchApiKeysResponse& message);
  // The stream broke: from now on there may be keys that are not known here.
  void EndStream();
  bool synced() const;
  std::size_t size() const;

  // From the value of an Authorization header. Junk is refused by its checksum before anything is looked up, secrets
  // are compared in constant time. UNAUTHENTICATED / INVALID_API_KEY; UNAVAILABLE / KEYS_NOT_SYNCED before the first
  // snapshot, and for a key that is not known while the stream is broken.
  Result<Principal> Authenticate(std::string_view authorization) const override;

 private:
  struct Entry {
    Principal principal;
    ApiKeyDigest digest{};
  };
  using Entries = std::unordered_map<std::string, Entry>;  // by kid
  static void ApplyKey(const tenancy::v1::WatchApiKeysResponse::Key& key, Entries& entries);

  const std::string pepper_;
  mutable std::shared_mutex mutex_;
  bool synced_ = false;   // there was a snapshot
  bool current_ = false;  // and the stream that brought it is not broken, as far as is known
  bool in_snapshot_ = false;
  Entries entries_;
  Entries snapshot_;  // being received
};

// Feeds `table`, which must outlive the loop.
std::unique_ptr<WatchLoop> WatchApiKeys(std::shared_ptr<grpc::Channel> tenancy, ApiKeyTable& table);

}  // namespace allod::gateway::access
