// For which tenant's provider an ID token without a nonce was shown first. A token says nothing of tenants, and several
// may name one issuer and client: who was given it to sign in to one does not sign in to another with it. That it
// begins one session of that tenant, the tenancy service keeps. Thread-safe.
//
// What is remembered is forgotten when the token is too old to be shown, and with the process.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "services/common/clock.h"
#include "services/common/digest.h"

namespace allod::gateway::sign_in {

class ShownTokens {
 public:
  static constexpr std::size_t kTokensMax = 100'000;

  // Whether `provider` (a full name) is the first that the token of this digest is shown for, until `end`. False too
  // when there is no room.
  bool Claim(const Digest256& token, const std::string& provider, Time end, Time now);

 private:
  struct Shown {
    std::string provider;
    Time end;
  };
  std::mutex mutex_;
  std::map<Digest256, Shown> tokens_;
};

}  // namespace allod::gateway::sign_in
