// For which tenant's provider an ID token without a nonce was shown first. A token says nothing of tenants, and several
// may name one issuer and client: who was given it to sign in to one does not sign in to another with it. That it
// begins one session of that tenant, the tenancy service keeps. Thread-safe.
//
// What is remembered is forgotten when the token is too old to be shown, and with the process. No tenant's people take
// the places of another's: each tenant has its own, and what is full is told as that.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "services/common/clock.h"
#include "services/common/digest.h"
#include "services/common/result.h"

namespace allod::gateway::sign_in {

class ShownTokens {
 public:
  static constexpr std::size_t kPerTenantMax = 1000;
  static constexpr std::size_t kTokensMax = 100'000;

  // `provider` (a full name) is the first that the token of this digest is shown for, until `end`. UNAUTHENTICATED /
  // TOKEN_REPLAYED when it was shown for another; RESOURCE_EXHAUSTED / TOO_MANY_SIGN_INS when there is no room.
  Status Claim(const Digest256& token, const std::string& provider, Time end, Time now);

 private:
  struct Shown {
    std::string provider;
    Time end;
  };
  // Costs what is forgotten, however much there is.
  void ForgetUntil(Time now);

  std::mutex mutex_;
  std::map<Digest256, Shown> tokens_;
  std::set<std::pair<Time, Digest256>> by_end_;
  std::map<std::string, std::size_t> per_tenant_;
};

}  // namespace allod::gateway::sign_in
