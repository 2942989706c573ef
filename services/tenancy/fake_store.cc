#include "services/tenancy/fake_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::tenancy {

Status FakeStore::Up() const {
  if (failure_) return std::unexpected(*failure_);
  return {};
}

Result<std::optional<std::string>> FakeStore::Recall(const std::string& tenant, const RequestId& request) const {
  const auto found = requests_.find({tenant, request.id});
  if (!request.given() || found == requests_.end()) return std::nullopt;
  ALLOD_CHECK_OK(CheckSamePayload(request, found->second.payload_sha256));
  return found->second.resource;
}

void FakeStore::Remember(const std::string& tenant, const RequestId& request, const std::string& resource) {
  if (request.given()) requests_[{tenant, request.id}] = {request.payload_sha256, resource};
}

Result<Tenant> FakeStore::CreateTenant(const Tenant& tenant, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  ALLOD_CHECK_OK(Recall("", request));
  const auto [at, inserted] = tenants_.try_emplace(tenant.id, tenant);
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

Result<Page<Tenant>> FakeStore::ListTenants(const PageRequest& page) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  std::vector<Tenant> items;
  for (const auto& [id, tenant] : tenants_) {
    if (id > page.after) items.push_back(tenant);
  }
  return MakePage(page, std::move(items), [](const Tenant& t) { return t.id; });
}

Result<Project> FakeStore::CreateProject(const Project& project, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!tenants_.contains(project.tenant)) return NotFound(fmt::format("tenants/{} does not exist", project.tenant));
  ALLOD_CHECK_OK(Recall(project.tenant, request));
  const auto [at, inserted] = projects_.try_emplace({project.tenant, project.id}, project);
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

Result<ApiKeyCreation> FakeStore::CreateApiKey(const ApiKey& key, const RequestId& request) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  if (!projects_.contains({key.tenant, key.project})) {
    return NotFound(fmt::format("tenants/{}/projects/{} does not exist", key.tenant, key.project));
  }
  ALLOD_TRY(const auto earlier, Recall(key.tenant, request));
  if (earlier) return ApiKeyCreation{keys_.at({key.tenant, *earlier}), false};
  const auto same_project = [&](const auto& entry) {
    return entry.second.tenant == key.tenant && entry.second.project == key.project;
  };
  if (std::ranges::count_if(keys_, same_project) >= kApiKeysPerProjectMax) {
    return std::unexpected(TooManyApiKeys(key));
  }
  keys_[{key.tenant, key.kid}] = key;
  ++keys_versions_[key.tenant];
  Remember(key.tenant, request, key.kid);
  return ApiKeyCreation{key, true};
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

Status FakeStore::RevokeApiKey(const std::string& tenant, const std::string& project, const std::string& kid,
                               Time now) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  const auto found = keys_.find({tenant, kid});
  if (found == keys_.end() || found->second.project != project) {
    return NotFound(fmt::format("tenants/{}/projects/{}/apiKeys/{} does not exist", tenant, project, kid));
  }
  if (found->second.revoke_time) return {};
  found->second.revoke_time = now;
  ++keys_versions_[tenant];
  return {};
}

Result<std::vector<TenantKeysVersion>> FakeStore::KeysVersions() {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  std::vector<TenantKeysVersion> out;
  for (const auto& [id, tenant] : tenants_) {
    out.push_back({id, tenant.currency_code, tenant.state == TenantState::kActive, keys_versions_[id]});
  }
  return out;
}

Result<std::vector<ApiKey>> FakeStore::ValidKeys(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  ALLOD_CHECK_OK(Up());
  std::vector<ApiKey> out;
  for (const auto& [id, key] : keys_) {
    if (key.tenant == tenant && !key.revoke_time) out.push_back(key);
  }
  return out;
}

void FakeStore::Suspend(const std::string& tenant) {
  const std::scoped_lock lock(mutex_);
  tenants_.at(tenant).state = TenantState::kSuspended;
}

void FakeStore::FailWith(std::optional<Error> error) {
  const std::scoped_lock lock(mutex_);
  failure_ = std::move(error);
}

}  // namespace allod::tenancy
