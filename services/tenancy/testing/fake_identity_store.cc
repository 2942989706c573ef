#include "services/tenancy/testing/fake_identity_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {
namespace {

std::string ProjectOf(const std::string& tenant, const std::string& project) {
  return fmt::format("tenants/{}/projects/{}", tenant, project);
}

}  // namespace

Result<bool> FakeIdentityStore::IsRepeated(const std::string& parent, const RequestId& request) const {
  const auto found = requests_.find({parent, request.id});
  if (!request.given() || found == requests_.end()) return false;
  ALLOD_CHECK_OK(CheckSamePayload(request, found->second));
  return true;
}

void FakeIdentityStore::Remember(const std::string& parent, const RequestId& request) {
  if (request.given()) requests_[{parent, request.id}] = request.payload_sha256;
}

Result<IdentityProvider> FakeIdentityStore::Provider(const std::string& tenant, const std::string& id) const {
  const auto found = providers_.find({tenant, id});
  if (found != providers_.end()) return found->second;
  return NotFound(fmt::format("tenants/{}/identityProviders/{} does not exist", tenant, id));
}

Result<WorkloadRule> FakeIdentityStore::Rule(const std::string& tenant, const std::string& project,
                                             const std::string& id) const {
  const auto found = rules_.find({ProjectOf(tenant, project), id});
  if (found != rules_.end()) return found->second;
  return NotFound(fmt::format("{}/workloadRules/{} does not exist", ProjectOf(tenant, project), id));
}

Status FakeIdentityStore::CheckReads(const std::string& tenant) const {
  const auto found = failures_.find(tenant);
  if (found != failures_.end() && found->second) return std::unexpected(*found->second);
  return {};
}

Result<IdentityProvider> FakeIdentityStore::CreateProvider(const IdentityProvider& provider, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetTenant(provider.tenant));
  ALLOD_TRY(const bool is_repeated, IsRepeated(provider.tenant, request));
  const auto standing = Provider(provider.tenant, provider.id);
  if (is_repeated) return standing;
  if (standing && !SameContent(*standing, provider)) return std::unexpected(TakenByOtherContent(provider.name()));
  std::int64_t others = 0;
  for (const auto& [key, other] : providers_) {
    if (key.first != provider.tenant || key.second == provider.id) continue;
    ++others;
    if (other.issuer == provider.issuer) return std::unexpected(IssuerTaken(provider));
  }
  if (!standing) {
    ALLOD_CHECK_OK(RoomForProvider(provider, others));
    IdentityProvider& stored = providers_[{provider.tenant, provider.id}] = provider;
    stored.version = Next(provider.tenant);
  }
  Remember(provider.tenant, request);
  return Provider(provider.tenant, provider.id);
}

Result<IdentityProvider> FakeIdentityStore::GetProvider(const std::string& tenant, const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return Provider(tenant, id);
}

Result<Page<IdentityProvider>> FakeIdentityStore::ListProviders(const std::string& tenant, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  std::vector<IdentityProvider> items;
  for (const auto& [key, provider] : providers_) {
    if (key.first == tenant && key.second > page.after) items.push_back(provider);
  }
  return MakePage(page, std::move(items), [](const IdentityProvider& p) { return p.id; });
}

Result<IdentityProvider> FakeIdentityStore::UpdateProvider(const IdentityProvider& provider, const std::string& etag,
                                                           const Rights& held, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const bool is_repeated, IsRepeated(provider.tenant, request));
  ALLOD_TRY(const IdentityProvider standing, Provider(provider.tenant, provider.id));
  if (is_repeated) return standing;
  ALLOD_CHECK_OK(CheckEtag("identity_provider", provider.name(), EtagOf(standing), etag));
  ALLOD_TRY(IdentityProvider changed, Changed(standing, provider));
  if (SameContent(standing, changed)) {
    Remember(provider.tenant, request);
    return standing;
  }
  ALLOD_CHECK_OK(CheckSignInUnused(standing, changed, MembersOfProvider(provider.tenant, provider.id)));
  const People before = PeopleOf(provider.tenant);
  ALLOD_CHECK_OK(CheckHolds(standing, changed, before, held));
  ALLOD_CHECK_OK(CheckOwnerRemains(before, With(before, changed)));
  Remember(provider.tenant, request);
  changed.version = Next(provider.tenant);
  return providers_[{provider.tenant, provider.id}] = changed;
}

Result<std::int64_t> FakeIdentityStore::DeleteProvider(const std::string& tenant, const std::string& id,
                                                       const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_TRY(const bool is_repeated, IsRepeated(tenant, request));
  if (is_repeated) return versions_[tenant];
  ALLOD_TRY(const IdentityProvider standing, Provider(tenant, id));
  const auto rules = std::ranges::count_if(
      rules_, [&](const auto& entry) { return entry.second.tenant == tenant && entry.second.provider == id; });
  ALLOD_CHECK_OK(CheckUnused(standing, rules, MembersOfProvider(tenant, id)));
  Remember(tenant, request);
  providers_.erase({tenant, id});
  return Next(tenant);
}

Result<WorkloadRule> FakeIdentityStore::CreateRule(const WorkloadRule& rule, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  const std::string parent = ProjectOf(rule.tenant, rule.project);
  ALLOD_CHECK_OK(tenants_.GetProject(rule.tenant, rule.project));
  ALLOD_TRY(const bool is_repeated, IsRepeated(parent, request));
  const auto standing = Rule(rule.tenant, rule.project, rule.id);
  if (is_repeated) return standing;
  if (standing && !SameContent(*standing, rule)) return std::unexpected(TakenByOtherContent(rule.name()));
  if (!standing) {
    ALLOD_CHECK_OK(Provider(rule.tenant, rule.provider));
    ALLOD_CHECK_OK(StandingRoles(RolesOf(rule.tenant)).CheckUnchanged(rule.custom_roles, rule.roles_seen));
    std::int64_t in_project = 0;
    std::int64_t in_tenant = 0;
    for (const auto& [key, other] : rules_) {
      if (other.tenant != rule.tenant) continue;
      ++in_tenant;
      if (other.project == rule.project) ++in_project;
    }
    ALLOD_CHECK_OK(RoomForRule(rule, in_project, in_tenant));
    WorkloadRule& stored = rules_[{parent, rule.id}] = rule;
    stored.version = Next(rule.tenant);
  }
  Remember(parent, request);
  return Rule(rule.tenant, rule.project, rule.id);
}

Result<WorkloadRule> FakeIdentityStore::GetRule(const std::string& tenant, const std::string& project,
                                                const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return Rule(tenant, project, id);
}

Result<Page<WorkloadRule>> FakeIdentityStore::ListRules(const std::string& tenant, const std::string& project,
                                                        const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(tenants_.GetProject(tenant, project));
  std::vector<WorkloadRule> items;
  for (const auto& [key, rule] : rules_) {
    if (key.first == ProjectOf(tenant, project) && key.second > page.after) items.push_back(rule);
  }
  return MakePage(page, std::move(items), [](const WorkloadRule& r) { return r.id; });
}

Result<WorkloadRule> FakeIdentityStore::UpdateRule(const WorkloadRule& rule, const std::string& etag,
                                                   const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  const std::string parent = ProjectOf(rule.tenant, rule.project);
  ALLOD_TRY(const bool is_repeated, IsRepeated(parent, request));
  ALLOD_TRY(const WorkloadRule standing, Rule(rule.tenant, rule.project, rule.id));
  if (is_repeated) return standing;
  ALLOD_CHECK_OK(CheckEtag("workload_rule", rule.name(), EtagOf(standing), etag));
  if (!SameContent(standing, rule)) {
    ALLOD_CHECK_OK(Provider(rule.tenant, rule.provider));
    ALLOD_CHECK_OK(StandingRoles(RolesOf(rule.tenant)).CheckUnchanged(rule.custom_roles, rule.roles_seen));
    WorkloadRule changed = rule;
    changed.uid = standing.uid;
    changed.create_time = standing.create_time;
    changed.version = Next(rule.tenant);
    rules_[{parent, rule.id}] = std::move(changed);
  }
  Remember(parent, request);
  return Rule(rule.tenant, rule.project, rule.id);
}

Result<std::int64_t> FakeIdentityStore::DeleteRule(const std::string& tenant, const std::string& project,
                                                   const std::string& id, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  const std::string parent = ProjectOf(tenant, project);
  ALLOD_TRY(const bool is_repeated, IsRepeated(parent, request));
  if (is_repeated) return versions_[tenant];
  ALLOD_CHECK_OK(Rule(tenant, project, id));
  Remember(parent, request);
  rules_.erase({parent, id});
  return Next(tenant);
}

Result<std::vector<TenantIdentityVersion>> FakeIdentityStore::IdentityVersions(std::int64_t after, int limit) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(CheckReads(""));
  std::vector<TenantIdentityVersion> out;
  for (const auto& [tenant, version] : versions_) {
    if (version <= after) continue;
    ALLOD_TRY(const Tenant row, tenants_.GetTenant(tenant));
    out.push_back({tenant, IsInForce(row), version});
  }
  std::ranges::sort(out, {}, &TenantIdentityVersion::version);
  if (std::cmp_greater(out.size(), limit)) out.resize(static_cast<std::size_t>(limit));
  return out;
}

Result<TenantIdentity> FakeIdentityStore::ReadIdentity(const std::string& tenant, Time now) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(CheckReads(tenant));
  TenantIdentity out;
  People people = PeopleOf(tenant);
  out.providers = std::move(people.providers);
  out.members = std::move(people.members);
  out.roles = std::move(people.roles);
  for (const auto& [key, rule] : rules_) {
    if (rule.tenant == tenant) out.rules.push_back(rule);
  }
  for (const auto& [key, stored] : sessions_) {
    const Session& session = stored.session;
    if (key.first == tenant && session.end_time && session.expire_time > now) out.ended_sessions.push_back(session.id);
  }
  return out;
}

void FakeIdentityStore::StateChanged(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  Next(tenant);
}

void FakeIdentityStore::FailReadsOf(const std::string& tenant, std::optional<Error> error) {
  const std::scoped_lock lock(mutex_);
  failures_[tenant] = std::move(error);
}

}  // namespace allod::tenancy
