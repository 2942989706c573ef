// The storage port of members: every method is one whole transaction, under the lock that all changes of a tenant's
// providers, rules, members and sessions take. Implementations: PgMemberStore, FakeIdentityStore; the suite in
// tests/contract/member_store_test.cc runs on both. Thread-safe.
//
// Request ids and versions are as in identity_store.h; the request id is the tenant's. `held` is what who asks has at
// the tenant.
#pragma once

#include <string>

#include "services/common/page_token.h"
#include "services/common/request_id.h"
#include "services/tenancy/member.h"

namespace allod::tenancy {

class MemberStore {
 public:
  virtual ~MemberStore() = default;

  // ALREADY_EXISTS / ALREADY_EXISTS with other content; NOT_FOUND for the tenant or a project; with the errors of
  // CheckPlace() (member.h).
  virtual Result<Member> CreateMember(const Member& member, const RequestId& request) = 0;
  virtual Result<Member> GetMember(const std::string& tenant, const std::string& id) = 0;
  // Ordered by id, up to page.size items.
  virtual Result<Page<Member>> ListMembers(const std::string& tenant, const PageRequest& page) = 0;
  // Replaces what has `etag`; keeps uid and create_time. ABORTED / ETAG_MISMATCH; PERMISSION_DENIED / ROLE_NOT_HELD
  // for what stands; FAILED_PRECONDITION / LAST_OWNER; and those of CreateMember.
  virtual Result<Member> UpdateMember(const Member& member, const std::string& etag, const Rights& held,
                                      const RequestId& request) = 0;
  // The version from which on it is gone. ROLE_NOT_HELD, LAST_OWNER.
  virtual Result<std::int64_t> DeleteMember(const std::string& tenant, const std::string& id, const Rights& held,
                                            const RequestId& request) = 0;
};

}  // namespace allod::tenancy
