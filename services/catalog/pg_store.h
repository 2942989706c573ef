// The catalog store in PostgreSQL, schema `catalog` (migrations/catalog). Split by resource: pg_store.cc models and
// what is below them, pg_store_jobs.cc, pg_store_listings.cc.
#pragma once

#include "services/catalog/store.h"
#include "services/common/pg/pool.h"

namespace allod::catalog {

class PgStore final : public Store {
 public:
  explicit PgStore(PgPool& pool) : pool_(pool) {}

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
  PgPool& pool_;
};

}  // namespace allod::catalog
