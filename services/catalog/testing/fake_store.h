// The catalog store in memory, for tests. Held to the same suite as PgStore. Leases run by the clock given.
#pragma once

#include <map>
#include <mutex>

#include "services/catalog/store.h"

namespace allod::catalog {

class FakeStore final : public Store {
 public:
  explicit FakeStore(const Clock& clock) : clock_(clock) {}

  Result<Publisher> CreatePublisher(const Publisher& publisher, const RequestId& request) override;
  Result<Page<Publisher>> ListPublishers(const PageRequest& page) override;
  Result<Model> CreateModel(const Model& model, const RequestId& request) override;
  Result<Model> GetModel(const std::string& model) override;
  Result<Page<Model>> ListModels(const PageRequest& page) override;
  Result<Version> GetVersion(const VersionKey& key) override;
  Result<Page<Version>> ListVersions(const std::string& model, const PageRequest& page) override;
  Result<Variant> GetVariant(const VariantKey& key) override;
  Result<Page<Variant>> ListVariants(const VersionKey& version, const PageRequest& page) override;
  Result<Operation> StartJob(const Job& job, const RequestId& request, const std::optional<Error>& refusal) override;
  Result<Operation> GetOperation(const Uuid& id) override;
  Result<Page<Operation>> ListOperations(const PageRequest& page) override;
  Result<Job> GetJob(const Uuid& id) override;
  Result<Lease> LeaseJob(const std::string& node, std::chrono::milliseconds lease, Time now) override;
  Status ReportJob(const Uuid& id, std::int64_t epoch, const std::string& node, const std::string& phase,
                   double progress, std::chrono::milliseconds lease, Time now) override;
  Result<Job> FinishJob(const Uuid& id, std::int64_t epoch, const std::string& node, const JobResult& result,
                        Time now) override;
  Result<bool> ArtifactInUse(const std::string& sha256) override;
  Result<Listing> PrepareListing(const Listing& listing, const RequestId& request) override;
  Result<Listing> ActivateListing(const std::string& listing, const Uuid& price_book) override;
  Result<Listing> GetListing(const std::string& listing) override;
  Result<Page<Listing>> ListListings(const PageRequest& page) override;

 private:
  struct Request {
    std::string payload_sha256;
    std::string resource;
  };
  Result<std::optional<std::string>> Recall(const RequestId& request) const;
  void Remember(const RequestId& request, const std::string& resource);
  Operation OperationOf(const Job& job) const;

  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Publisher> publishers_;
  std::map<std::string, Model> models_;
  std::map<VersionKey, Version> versions_;
  std::map<VariantKey, Variant> variants_;
  std::map<Uuid, Job> jobs_;
  std::map<Uuid, Time> lease_ends_;
  std::map<std::string, Listing> listings_;
  std::map<Uuid, Request> requests_;
};

}  // namespace allod::catalog
