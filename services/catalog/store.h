// The storage port of the catalog: every method is one whole transaction. Implementations: PgStore, FakeStore; the
// suite in tests/contract/catalog_store_test.cc runs on both. Thread-safe.
//
// The marketplace belongs to no tenant. Creating what is there with the same content returns it; ALREADY_EXISTS /
// ALREADY_EXISTS with other content, and ALREADY_EXISTS / REQUEST_ID_REUSED when the request id stands for another
// request. NOT_FOUND for what is missing. Lists are ordered by id and have up to page.size items.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "services/catalog/domain.h"
#include "services/catalog/job.h"
#include "services/catalog/listing.h"
#include "services/common/page_token.h"
#include "services/common/request_id.h"

namespace allod::catalog {

// A job as its asker sees it; of a successful one, what it made.
struct Operation {
  Job job;
  std::optional<Version> version;  // of an inspection
  std::optional<Variant> variant;  // of a compression
};

struct Lease {
  std::optional<Job> job;
  std::vector<Job> exhausted;  // jobs found to have failed kAttemptsMax times; they are FAILED now
};

class Store {
 public:
  virtual ~Store() = default;

  virtual Result<Publisher> CreatePublisher(const Publisher& publisher, const RequestId& request) = 0;
  virtual Result<Page<Publisher>> ListPublishers(const PageRequest& page) = 0;

  virtual Result<Model> CreateModel(const Model& model, const RequestId& request) = 0;
  virtual Result<Model> GetModel(const std::string& model) = 0;
  virtual Result<Page<Model>> ListModels(const PageRequest& page) = 0;

  virtual Result<Version> GetVersion(const VersionKey& key) = 0;
  virtual Result<Page<Version>> ListVersions(const std::string& model, const PageRequest& page) = 0;
  virtual Result<Variant> GetVariant(const VariantKey& key) = 0;
  virtual Result<Page<Variant>> ListVariants(const VersionKey& version, const PageRequest& page) = 0;

  // Queues the job unless its target exists or is being made; then gives that operation. A target has at most one job
  // that has not failed. Of a compression the source is that of the `source` variant. After a failure a new request
  // starts a new job. With a `refusal` it only gives what an earlier request with the same id started, and else the
  // refusal.
  virtual Result<Operation> StartJob(const Job& job, const RequestId& request,
                                     const std::optional<Error>& refusal = std::nullopt) = 0;
  virtual Result<Operation> GetOperation(const Uuid& id) = 0;
  virtual Result<Page<Operation>> ListOperations(const PageRequest& page) = 0;
  virtual Result<Job> GetJob(const Uuid& id) = 0;

  // The oldest job that is queued or whose lease has run out, by the database's clock; each to one caller only.
  virtual Result<Lease> LeaseJob(const std::string& node, std::chrono::milliseconds lease, Time now) = 0;
  // Renews the lease. ABORTED / LEASE_LOST for another epoch or node, or a finished job.
  virtual Status ReportJob(const Uuid& id, std::int64_t epoch, const std::string& node, const std::string& phase,
                           double progress, std::chrono::milliseconds lease, Time now) = 0;
  // Ends the job and writes what it made, both or neither. The same epoch again changes nothing. The result has passed
  // CheckResult. ABORTED / LEASE_LOST.
  virtual Result<Job> FinishJob(const Uuid& id, std::int64_t epoch, const std::string& node, const JobResult& result,
                                Time now) = 0;

  // Whether a version, a variant or an unfinished job refers to the artifact.
  virtual Result<bool> ArtifactInUse(const std::string& sha256) = 0;

  // Writes a PENDING listing, or gives the one with the same content in whatever state it is. A pending one with other
  // content is replaced, with the new price book. FAILED_PRECONDITION / UNKNOWN_VARIANT.
  virtual Result<Listing> PrepareListing(const Listing& listing, const RequestId& request) = 0;
  // PENDING -> ACTIVE. ABORTED / LISTING_REPLACED when the listing has another price book by now.
  virtual Result<Listing> ActivateListing(const std::string& listing, const Uuid& price_book) = 0;
  // Pending listings do not exist for these two.
  virtual Result<Listing> GetListing(const std::string& listing) = 0;
  virtual Result<Page<Listing>> ListListings(const PageRequest& page) = 0;
};

}  // namespace allod::catalog
