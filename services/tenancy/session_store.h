// The storage port of sessions: every method is one whole transaction. Implementations: PgSessionStore,
// FakeIdentityStore; the suite in tests/contract/session_store_test.cc runs on both. Thread-safe.
//
// Versions are those of identity_store.h: from them on gateways know which sessions were ended. A session that begins
// changes nothing for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "services/common/page_token.h"
#include "services/tenancy/session.h"

namespace allod::tenancy {

struct SessionBeginning {
  Session session;           // by those of its members that still hold
  std::int64_t version = 0;  // from which on older ones of the person are ended; 0: none had to be
};

struct SessionEnding {
  int ended = 0;  // how many held until now
  std::int64_t version = 0;
};

class SessionStore {
 public:
  virtual ~SessionStore() = default;

  // `id_token_sha256` is 64 hex digits. Ends the oldest sessions of a person who would have more than
  // kSessionsPerPersonMax, and lets go of some that are over for long. NOT_FOUND for tenant and provider,
  // TENANT_SUSPENDED, TOKEN_REPLAYED, and the errors of Admitted() and RoomForSession() (session.h).
  virtual Result<SessionBeginning> BeginSession(const Session& session, const std::string& id_token_sha256) = 0;
  // Those that hold at `now`, of one person or of all, the newest first.
  virtual Result<Page<Session>> ListSessions(const std::string& tenant, const std::optional<Person>& person, Time now,
                                             const PageRequest& page) = 0;
  // NOT_FOUND for one that there never was; one that does not hold is passed over.
  virtual Result<SessionEnding> EndSession(const std::string& tenant, const Uuid& id, Time now) = 0;
  // All of a person.
  virtual Result<SessionEnding> EndSessions(const std::string& tenant, const Person& person, Time now) = 0;
};

}  // namespace allod::tenancy
