// The keys of issuers and where they are to be asked, fetched when they are needed and kept for a while. Thread-safe;
// never blocks.
//
// Keys are found by OpenID Connect Discovery: `{issuer}/.well-known/openid-configuration` must name the same issuer,
// and its `jwks_uri` is read. Of one issuer one fetch is in progress, however many wait for it; between two there is
// `interval_min`, whatever came of the first. Keys are good for `fresh`; then they are fetched again, and serve on
// until that has succeeded, for `age_max` in all: after that nothing is verified with them. A tenant has at most
// kFetchesPerTenantMax fetches at a time, so that its slow issuers keep nobody else's waiting.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "services/common/jose/key_set.h"
#include "services/common/result.h"
#include "services/common/web/fetcher.h"

namespace allod::gateway::federation {

struct KeysLimits {
  std::chrono::milliseconds fresh = std::chrono::minutes(10);
  std::chrono::milliseconds age_max = std::chrono::hours(1);
  std::chrono::milliseconds interval_min = std::chrono::seconds(15);
};

// What an issuer publishes (OpenID Connect Discovery 1.0). What it does not have is empty.
struct Issuer {
  jose::KeySet keys;
  std::string authorization_endpoint;
  std::string token_endpoint;
  bool names_itself = false;  // in its answers to browsers (RFC 9207)
};

using KnownIssuer = std::shared_ptr<const Issuer>;

class IssuerKeys {
 public:
  static constexpr std::size_t kIssuersMax = 4096;
  static constexpr std::size_t kWaitersMax = 256;  // of one issuer
  static constexpr int kFetchesPerTenantMax = 4;

  using SteadyTime = std::chrono::steady_clock::time_point;
  using Now = std::function<SteadyTime()>;
  // Called once, at once or from the fetcher's thread.
  using Done = std::function<void(Result<KnownIssuer>)>;

  // `fetcher` outlives the last callback, which it makes.
  IssuerKeys(
      Fetcher& fetcher, KeysLimits limits, Now now = [] { return std::chrono::steady_clock::now(); });
  ~IssuerKeys();
  IssuerKeys(const IssuerKeys&) = delete;

  // On behalf of `tenant`. UNAVAILABLE / ISSUER_UNAVAILABLE when they cannot be had now, with a time to retry after;
  // FAILED_PRECONDITION / ADDRESS_NOT_ALLOWED, ISSUER_MISCONFIGURED when asking again changes nothing soon.
  void Get(const std::string& issuer, const std::string& tenant, Done done);
  // Others than `known`, in which something was not found: an issuer changes its keys. UNAUTHENTICATED /
  // TOKEN_KEY_UNKNOWN when those are the newest and `interval_min` has not passed.
  void GetNewer(const std::string& issuer, const std::string& tenant, const KnownIssuer& known, Done done);

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;  // shared with fetches in progress
};

}  // namespace allod::gateway::federation
