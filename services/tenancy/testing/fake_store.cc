#include "services/tenancy/testing/fake_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/tenancy/tenant_tree.h"

namespace allod::tenancy {

Status FakeStore::Up() const {
  if (failure_) return std::unexpected(*failure_);
  return {};
}

Status FakeStore::CheckKeys(const std::string& tenant) const {
  const auto found = key_failures_.find(tenant);
  if (found != key_failures_.end() && found->second) return std::unexpected(*found->second);
  return {};
}

Result<std::optional<std::string>> FakeStore::Recall(const std::string& parent, const RequestId& request) const {
  const auto found = requests_.find({parent, request.id});
  if (!request.given() || found == requests_.end()) return std::nullopt;
  ALLOD_CHECK_OK(CheckSamePayload(request, found->second.payload_sha256));
  return found->second.resource;
}

void FakeStore::Remember(const std::string& parent, const RequestId& request, const std::string& resource) {
  if (request.given()) requests_[{parent, request.id}] = {request.payload_sha256, resource};
}

Result<Tenant> FakeStore::CreateTenant(const Tenant& tenant, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  ALLOD_TRY(const auto earlier, Recall("", request));
  if (earlier) return tenants_.at(*earlier);
  ALLOD_TRY(const Tenant placed, tenants_.contains(tenant.id) ? tenant : Placed(tenant));
  const auto [at, inserted] = tenants_.try_emplace(tenant.id, placed);
  if (inserted) at->second.version = ++keys_clock_;
  if (inserted) CarveOut(placed);
  if (inserted && (tenant.limits.any() || !tenant.parent.empty())) NoteLimits(tenant.id);
  if (IsPurged(at->second.state)) return std::unexpected(TenantIdUsed(tenant.id));
  if (!inserted && !SameContent(at->second, tenant)) return std::unexpected(TakenByOtherContent(tenant.name()));
  Remember("", request, tenant.id);
  return at->second;
}

Result<Tenant> FakeStore::GetTenant(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  return found->second;
}

std::vector<Tenant> FakeStore::Children(const std::string& tenant) const {
  std::vector<Tenant> out;
  for (const auto& [id, each] : tenants_) {
    if (each.parent == tenant && each.state != TenantState::kDeleted) out.push_back(each);
  }
  return out;
}

std::vector<int> FakeStore::CountOf(const Tenant& parent) const {
  std::vector<std::string> path = parent.ancestors;
  path.push_back(parent.id);
  std::vector<int> out;
  for (const std::string& id : path) {
    out.push_back(static_cast<int>(std::ranges::count_if(tenants_, [&](const auto& entry) {
      return entry.first != id && IsWithin(entry.second, id) && entry.second.state != TenantState::kDeleted;
    })));
  }
  return out;
}

Result<std::vector<int>> FakeStore::CountBelow(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!tenants_.contains(tenant)) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  return CountOf(tenants_.at(tenant));
}

Result<Tenant> FakeStore::Placed(const Tenant& tenant) const {
  if (tenant.parent.empty()) return tenant;
  const auto parent = tenants_.find(tenant.parent);
  if (parent == tenants_.end()) return NotFound(fmt::format("tenants/{} does not exist", tenant.parent));
  ALLOD_TRY(Tenant placed, PlacedBelow(tenant, parent->second));
  ALLOD_CHECK_OK(CheckRoomBelow(parent->second, CountOf(parent->second)));
  ALLOD_CHECK_OK(CheckFits(tenant, nullptr));
  return placed;
}

Status FakeStore::CheckFits(const Tenant& wanted, const Tenant* before) const {
  ALLOD_CHECK_OK(CheckHolds(wanted, Children(wanted.id)));
  if (wanted.parent.empty()) return {};
  const QuotaState use = QuotasOf(wanted.parent, "", std::chrono::system_clock::now());
  return CheckWithinParent(wanted, before, tenants_.at(wanted.parent), {use.projects, use.keys_in_tenant});
}

void FakeStore::CarveOut(const Tenant& child) {
  if (!child.parent.empty()) tenants_.at(child.parent).quota_below = SumOf(Children(child.parent));
}

Result<std::vector<Tenant>> FakeStore::ChildrenOf(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!tenants_.contains(tenant)) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  return Children(tenant);
}

Result<Page<Tenant>> FakeStore::ListTenants(const PageRequest& page, const std::optional<std::string>& within) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  std::vector<Tenant> items;
  for (const auto& [id, tenant] : tenants_) {
    if (id > page.after && (!within || IsWithin(tenant, *within))) items.push_back(tenant);
  }
  return MakePage(page, std::move(items), [](const Tenant& t) { return t.id; });
}

Result<Tenant> FakeStore::UpdateTenant(const Tenant& wanted, const std::string& etag, const RequestId& request,
                                       Setter by) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = tenants_.find(wanted.id);
  if (found == tenants_.end()) return NotFound(fmt::format("tenants/{} does not exist", wanted.id));
  Tenant& standing = found->second;
  ALLOD_TRY(const auto earlier, Recall("", request));
  if (earlier) return standing;
  ALLOD_TRY(Tenant changed, Changed(standing, wanted, etag));
  if (!SameContent(standing, changed)) {
    ALLOD_CHECK_OK(CheckFits(changed, &standing));
    if (!standing.parent.empty()) {
      const QuotaState use = QuotasOf(wanted.id, "", std::chrono::system_clock::now());
      ALLOD_CHECK_OK(
          CheckGivenBack(changed, standing, tenants_.at(standing.parent), {use.projects, use.keys_in_tenant}, by));
    }
    if (standing.limits != changed.limits) NoteLimits(wanted.id);
    standing = std::move(changed);
    standing.version = ++keys_clock_;
    CarveOut(standing);
  }
  Remember("", request, wanted.id);
  return standing;
}

Result<TenantStateChange> FakeStore::SetTenantState(const std::string& tenant, TenantState state,
                                                    const std::string& reason, const RequestId& request, Setter by) {
  return ChangeState(tenant, request, [&](const Tenant& standing) -> Result<Tenant> {
    ALLOD_CHECK_OK(CheckNotDeleted(standing));
    return WithState(standing, state, reason, by);
  });
}

Result<TenantStateChange> FakeStore::ChangeState(const std::string& tenant, const RequestId& request,
                                                 const std::function<Result<Tenant>(const Tenant&)>& change) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  ALLOD_TRY(const auto earlier, Recall("", request));
  if (!earlier) {
    ALLOD_TRY(const Tenant changed, change(found->second));
    SetState(found->second, changed);
  }
  Remember("", request, tenant);
  TenantStateChange out{found->second, keys_versions_[tenant], 0, found->second.version};
  for (const auto& [id, each] : tenants_) {
    if (!IsWithin(each, tenant)) continue;
    out.keys_version = std::max(out.keys_version, keys_versions_[id]);
    out.tenants_version = std::max(out.tenants_version, each.version);
  }
  return out;
}

Result<TenantStateChange> FakeStore::DeleteTenant(const std::string& tenant, const TenantDeletionRequest& deletion,
                                                  const RequestId& request) {
  return ChangeState(tenant, request, [&](const Tenant& standing) -> Result<Tenant> {
    ALLOD_TRY(Tenant deleted, Deleted(standing, deletion));
    ALLOD_CHECK_OK(CheckChildless(standing, Children(tenant)));
    return deleted;
  });
}

Result<TenantStateChange> FakeStore::UndeleteTenant(const std::string& tenant, Time now, const RequestId& request,
                                                    Setter by) {
  return ChangeState(tenant, request, [&](const Tenant& standing) { return Undeleted(standing, now, by); });
}

void FakeStore::SetState(Tenant& standing, const Tenant& wanted) {
  if (standing.state != wanted.state) keys_versions_[standing.id] = ++keys_clock_;
  if (standing.state == wanted.state && standing.suspend_reason == wanted.suspend_reason) {
    standing.suspended_from_above = wanted.suspended_from_above;
    return;
  }
  standing = wanted;
  standing.version = ++keys_clock_;
  // Ids begin with those of their parents, so these come first.
  for (auto& [id, each] : tenants_) {
    if (each.parent.empty() || !IsWithin(each, standing.id) || id == standing.id) continue;
    const std::string suspended_by = SuspendedBelow(tenants_.at(each.parent));
    if (each.suspended_by == suspended_by) continue;
    each.suspended_by = suspended_by;
    keys_versions_[id] = ++keys_clock_;
    each.version = ++keys_clock_;
  }
}

Result<TenantChanges> FakeStore::TenantsChanged(std::int64_t after, int limit) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  std::vector<Tenant> rows;
  for (const auto& [id, tenant] : tenants_) {
    if (tenant.version > after) rows.push_back(tenant);
  }
  std::ranges::sort(rows, {}, &Tenant::version);
  if (std::cmp_greater(rows.size(), limit)) rows.resize(static_cast<std::size_t>(limit));
  rows_read_ += static_cast<int>(rows.size());
  TenantChanges out{{}, rows.empty() ? after : rows.back().version, std::cmp_equal(rows.size(), limit)};
  std::erase_if(rows, [&](const Tenant& tenant) { return spoilt_.contains(tenant.id); });
  out.tenants = std::move(rows);
  return out;
}

Result<Project> FakeStore::CreateProject(const Project& project, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!tenants_.contains(project.tenant)) return NotFound(fmt::format("tenants/{} does not exist", project.tenant));
  ALLOD_CHECK_OK(CheckNotPurged(tenants_.at(project.tenant)));
  ALLOD_CHECK_OK(Recall(project.tenant, request));
  if (!projects_.contains({project.tenant, project.id})) {
    ALLOD_CHECK_OK(CheckWithinTenant(project, tenants_.at(project.tenant)));
    ALLOD_CHECK_OK(RoomForProject(project, QuotasOf(project.tenant, "", project.create_time)));
  }
  const auto [at, inserted] = projects_.try_emplace({project.tenant, project.id}, project);
  if (inserted) at->second.version = 1;
  if (inserted && !SameLimits(project, {})) NoteLimits(project.tenant);
  if (!inserted && !SameContent(at->second, project)) return std::unexpected(TakenByOtherContent(project.name()));
  Remember(project.tenant, request, project.id);
  return at->second;
}

Result<Project> FakeStore::GetProject(const std::string& tenant, const std::string& project) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = projects_.find({tenant, project});
  if (found == projects_.end()) return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  return found->second;
}

Result<Project> FakeStore::UpdateProject(const Project& wanted, const std::string& etag, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = projects_.find({wanted.tenant, wanted.id});
  if (found == projects_.end()) return NotFound(fmt::format("{} does not exist", wanted.name()));
  Project& standing = found->second;
  ALLOD_TRY(const auto earlier, Recall(wanted.tenant, request));
  if (earlier) return standing;
  ALLOD_TRY(Project changed, Changed(standing, wanted, etag, tenants_.at(wanted.tenant)));
  if (!SameContent(standing, changed)) {
    if (!SameLimits(standing, changed)) NoteLimits(wanted.tenant);
    standing = std::move(changed);
    ++standing.version;
  }
  Remember(wanted.tenant, request, wanted.id);
  return standing;
}

Result<QuotaState> FakeStore::ReadQuotas(const std::string& tenant, const std::string& project, Time now) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!tenants_.contains(tenant)) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  if (!project.empty() && !projects_.contains({tenant, project})) {
    return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  }
  return QuotasOf(tenant, project, now);
}

QuotaState FakeStore::QuotasOf(const std::string& tenant, const std::string& project, Time now) const {
  QuotaState out{.of_tenant = OwnQuota(tenants_.at(tenant).quota, tenants_.at(tenant).quota_below)};
  if (!project.empty()) out.of_project = projects_.at({tenant, project}).quota;
  out.projects = std::ranges::count_if(projects_, [&](const auto& entry) { return entry.first.first == tenant; });
  for (const auto& [id, key] : keys_) {
    if (key.tenant != tenant || !key.HoldsAt(now)) continue;
    ++out.keys_in_tenant;
    if (key.project == project) ++out.keys_in_project;
  }
  return out;
}

Result<Page<Project>> FakeStore::ListProjects(const std::string& tenant, const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!tenants_.contains(tenant)) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  std::vector<Project> items;
  for (const auto& [key, project] : projects_) {
    if (key.first == tenant && key.second > page.after) items.push_back(project);
  }
  return MakePage(page, std::move(items), [](const Project& p) { return p.id; });
}

Result<std::optional<ApiKey>> FakeStore::ReadMaker(const std::string& tenant, const std::string& project,
                                                   const Maker& maker) const {
  if (!maker) return std::nullopt;
  const auto found = keys_.find({tenant, *maker});
  if (found == keys_.end() || found->second.project != project) return std::unexpected(NoSuchMaker());
  return found->second;
}

void FakeStore::Put(const ApiKey& key) {
  keys_[{key.tenant, key.kid}] = key;
  keys_versions_[key.tenant] = change_versions_[{key.tenant, key.kid}] = keys_clock_;
}

Result<std::optional<ApiKeyCreation>> FakeStore::RecallKey(const std::string& tenant, const std::string& project,
                                                           const RequestId& request) {
  ALLOD_TRY(const auto earlier, Recall(tenant + "/" + project, request));
  if (!earlier) return std::nullopt;
  const std::pair<std::string, std::string> id{tenant, *earlier};
  return ApiKeyCreation{keys_.at(id), false, change_versions_[id]};
}

Result<ApiKeyCreation> FakeStore::CreateApiKey(const ApiKey& key, const RequestId& request, const Maker& maker) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!projects_.contains({key.tenant, key.project})) {
    return NotFound(fmt::format("tenants/{}/projects/{} does not exist", key.tenant, key.project));
  }
  ALLOD_TRY(auto earlier, RecallKey(key.tenant, key.project, request));
  if (earlier) return *std::move(earlier);
  ApiKey made = key;
  ALLOD_TRY(const auto maker_row, ReadMaker(key.tenant, key.project, maker));
  if (maker_row) {
    ALLOD_TRY(made, HandOn(*maker_row, std::move(made), key.create_time));
  }
  ALLOD_CHECK_OK(
      CheckLimitsWithin("api_key.limits", key.limits, "the project's", projects_.at({key.tenant, key.project}).limits));
  ALLOD_CHECK_OK(CheckLimitsWithin("api_key.limits", key.limits, "the tenant's", tenants_.at(key.tenant).limits));
  ALLOD_CHECK_OK(RoomForApiKey(made, QuotasOf(made.tenant, made.project, made.create_time)));
  ++keys_clock_;
  Put(made);
  Remember(key.tenant + "/" + key.project, request, key.kid);
  return ApiKeyCreation{made, true, keys_clock_};
}

Result<ApiKeyCreation> FakeStore::RotateApiKey(const KeyRotation& rotation, const RequestId& request,
                                               const Maker& maker) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = keys_.find({rotation.tenant, rotation.kid});
  if (found == keys_.end() || found->second.project != rotation.project) {
    return std::unexpected(NoSuchKey(rotation.tenant, rotation.project, rotation.kid));
  }
  ALLOD_TRY(auto earlier, RecallKey(rotation.tenant, rotation.project, request));
  if (earlier) return *std::move(earlier);
  ALLOD_TRY(const auto maker_row, ReadMaker(rotation.tenant, rotation.project, maker));
  ALLOD_TRY(const Rotated rotated, Rotate(found->second, rotation, maker_row ? &*maker_row : nullptr));
  // One that is replaced at once makes the room that its successor takes.
  ALLOD_CHECK_OK(RoomForApiKey(rotated.successor, QuotasOf(rotation.tenant, rotation.project, rotation.now),
                               rotated.present.revoke_time ? 1 : 0));
  ++keys_clock_;
  Put(rotated.present);
  Put(rotated.successor);
  Remember(rotation.tenant + "/" + rotation.project, request, rotation.successor_kid);
  return ApiKeyCreation{rotated.successor, true, keys_clock_};
}

void FakeStore::NoteLimits(const std::string& tenant) {
  keys_versions_[tenant] = limits_versions_[tenant] = ++keys_clock_;
}

Result<TenantLimits> FakeStore::LimitsOf(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  ALLOD_CHECK_OK(CheckKeys(tenant));
  TenantLimits out{tenant, tenants_.at(tenant).limits, {}, tenants_.at(tenant).ancestors};
  for (const auto& [id, project] : projects_) {
    if (id.first == tenant && !SameLimits(project, {})) {
      out.projects.push_back({project.id, project.limits, project.instance_limits});
    }
  }
  return out;
}

Result<std::int64_t> FakeStore::LimitsVersion(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (limits_version_failure_) return std::unexpected(*limits_version_failure_);
  if (!tenants_.contains(tenant)) return NotFound(fmt::format("tenants/{} does not exist", tenant));
  return limits_versions_[tenant];
}

Status FakeStore::RecordKeyUse(const std::string& tenant, const std::vector<KeyUse>& uses) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  ALLOD_CHECK_OK(CheckKeys(tenant));
  for (const KeyUse& use : uses) {
    const auto found = keys_.find({tenant, use.kid});
    if (found == keys_.end()) continue;
    std::optional<Time>& known = found->second.last_used_time;
    if (!known || *known < use.minute) known = use.minute;
  }
  return {};
}

Result<Page<ApiKey>> FakeStore::ListApiKeys(const std::string& tenant, const std::string& project,
                                            const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!projects_.contains({tenant, project})) {
    return NotFound(fmt::format("tenants/{}/projects/{} does not exist", tenant, project));
  }
  std::vector<ApiKey> items;
  for (const auto& [id, key] : keys_) {
    if (key.tenant == tenant && key.project == project && key.kid > page.after) items.push_back(key);
  }
  return MakePage(page, std::move(items), [](const ApiKey& k) { return k.kid; });
}

Result<ApiKey> FakeStore::GetApiKey(const std::string& tenant, const std::string& project, const std::string& kid) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = keys_.find({tenant, kid});
  if (found == keys_.end() || found->second.project != project) {
    return std::unexpected(NoSuchKey(tenant, project, kid));
  }
  return found->second;
}

Result<std::int64_t> FakeStore::RevokeApiKey(const std::string& tenant, const std::string& project,
                                             const std::string& kid, Time now) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = keys_.find({tenant, kid});
  if (found == keys_.end() || found->second.project != project) {
    return std::unexpected(NoSuchKey(tenant, project, kid));
  }
  std::int64_t& version = change_versions_[{tenant, kid}];
  if (!found->second.revoke_time) {
    found->second.revoke_time = now;
    keys_versions_[tenant] = version = ++keys_clock_;
  }
  return version;
}

Result<std::vector<TenantKeysVersion>> FakeStore::KeysVersions(std::int64_t after, int limit) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  std::vector<TenantKeysVersion> out;
  for (const auto& [id, tenant] : tenants_) {
    const std::int64_t version = keys_versions_[id];
    if (version <= after) continue;
    out.push_back(
        {id, tenant.currency_code, KeysStandingOf(tenant.state, tenant.suspended_by), version, limits_versions_[id]});
  }
  std::ranges::sort(out, {}, &TenantKeysVersion::version);
  if (std::cmp_greater(out.size(), limit)) out.resize(static_cast<std::size_t>(limit));
  rows_read_ += static_cast<int>(out.size());
  return out;
}

Result<std::vector<ApiKey>> FakeStore::ValidKeys(const std::string& tenant, Time then) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  ALLOD_CHECK_OK(CheckKeys(tenant));
  std::vector<ApiKey> out;
  for (const auto& [id, key] : keys_) {
    if (key.tenant == tenant && key.HoldsAt(then)) out.push_back(key);
  }
  rows_read_ += static_cast<int>(out.size());
  return out;
}

Result<std::vector<ApiKey>> FakeStore::KeysChanged(const std::string& tenant, std::int64_t after) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  ALLOD_CHECK_OK(CheckKeys(tenant));
  std::vector<ApiKey> out;
  for (const auto& [id, key] : keys_) {
    if (key.tenant == tenant && change_versions_[id] > after) out.push_back(key);
  }
  rows_read_ += static_cast<int>(out.size());
  return out;
}

void FakeStore::SetState(const std::string& tenant, TenantState state) {
  const std::scoped_lock lock(mutex_);
  SetState(tenants_.at(tenant), *WithState(tenants_.at(tenant), state, "", Setter::kOperator));
}

void FakeStore::SpoilTenant(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  spoilt_.insert(tenant);
  tenants_.at(tenant).version = ++keys_clock_;
}

void FakeStore::FillWithKeys(const std::string& tenant, const std::string& project, int count) {
  const std::scoped_lock lock(mutex_);
  for (int i = 0; i < count; ++i) {
    ApiKey key;
    key.tenant = tenant;
    key.project = project;
    key.kid = fmt::format("{}-{}", project, i);
    key.scopes = EveryScope();
    key.roles = {Role::ROLE_ADMIN};
    keys_[{tenant, key.kid}] = key;
    keys_versions_[tenant] = change_versions_[{tenant, key.kid}] = ++keys_clock_;
  }
}

void FakeStore::FailWith(std::optional<Error> error) {
  const std::scoped_lock lock(mutex_);
  failure_ = std::move(error);
}

void FakeStore::FailKeysOf(const std::string& tenant, std::optional<Error> error) {
  const std::scoped_lock lock(mutex_);
  key_failures_[tenant] = std::move(error);
}

void FakeStore::FailLimitsVersions(std::optional<Error> error) {
  const std::scoped_lock lock(mutex_);
  limits_version_failure_ = std::move(error);
}

}  // namespace allod::tenancy
