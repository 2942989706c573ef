// The tenancy store in memory, for tests. Held to the same suite as PgStore.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "services/tenancy/store.h"

namespace allod::tenancy {

class FakeStore final : public Store {
 public:
  Result<Tenant> CreateTenant(const Tenant& tenant, const RequestId& request) override;
  Result<Tenant> GetTenant(const std::string& tenant) override;
  Result<Page<Tenant>> ListTenants(const PageRequest& page,
                                   const std::optional<std::string>& within = std::nullopt) override;
  Result<std::vector<Tenant>> ChildrenOf(const std::string& tenant) override;
  Result<std::vector<int>> CountBelow(const std::string& tenant) override;
  Result<Tenant> UpdateTenant(const Tenant& wanted, const std::string& etag, const RequestId& request,
                              Setter by = Setter::kOperator) override;
  Result<TenantStateChange> SetTenantState(const std::string& tenant, TenantState state, const std::string& reason,
                                           const RequestId& request, Setter by = Setter::kOperator) override;
  Result<TenantStateChange> DeleteTenant(const std::string& tenant, const TenantDeletionRequest& deletion,
                                         const RequestId& request) override;
  Result<TenantStateChange> UndeleteTenant(const std::string& tenant, Time now, const RequestId& request, Setter by) override;
  Result<TenantChanges> TenantsChanged(std::int64_t after, int limit) override;
  Result<Project> CreateProject(const Project& project, const RequestId& request) override;
  Result<Project> GetProject(const std::string& tenant, const std::string& project) override;
  Result<Project> UpdateProject(const Project& wanted, const std::string& etag, const RequestId& request) override;
  Result<QuotaState> ReadQuotas(const std::string& tenant, const std::string& project, Time now) override;
  Result<Page<Project>> ListProjects(const std::string& tenant, const PageRequest& page) override;
  Result<ApiKeyCreation> CreateApiKey(const ApiKey& key, const RequestId& request,
                                      const Maker& maker = std::nullopt) override;
  Result<ApiKeyCreation> RotateApiKey(const KeyRotation& rotation, const RequestId& request,
                                      const Maker& maker = std::nullopt) override;
  Result<ApiKey> GetApiKey(const std::string& tenant, const std::string& project, const std::string& kid) override;
  Result<Page<ApiKey>> ListApiKeys(const std::string& tenant, const std::string& project,
                                   const PageRequest& page) override;
  Result<std::int64_t> RevokeApiKey(const std::string& tenant, const std::string& project, const std::string& kid,
                                    Time now) override;
  Status RecordKeyUse(const std::string& tenant, const std::vector<KeyUse>& uses) override;
  Result<std::vector<TenantKeysVersion>> KeysVersions(std::int64_t after, int limit) override;
  Result<std::vector<ApiKey>> ValidKeys(const std::string& tenant, Time then) override;
  Result<TenantLimits> LimitsOf(const std::string& tenant) override;
  Result<std::int64_t> LimitsVersion(const std::string& tenant) override;
  Result<std::vector<ApiKey>> KeysChanged(const std::string& tenant, std::int64_t after) override;

  // In one word.
  void Suspend(const std::string& tenant) { SetState(tenant, TenantState::kSuspended); }
  void Resume(const std::string& tenant) { SetState(tenant, TenantState::kActive); }
  // Its grace is over.
  void BeginPurge(const std::string& tenant) { SetState(tenant, TenantState::kPurging); }
  // Its row changes to one that cannot be read; only those who follow tenants notice.
  void SpoilTenant(const std::string& tenant);
  // So many valid keys in a project.
  void FillWithKeys(const std::string& tenant, const std::string& project, int count);
  // How many tenants and keys were given out for watchers: what following them costs.
  int rows_read() const { return rows_read_; }
  // Every method fails with `error` until it is reset to nothing: a database that is away.
  void FailWith(std::optional<Error> error);
  // The same for reading the keys of one tenant: a row that makes no sense.
  void FailKeysOf(const std::string& tenant, std::optional<Error> error);
  // LimitsVersion() fails: a database that went away just after a change.
  void FailLimitsVersions(std::optional<Error> error);

 private:
  struct Request {
    std::string payload_sha256;
    std::string resource;
  };
  Status Up() const;
  Status CheckKeys(const std::string& tenant) const;
  void NoteLimits(const std::string& tenant);
  void SetState(const std::string& tenant, TenantState state);
  void SetState(Tenant& standing, const Tenant& wanted);
  std::vector<Tenant> Children(const std::string& tenant) const;
  std::vector<int> CountOf(const Tenant& parent) const;
  // As a child of its parent.
  Result<Tenant> Placed(const Tenant& tenant) const;
  Status CheckFits(const Tenant& wanted, const Tenant* before) const;
  void CarveOut(const Tenant& child);
  Result<TenantStateChange> ChangeState(const std::string& tenant, const RequestId& request,
                                        const std::function<Result<Tenant>(const Tenant&)>& change);
  // The resource that an earlier request with this id made, if any.
  Result<std::optional<std::string>> Recall(const std::string& parent, const RequestId& request) const;
  // What an earlier request with this id made, if any.
  Result<std::optional<ApiKeyCreation>> RecallKey(const std::string& tenant, const std::string& project,
                                                  const RequestId& request);
  Result<std::optional<ApiKey>> ReadMaker(const std::string& tenant, const std::string& project,
                                          const Maker& maker) const;
  QuotaState QuotasOf(const std::string& tenant, const std::string& project, Time now) const;
  // At the clock's version.
  void Put(const ApiKey& key);
  void Remember(const std::string& parent, const RequestId& request, const std::string& resource);

  std::mutex mutex_;
  std::atomic<int> rows_read_ = 0;
  std::optional<Error> failure_;
  std::optional<Error> limits_version_failure_;
  std::map<std::string, std::optional<Error>> key_failures_;
  std::map<std::string, Tenant> tenants_;
  std::set<std::string> spoilt_;
  std::int64_t keys_clock_ = 0;                                                  // of tenants' versions too
  std::map<std::string, std::int64_t> keys_versions_;                            // by tenant
  std::map<std::string, std::int64_t> limits_versions_;                          // by tenant
  std::map<std::pair<std::string, std::string>, std::int64_t> change_versions_;  // by tenant, kid
  std::map<std::pair<std::string, std::string>, Project> projects_;
  std::map<std::pair<std::string, std::string>, ApiKey> keys_;  // by tenant, kid
  std::map<std::pair<std::string, Uuid>, Request> requests_;    // by parent ("" for operators'), request id
};

}  // namespace allod::tenancy
