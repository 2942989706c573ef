// The store of sessions in PostgreSQL, schema `tenancy` (migrations/tenancy).
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/session_store.h"

namespace allod::tenancy {

class PgSessionStore final : public SessionStore {
 public:
  explicit PgSessionStore(PgPool& pool) : pool_(pool) {}

  Result<SessionBeginning> BeginSession(const Session& session, const std::string& id_token_sha256) override;
  Result<Page<Session>> ListSessions(const std::string& tenant, const std::optional<Person>& person, Time now,
                                     const PageRequest& page) override;
  Result<SessionEnding> EndSession(const std::string& tenant, const Uuid& id, Time now) override;
  Result<SessionEnding> EndSessions(const std::string& tenant, const Person& person, Time now) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
