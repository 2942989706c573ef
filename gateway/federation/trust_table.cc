#include "gateway/federation/trust_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "allod/tenancy/v1/identity.grpc.pb.h"
#include "services/common/rpc/watch.h"

namespace allod::gateway::federation {
namespace {

std::unexpected<Error> NotSyncedYet() {
  Error error{Code::kUnavailable, "IDENTITIES_NOT_SYNCED",
              "the gateway is still fetching who may come in; try again in a second"};
  error.retry_after = std::chrono::milliseconds(500);
  return std::unexpected(std::move(error));
}

// The tenant's own roles, by name.
using CustomRoles = std::map<std::string, std::shared_ptr<const CustomRole>>;

CustomRoles CustomRolesOf(const tenancy::v1::WatchIdentitiesResponse::TenantIdentities& from) {
  CustomRoles out;
  for (const auto& role : from.roles()) {
    out[role.name()] = std::make_shared<const CustomRole>(
        CustomRole{role.name().substr(role.name().rfind('/') + 1),
                   Permissions({role.permissions().begin(), role.permissions().end()})});
  }
  return out;
}

// Of a rule or a grant. A custom role that is not known permits nothing.
template <typename From>
void AddRoles(const From& from, const CustomRoles& custom, Rights& to) {
  for (const int role : from.roles()) to.Add(static_cast<Role>(role));
  for (const std::string& name : from.custom_roles()) {
    if (const auto found = custom.find(name); found != custom.end()) to.Add(found->second);
  }
}

Rule RuleOf(const tenancy::v1::WorkloadRule& from, const CustomRoles& custom) {
  Rule out{.name = from.name(), .provider = from.identity_provider()};
  out.project = from.name().substr(0, from.name().rfind("/workloadRules/"));
  out.claims = ClaimMatchesOf(from.claims());
  out.grounds = GroundsOf(from.uid(), from.claims());
  for (const int scope : from.scopes()) {
    if (scope == tenancy::v1::ApiKey::SCOPE_INFERENCE) out.inference = true;
    if (scope == tenancy::v1::ApiKey::SCOPE_PORTAL) out.portal = true;
  }
  AddRoles(from, custom, out.roles);
  out.lifetime = std::chrono::minutes(from.token_minutes());
  out.disabled = from.disabled();
  return out;
}

Provider ProviderOf(const tenancy::v1::IdentityProvider& from, const std::string& client_secret) {
  Provider out{.name = from.name(), .display_name = from.display_name(), .issuer = from.issuer()};
  out.audiences.assign(from.audiences().begin(), from.audiences().end());
  out.disabled = from.disabled();
  if (from.has_sign_in()) {
    out.sign_in = SignIn{from.sign_in().client_id(), client_secret, {}};
    out.sign_in->scopes.assign(from.sign_in().scopes().begin(), from.sign_in().scopes().end());
  }
  return out;
}

Member MemberOf(const tenancy::v1::Member& from, const CustomRoles& custom) {
  Member out{.name = from.name(), .provider = from.identity_provider()};
  out.claims = ClaimMatchesOf(from.claims());
  out.grounds = GroundsOf(from.uid(), from.claims());
  out.disabled = from.disabled();
  for (const auto& grant : from.grants()) {
    const std::string project = ProjectIdOf(grant.resource());
    Rights granted;
    AddRoles(grant, custom, granted);
    if (granted.empty()) continue;
    (project.empty() ? out.roles : out.at_projects[project]).Add(granted);
  }
  return out;
}

std::shared_ptr<const Trust> TrustOf(const tenancy::v1::WatchIdentitiesResponse::TenantIdentities& from) {
  if (!from.active()) return nullptr;
  auto out = std::make_shared<Trust>();
  const CustomRoles custom = CustomRolesOf(from);
  for (const auto& provider : from.identity_providers()) {
    const auto secret = from.client_secrets().find(provider.name());
    out->providers[provider.name()] = ProviderOf(provider, secret == from.client_secrets().end() ? "" : secret->second);
  }
  for (const auto& rule : from.workload_rules()) out->rules[rule.name()] = RuleOf(rule, custom);
  for (const auto& member : from.members()) out->members[member.name()] = MemberOf(member, custom);
  for (const std::string& bytes : from.ended_sessions()) {
    std::array<std::uint8_t, 16> id{};
    if (bytes.size() != id.size()) continue;
    std::ranges::copy(bytes, reinterpret_cast<char*>(id.data()));
    out->ended_sessions.insert(Uuid::FromBytes(id));
  }
  return out;
}

template <typename Things>
const typename Things::mapped_type* Named(const Things& things, std::string_view name) {
  const auto found = things.find(name);
  return found == things.end() ? nullptr : &found->second;
}

}  // namespace

const Provider* Trust::ProviderOf(std::string_view issuer) const {
  for (const auto& [name, provider] : providers) {
    if (provider.issuer == issuer && !provider.disabled) return &provider;
  }
  return nullptr;
}

const Provider* Trust::ProviderNamed(std::string_view name) const { return Named(providers, name); }

const Rule* Trust::RuleNamed(std::string_view name) const { return Named(rules, name); }

const Member* Trust::MemberNamed(std::string_view name) const { return Named(members, name); }

void TrustTable::Apply(const tenancy::v1::WatchIdentitiesResponse& message) {
  std::vector<std::pair<std::string, std::shared_ptr<const Trust>>> changes;
  for (const auto& tenant : message.tenants()) changes.emplace_back(tenant.tenant(), TrustOf(tenant));
  known_.Apply(message.synced(), [&](Tenants& tenants) {
    for (auto& [tenant, trust] : changes) tenants[tenant].swap(trust);
  });
}

Result<std::shared_ptr<const Trust>> TrustTable::Find(std::string_view tenant) const {
  const auto known = known_.Read();
  if (!known.synced()) return NotSyncedYet();
  const auto found = known->find(tenant);
  return found == known->end() ? nullptr : found->second;
}

std::unexpected<Error> TrustTable::NotSynced() { return NotSyncedYet(); }

std::unique_ptr<WatchLoop> WatchIdentities(const std::shared_ptr<grpc::Channel>& tenancy, TrustTable& table) {
  using Service = tenancy::v1::IdentityService;
  return Watch("identities", Caller::Service("gateway"), Service::NewStub(tenancy), &Service::Stub::WatchIdentities,
               &Service::Stub::AcknowledgeIdentities, table);
}

}  // namespace allod::gateway::federation
