// Members and sessions of the store in memory.
#include <fmt/format.h>

#include <algorithm>

#include "services/tenancy/tenant_tree.h"
#include "services/tenancy/testing/fake_identity_store.h"

namespace allod::tenancy {

Result<Member> FakeIdentityStore::MemberOf(const std::string& tenant, const std::string& id) const {
  const auto found = members_.find({tenant, id});
  if (found != members_.end()) return found->second;
  return NotFound(fmt::format("tenants/{}/members/{} does not exist", tenant, id));
}

People FakeIdentityStore::PeopleOf(const std::string& tenant) const {
  People out;
  for (const auto& [key, provider] : providers_) {
    if (key.first == tenant) out.providers.push_back(provider);
  }
  for (const auto& [key, member] : members_) {
    if (key.first == tenant) out.members.push_back(member);
  }
  out.roles = RolesOf(tenant);
  return out;
}

std::int64_t FakeIdentityStore::MembersOfProvider(const std::string& tenant, const std::string& provider) const {
  return std::ranges::count_if(
      members_, [&](const auto& entry) { return entry.first.first == tenant && entry.second.provider == provider; });
}

Status FakeIdentityStore::CheckStands(const Member& member) const {
  ALLOD_CHECK_OK(CheckPlace(PeopleOf(member.tenant), member));
  for (const RoleGrant& grant : member.grants) {
    if (!grant.project.empty()) ALLOD_CHECK_OK(tenants_.GetProject(member.tenant, grant.project));
  }
  return {};
}

Result<Member> FakeIdentityStore::CreateMember(const Member& member, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(member.tenant));
  ALLOD_TRY(const bool is_repeated, IsRepeated(member.tenant, request));
  const auto standing = MemberOf(member.tenant, member.id);
  if (is_repeated) return standing;
  if (standing && !SameContent(*standing, member)) return std::unexpected(TakenByOtherContent(member.name()));
  if (!standing) {
    ALLOD_CHECK_OK(CheckStands(member));
    Member& stored = members_[{member.tenant, member.id}] = member;
    stored.version = Next(member.tenant);
  }
  Remember(member.tenant, request);
  return MemberOf(member.tenant, member.id);
}

Result<Member> FakeIdentityStore::GetMember(const std::string& tenant, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return MemberOf(tenant, id);
}

Result<Page<Member>> FakeIdentityStore::ListMembers(const std::string& tenant, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(tenant));
  std::vector<Member> items;
  for (const auto& [key, member] : members_) {
    if (key.first == tenant && key.second > page.after) items.push_back(member);
  }
  return MakePage(page, std::move(items), [](const Member& m) { return m.id; });
}

Result<Member> FakeIdentityStore::UpdateMember(const Member& member, const std::string& etag, const Rights& held,
                                               const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const bool is_repeated, IsRepeated(member.tenant, request));
  ALLOD_TRY(const Member standing, MemberOf(member.tenant, member.id));
  if (is_repeated) return standing;
  ALLOD_CHECK_OK(CheckEtag("member", member.name(), EtagOf(standing), etag));
  ALLOD_CHECK_OK(CheckHolds(standing, held, StandingRoles(RolesOf(member.tenant))));
  if (!SameContent(standing, member)) {
    const People before = PeopleOf(member.tenant);
    ALLOD_CHECK_OK(CheckStands(member));
    ALLOD_CHECK_OK(CheckOwnerRemains(before, With(before, member)));
    Member changed = member;
    changed.uid = standing.uid;
    changed.create_time = standing.create_time;
    changed.version = Next(member.tenant);
    members_[{member.tenant, member.id}] = std::move(changed);
  }
  Remember(member.tenant, request);
  return MemberOf(member.tenant, member.id);
}

Result<std::int64_t> FakeIdentityStore::DeleteMember(const std::string& tenant, const std::string& id,
                                                     const Rights& held, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const bool is_repeated, IsRepeated(tenant, request));
  if (is_repeated) return versions_[tenant];
  ALLOD_TRY(const Member standing, MemberOf(tenant, id));
  ALLOD_CHECK_OK(CheckHolds(standing, held, StandingRoles(RolesOf(tenant))));
  const People before = PeopleOf(tenant);
  ALLOD_CHECK_OK(CheckOwnerRemains(before, Without(before, id)));
  Remember(tenant, request);
  members_.erase({tenant, id});
  return Next(tenant);
}

std::vector<FakeIdentityStore::StoredSession*> FakeIdentityStore::LiveSessions(const std::string& tenant,
                                                                               const std::optional<Person>& person,
                                                                               Time now) {
  std::vector<StoredSession*> out;
  for (auto& [key, stored] : sessions_) {
    if (key.first != tenant || !stored.session.HoldsAt(now)) continue;
    if (!person || stored.session.person == *person) out.push_back(&stored);
  }
  std::ranges::reverse(out);
  return out;
}

Result<SessionBeginning> FakeIdentityStore::BeginSession(const Session& session, const std::string& id_token_sha256) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const Tenant tenant, tenants_.GetTenant(session.tenant));
  if (!IsInForce(tenant)) return std::unexpected(TenantSuspended(session.tenant));
  ALLOD_TRY(const IdentityProvider provider, Provider(session.tenant, session.person.provider));
  SessionCounts others;
  for (const auto& [key, stored] : sessions_) {
    if (key.first != session.tenant) continue;
    if (stored.id_token_sha256 == id_token_sha256) return std::unexpected(TokenReplayed());
    if (stored.session.expire_time <= session.create_time) continue;
    ++others.unexpired;
    if (stored.session.person == session.person) ++others.unexpired_of_person;
  }
  SessionBeginning out;
  ALLOD_TRY(out.session, Admitted(session, provider, PeopleOf(session.tenant).members));
  const auto of_person = LiveSessions(session.tenant, session.person, session.create_time);
  const auto live = static_cast<std::int64_t>(LiveSessions(session.tenant, std::nullopt, session.create_time).size());
  const std::size_t kept = std::min<std::size_t>(of_person.size(), kSessionsPerPersonMax - 1);
  const auto excess = static_cast<std::int64_t>(of_person.size() - kept);
  others.live = live - excess;
  ALLOD_CHECK_OK(RoomForSession(session, others));
  int let_go = 0;
  std::erase_if(sessions_, [&](const auto& entry) {
    return entry.first.first == session.tenant &&
           entry.second.session.expire_time <= session.create_time - kSessionsKept && ++let_go <= kSessionsLetGo;
  });
  for (std::size_t i = kept; i < of_person.size(); ++i) of_person[i]->session.end_time = session.create_time;
  if (excess > 0) out.version = Next(session.tenant);
  sessions_[{session.tenant, session.id}] = {out.session, id_token_sha256};
  return out;
}

Result<Page<Session>> FakeIdentityStore::ListSessions(const std::string& tenant, const std::optional<Person>& person,
                                                      Time now, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(tenant));
  std::vector<Session> items;
  for (const StoredSession* stored : LiveSessions(tenant, person, now)) {
    if (page.after.empty() || stored->session.id.ToString() < page.after) items.push_back(stored->session);
  }
  return MakePage(page, std::move(items), [](const Session& s) { return s.id.ToString(); });
}

Result<SessionEnding> FakeIdentityStore::EndSession(const std::string& tenant, const Uuid& id, Time now) {
  const std::scoped_lock lock(mutex_);
  const auto found = sessions_.find({tenant, id});
  if (found == sessions_.end()) {
    return NotFound(fmt::format("tenants/{}/sessions/{} does not exist", tenant, id.ToString()));
  }
  Session& session = found->second.session;
  if (!session.HoldsAt(now)) return SessionEnding{0, versions_[tenant]};
  session.end_time = now;
  return SessionEnding{1, Next(tenant)};
}

Result<SessionEnding> FakeIdentityStore::EndSessions(const std::string& tenant, const Person& person, Time now) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(tenant));
  const auto live = LiveSessions(tenant, person, now);
  for (StoredSession* stored : live) stored->session.end_time = now;
  return SessionEnding{static_cast<int>(live.size()), live.empty() ? versions_[tenant] : Next(tenant)};
}

}  // namespace allod::tenancy
