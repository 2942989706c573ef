// The store of workload identity in memory, for tests. Held to the same suite as PgIdentityStore.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "services/tenancy/identity_store.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

class FakeIdentityStore final : public IdentityStore {
 public:
  // `tenants` has the tenants and projects, and outlives this.
  explicit FakeIdentityStore(Store& tenants) : tenants_(tenants) {}

  Result<IdentityProvider> CreateProvider(const IdentityProvider& provider, const RequestId& request) override;
  Result<IdentityProvider> GetProvider(const std::string& tenant, const std::string& id) override;
  Result<Page<IdentityProvider>> ListProviders(const std::string& tenant, const PageRequest& page) override;
  Result<IdentityProvider> UpdateProvider(const IdentityProvider& provider, const std::string& etag,
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
  Result<TenantIdentity> ReadIdentity(const std::string& tenant) override;

  // What the database's trigger does when a tenant's state changes.
  void StateChanged(const std::string& tenant);
  // Reading what this tenant has fails with `error` until it is reset to nothing; with "" as the tenant, everything.
  void FailReadsOf(const std::string& tenant, std::optional<Error> error);

 private:
  using Key = std::pair<std::string, std::string>;  // tenant and provider, or project's name and rule
  // Whether an earlier request had this id and payload.
  Result<bool> IsRepeated(const std::string& parent, const RequestId& request) const;
  void Remember(const std::string& parent, const RequestId& request);
  Result<IdentityProvider> Provider(const std::string& tenant, const std::string& id) const;
  Result<WorkloadRule> Rule(const std::string& tenant, const std::string& project, const std::string& id) const;
  std::int64_t Next(const std::string& tenant) { return versions_[tenant] = ++clock_; }
  Status CheckReads(const std::string& tenant) const;

  Store& tenants_;
  std::mutex mutex_;
  std::int64_t clock_ = 0;
  std::map<std::string, std::int64_t> versions_;
  std::map<Key, IdentityProvider> providers_;
  std::map<Key, WorkloadRule> rules_;
  std::map<std::pair<std::string, Uuid>, std::string> requests_;  // by parent, id: the payload's digest
  std::map<std::string, std::optional<Error>> failures_;
};

}  // namespace allod::tenancy
