// One attempt to sign in, kept in the browser that makes it: a cookie, sealed, good for ten minutes.
#pragma once

#include <string>
#include <string_view>

#include "gateway/federation/sealed_json.h"
#include "services/common/clock.h"
#include "services/common/result.h"

namespace allod::gateway::sign_in {

inline constexpr std::chrono::minutes kAttemptLife{10};

struct Attempt {
  std::string provider;   // full name
  std::string return_to;  // a path of this origin
  // Random, each of 256 bits: whose answer it is, whose ID token, and who may take the code.
  std::string state;
  std::string nonce;
  std::string verifier;
  Time expire_time;
};

Attempt NewAttempt(std::string provider, std::string return_to, Time now);

// What may be returned to: a path of this origin; /auth/whoami for everything else.
std::string SafePath(std::string_view path);

class AttemptSealer {
 public:
  explicit AttemptSealer(std::string_view pepper);
  std::string Seal(const Attempt& attempt) const;
  // UNAUTHENTICATED / NO_ATTEMPT: there is none, it is over, or it is none of ours.
  Result<Attempt> Open(std::string_view text, Time now) const;

 private:
  const federation::SealedJson seal_;
};

}  // namespace allod::gateway::sign_in
