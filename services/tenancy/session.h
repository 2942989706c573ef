// Sessions: people who have signed in. Pure: no I/O, no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"
#include "services/tenancy/member.h"

namespace allod::tenancy {

enum class SessionClient { kBrowser, kCommandLine };

// Who signs in, as the provider knows it.
struct Person {
  std::string provider;  // id of the tenant's identity provider
  std::string subject;   // `sub` of its tokens

  bool operator==(const Person&) const = default;
};

struct Session {
  std::string tenant;
  Uuid id;  // version 7 at create_time
  Person person;
  std::string display_name;
  std::vector<std::string> members;  // ids, each once; at least one
  SessionClient client = SessionClient::kBrowser;
  std::string client_address;
  std::string user_agent;
  Time create_time;
  Time expire_time;
  std::optional<Time> end_time = std::nullopt;  // when it was ended before

  std::string name() const { return "tenants/" + tenant + "/sessions/" + id.ToString(); }
  bool HoldsAt(Time now) const { return !end_time && expire_time > now; }
};

inline constexpr std::chrono::hours kSessionMax{24};
inline constexpr int kSessionsPerPersonMax = 32;  // that hold
// That have not expired, ended or not: so that signing in and out again is nobody else's trouble.
inline constexpr int kUnexpiredSessionsPerPersonMax = 128;
inline constexpr int kSessionsPerTenantMax = 10'000;
// That have not expired, ended or not: gateways are told of those that were ended.
inline constexpr int kUnexpiredSessionsPerTenantMax = 30'000;
// How long sessions that have expired are kept, and how many are let go as another begins.
inline constexpr std::chrono::hours kSessionsKept{90 * 24};
inline constexpr int kSessionsLetGo = 100;

// `field` names it. INVALID_ARGUMENT / INVALID_SUBJECT.
Status CheckSubject(std::string_view field, std::string_view subject);
// Checks what a gateway gave, puts the members in order and cuts what people and their programs call themselves.
// INVALID_ARGUMENT with INVALID_SUBJECT, INVALID_MEMBER, INVALID_TEXT or INVALID_EXPIRE_TIME.
Result<Session> ValidSession(Session session);

// The session by those of its members through whom the person still gets in; `members` has those that there are.
// FAILED_PRECONDITION / NO_SIGN_IN for a provider with which nobody signs in now; PERMISSION_DENIED / NO_SUCH_MEMBER.
Result<Session> Admitted(Session session, const IdentityProvider& provider, const std::vector<Member>& members);
// Of the sessions beside it.
struct SessionCounts {
  std::int64_t live = 0;                 // of the tenant; those that hold
  std::int64_t unexpired = 0;            // with those that were ended
  std::int64_t unexpired_of_person = 0;  // of those the person's
};
// RESOURCE_EXHAUSTED / TOO_MANY_SESSIONS.
Status RoomForSession(const Session& session, const SessionCounts& others);
// UNAUTHENTICATED / TOKEN_REPLAYED.
Error TokenReplayed();
// FAILED_PRECONDITION / TENANT_SUSPENDED.
Error TenantSuspended(const std::string& tenant);

}  // namespace allod::tenancy
