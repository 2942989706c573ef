// The stores of identity providers and workload rules, of members and of sessions in memory, for tests. Held to the
// same suites as those in PostgreSQL.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "services/tenancy/identity_store.h"
#include "services/tenancy/member_store.h"
#include "services/tenancy/role_store.h"
#include "services/tenancy/session_store.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class FakeIdentityStore final : public IdentityStore, public MemberStore, public SessionStore, public RoleStore {
 public:
  // `tenants` has the tenants and projects, and outlives this.
  explicit FakeIdentityStore(Store& tenants) : tenants_(tenants) {}

  Result<IdentityProvider> CreateProvider(const IdentityProvider& provider, const RequestId& request) override;
  Result<IdentityProvider> GetProvider(const std::string& tenant, const std::string& id) override;
  Result<Page<IdentityProvider>> ListProviders(const std::string& tenant, const PageRequest& page) override;
  Result<IdentityProvider> UpdateProvider(const IdentityProvider& provider, const std::string& etag, const Rights& held,
                                          const RequestId& request) override;
  Result<std::int64_t> DeleteProvider(const std::string& tenant, const std::string& id,
                                      const RequestId& request) override;
  Result<WorkloadRule> CreateRule(const WorkloadRule& rule, const RequestId& request) override;
  Result<WorkloadRule> GetRule(const std::string& tenant, const std::string& project, const std::string& id) override;
  Result<Page<WorkloadRule>> ListRules(const std::string& tenant, const std::string& project,
                                       const PageRequest& page) override;
  Result<WorkloadRule> UpdateRule(const WorkloadRule& rule, const std::string& etag, const RequestId& request) override;
  Result<std::int64_t> DeleteRule(const std::string& tenant, const std::string& project, const std::string& id,
                                  const RequestId& request) override;
  Result<std::vector<TenantIdentityVersion>> IdentityVersions(std::int64_t after, int limit) override;
  Result<std::vector<TenantRole>> ReadRoles(const std::string& tenant) override;
  Result<TenantIdentity> ReadIdentity(const std::string& tenant, Time now) override;

  Result<Member> CreateMember(const Member& member, const RequestId& request) override;
  Result<Member> GetMember(const std::string& tenant, const std::string& id) override;
  Result<Page<Member>> ListMembers(const std::string& tenant, const PageRequest& page) override;
  Result<Member> UpdateMember(const Member& member, const std::string& etag, const Rights& held,
                              const RequestId& request) override;
  Result<std::int64_t> DeleteMember(const std::string& tenant, const std::string& id, const Rights& held,
                                    const RequestId& request) override;

  Result<TenantRole> CreateRole(const TenantRole& role, const RequestId& request) override;
  Result<TenantRole> GetRole(const std::string& tenant, const std::string& id) override;
  Result<Page<TenantRole>> ListRoles(const std::string& tenant, const PageRequest& page) override;
  Result<TenantRole> UpdateRole(const TenantRole& role, const std::string& etag, const Rights& held,
                                const RequestId& request) override;
  Result<std::int64_t> DeleteRole(const std::string& tenant, const std::string& id, const Rights& held,
                                  const RequestId& request) override;

  Result<SessionBeginning> BeginSession(const Session& session, const std::string& id_token_sha256) override;
  Result<Page<Session>> ListSessions(const std::string& tenant, const std::optional<Person>& person, Time now,
                                     const PageRequest& page) override;
  Result<SessionEnding> EndSession(const std::string& tenant, const Uuid& id, Time now) override;
  Result<SessionEnding> EndSessions(const std::string& tenant, const Person& person, Time now) override;

  // What the database's trigger does when a tenant's state changes.
  void StateChanged(const std::string& tenant);
  // Reading what this tenant has fails with `error` until it is reset to nothing; with "" as the tenant, everything.
  void FailReadsOf(const std::string& tenant, std::optional<Error> error);

 private:
  using Key = std::pair<std::string, std::string>;  // tenant and provider or member, or project's name and rule
  struct StoredSession {
    Session session;
    std::string id_token_sha256;
  };
  // Whether an earlier request had this id and payload.
  Result<bool> IsRepeated(const std::string& parent, const RequestId& request) const;
  void Remember(const std::string& parent, const RequestId& request);
  Result<IdentityProvider> Provider(const std::string& tenant, const std::string& id) const;
  Result<WorkloadRule> Rule(const std::string& tenant, const std::string& project, const std::string& id) const;
  Result<Member> MemberOf(const std::string& tenant, const std::string& id) const;
  People PeopleOf(const std::string& tenant) const;
  Result<TenantRole> RoleNamed(const std::string& tenant, const std::string& id) const;
  std::vector<TenantRole> RolesOf(const std::string& tenant) const;
  std::int64_t MembersOfProvider(const std::string& tenant, const std::string& provider) const;
  Status CheckStands(const Member& member) const;
  // That hold at `now`, the newest first.
  std::vector<StoredSession*> LiveSessions(const std::string& tenant, const std::optional<Person>& person, Time now);
  std::int64_t Next(const std::string& tenant) { return versions_[tenant] = ++clock_; }
  Status CheckReads(const std::string& tenant) const;

  Store& tenants_;
  std::mutex mutex_;
  std::int64_t clock_ = 0;
  std::map<std::string, std::int64_t> versions_;
  std::map<Key, IdentityProvider> providers_;
  std::map<Key, WorkloadRule> rules_;
  std::map<Key, Member> members_;
  std::map<Key, TenantRole> roles_;
  std::map<std::pair<std::string, Uuid>, StoredSession> sessions_;  // by tenant
  std::map<std::pair<std::string, Uuid>, std::string> requests_;    // by parent, id: the payload's digest
  std::map<std::string, std::optional<Error>> failures_;
};

}  // namespace allod::tenancy
