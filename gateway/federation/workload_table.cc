#include "gateway/federation/workload_table.h"

#include <mutex>
#include <utility>

#include "allod/tenancy/v1/identity.grpc.pb.h"
#include "gateway/access/bearer.h"
#include "services/common/digest.h"
#include "services/common/ids.h"
#include "services/common/rpc/watch.h"

namespace allod::gateway::federation {
namespace {

std::unexpected<Error> NotSyncedYet() {
  Error error{Code::kUnavailable, "IDENTITIES_NOT_SYNCED",
              "the gateway is still fetching what workloads may do; try again in a second"};
  error.retry_after = std::chrono::milliseconds(500);
  return std::unexpected(std::move(error));
}

std::unexpected<Error> Revoked() {
  return Fail(Code::kUnauthenticated, "TOKEN_REVOKED",
              "what granted this token holds no more: its workload rule or identity provider was deleted, changed or "
              "disabled, or its tenant is suspended");
}

constexpr std::size_t kGroundsHexDigits = 16;

Rule RuleOf(const tenancy::v1::WorkloadRule& from) {
  Rule out{.name = from.name(), .provider = from.identity_provider()};
  out.project = from.name().substr(0, from.name().rfind("/workloadRules/"));
  std::string asked;
  for (const auto& match : from.claims()) {
    asked += match.SerializeAsString() + '\n';
    // A match that is not understood matches nothing: an empty name is no claim's.
    const bool is_prefix = match.match_case() == tenancy::v1::ClaimMatch::kPrefix;
    const bool is_known = is_prefix || match.match_case() == tenancy::v1::ClaimMatch::kEquals;
    out.claims.push_back({is_known ? match.claim() : "", is_prefix ? match.prefix() : match.equals(), is_prefix});
  }
  out.grounds = from.uid() + ":" + Sha256Hex(asked).substr(0, kGroundsHexDigits);
  for (const int scope : from.scopes()) {
    if (scope == tenancy::v1::ApiKey::SCOPE_INFERENCE) out.inference = true;
    if (scope == tenancy::v1::ApiKey::SCOPE_PORTAL) out.portal = true;
  }
  for (const int role : from.roles()) out.roles.Add(static_cast<Role>(role));
  out.lifetime = std::chrono::minutes(from.token_minutes());
  out.disabled = from.disabled();
  return out;
}

std::shared_ptr<const Trust> TrustOf(const tenancy::v1::WatchIdentitiesResponse::TenantIdentities& from) {
  if (!from.active()) return nullptr;
  auto out = std::make_shared<Trust>();
  for (const auto& provider : from.identity_providers()) {
    Provider& to = out->providers[provider.name()];
    to = {provider.name(), provider.issuer(), {}, provider.disabled()};
    to.audiences.assign(provider.audiences().begin(), provider.audiences().end());
  }
  for (const auto& rule : from.workload_rules()) out->rules[rule.name()] = RuleOf(rule);
  return out;
}

Roles InBoth(const Roles& a, const Roles& b) {
  Roles out;
  for (const Role role : a.List()) {
    if (b.Has(role)) out.Add(role);
  }
  return out;
}

}  // namespace

const Provider* Trust::ProviderOf(std::string_view issuer) const {
  for (const auto& [name, provider] : providers) {
    if (provider.issuer == issuer && !provider.disabled) return &provider;
  }
  return nullptr;
}

const Provider* Trust::ProviderNamed(std::string_view name) const {
  const auto found = providers.find(name);
  return found == providers.end() ? nullptr : &found->second;
}

const Rule* Trust::RuleNamed(std::string_view name) const {
  const auto found = rules.find(name);
  return found == rules.end() ? nullptr : &found->second;
}

void WorkloadTable::BeginSnapshot() {
  Tenants old;  // destroyed when nobody waits for the lock any more
  const std::unique_lock lock(mutex_);
  in_snapshot_ = true;
  old.swap(snapshot_);
}

void WorkloadTable::Apply(const tenancy::v1::WatchIdentitiesResponse& message) {
  std::vector<std::pair<std::string, std::shared_ptr<const Trust>>> changes;
  for (const auto& tenant : message.tenants()) changes.emplace_back(tenant.tenant(), TrustOf(tenant));
  Tenants old;
  const std::unique_lock lock(mutex_);
  for (auto& [tenant, trust] : changes) (in_snapshot_ ? snapshot_ : tenants_)[tenant].swap(trust);
  if (in_snapshot_ && message.synced()) {
    old.swap(tenants_);
    tenants_.swap(snapshot_);
    in_snapshot_ = false;
    synced_ = current_ = true;
  }
}

void WorkloadTable::EndStream() {
  const std::unique_lock lock(mutex_);
  current_ = false;
}

bool WorkloadTable::synced() const {
  const std::shared_lock lock(mutex_);
  return synced_;
}

Result<std::shared_ptr<const Trust>> WorkloadTable::Find(std::string_view tenant) const {
  const std::shared_lock lock(mutex_);
  if (!synced_) return NotSyncedYet();
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : found->second;
}

Result<access::Principal> WorkloadTable::Authenticate(std::string_view authorization,
                                                      const std::optional<IpAddress>& /*client*/) const {
  ALLOD_TRY(const WorkloadToken token, sealer_.Open(access::BearerToken(authorization), clock_.Now()));
  const std::string tenant = TenantOf(token.rule);
  ALLOD_TRY(const std::shared_ptr<const Trust> trust, Find(tenant));
  const Rule* rule = trust ? trust->RuleNamed(token.rule) : nullptr;
  if (rule == nullptr) {
    const std::shared_lock lock(mutex_);
    if (!current_) return NotSyncedYet();
    return Revoked();
  }
  const Provider* provider = trust->ProviderNamed(token.provider);
  if (rule->grounds != token.grounds || rule->disabled || rule->provider != token.provider || provider == nullptr ||
      provider->disabled) {
    return Revoked();
  }
  access::Principal out;
  out.id = token.rule;
  out.name = token.rule;
  out.rule = token.rule.substr(token.rule.rfind('/') + 1);
  out.tenant = tenant;
  out.tenant_id = tenant.substr(tenant.find('/') + 1);
  out.project = rule->project;
  out.inference = token.inference && rule->inference;
  out.portal = token.portal && rule->portal;
  out.roles = InBoth(token.roles, rule->roles);
  return out;
}

std::unique_ptr<WatchLoop> WatchIdentities(const std::shared_ptr<grpc::Channel>& tenancy, WorkloadTable& table) {
  using Service = tenancy::v1::IdentityService;
  return Watch("workload-identities", Caller::Service("gateway"), Service::NewStub(tenancy),
               &Service::Stub::WatchIdentities, &Service::Stub::AcknowledgeIdentities, table);
}

}  // namespace allod::gateway::federation
