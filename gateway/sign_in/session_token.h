// What a person who has signed in holds: in a browser's cookie, or in the file that `allod login` wrote. Self-contained
// (federation/sealed_json.h); whether it still holds, and what it may, is Sessions' to say. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/federation/sealed_json.h"
#include "gateway/federation/trust_table.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::gateway::sign_in {

inline constexpr char kSessionTokenPrefix[] = "ald2_";
// So that a browser keeps it: 4096 bytes with the cookie's name and attributes.
inline constexpr std::size_t kSessionTokenCharsMax = 3800;

// Of one session, as the tenancy service has it.
inline constexpr std::size_t kMembersPerSessionMax = 32;

struct SessionToken {
  // A member whose claims the person had when it signed in.
  struct Held {
    std::string id;       // of the member
    std::string grounds;  // ShortGrounds() of it then

    bool operator==(const Held&) const = default;
  };
  Uuid id;
  std::string provider;  // `tenants/{tenant}/identityProviders/{provider}`
  std::string subject;
  std::string display_name;
  std::vector<Held> members;
  Time expire_time;  // of this token: seconds, as is the next
  Time end_time;     // of the session; until then a token that is used is renewed
};

// Enough of Member::grounds to tell two apart.
std::string ShortGrounds(const federation::Member& member);

class SessionSealer {
 public:
  explicit SessionSealer(std::string_view pepper);

  // RESOURCE_EXHAUSTED / TOO_MANY_MEMBERSHIPS for one that no browser would keep.
  Result<std::string> Seal(const SessionToken& token) const;
  // UNAUTHENTICATED / INVALID_TOKEN, SESSION_EXPIRED.
  Result<SessionToken> Open(std::string_view text, Time now) const;

 private:
  const federation::SealedJson seal_;
};

}  // namespace allod::gateway::sign_in
