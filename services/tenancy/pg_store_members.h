// The store of members in PostgreSQL, schema `tenancy` (migrations/tenancy).
#pragma once

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/member_store.h"

namespace allod::tenancy {

class PgMemberStore final : public MemberStore {
 public:
  explicit PgMemberStore(PgPool& pool) : pool_(pool) {}

  Result<Member> CreateMember(const Member& member, const RequestId& request) override;
  Result<Member> GetMember(const std::string& tenant, const std::string& id) override;
  Result<Page<Member>> ListMembers(const std::string& tenant, const PageRequest& page) override;
  Result<Member> UpdateMember(const Member& member, const std::string& etag, const Rights& held,
                              const RequestId& request) override;
  Result<std::int64_t> DeleteMember(const std::string& tenant, const std::string& id, const Rights& held,
                                    const RequestId& request) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
