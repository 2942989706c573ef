// Between the messages of allod.catalog.v1 (and google.longrunning) and the domain.
#pragma once

#include "allod/catalog/v1/job.pb.h"
#include "allod/catalog/v1/listing.pb.h"
#include "allod/catalog/v1/model.pb.h"
#include "google/longrunning/operations.pb.h"
#include "services/catalog/store.h"

namespace allod::catalog {

namespace pb = allod::catalog::v1;

// Names. INVALID_ARGUMENT / INVALID_NAME.
Result<VersionKey> VersionKeyOf(std::string_view field, std::string_view name);
Result<VariantKey> VariantKeyOf(std::string_view name);
// Of `jobs/{uuid}` or `operations/{uuid}`.
Result<Uuid> UuidOf(std::string_view field, std::string_view name, std::string_view pattern);

// What a request asks for, checked.
Result<Publisher> PublisherFromRequest(const pb::CreatePublisherRequest& request, Time now);
Result<Model> ModelFromRequest(const pb::CreateModelRequest& request, Time now);
Result<Job> InspectJobFromRequest(const pb::CreateVersionRequest& request, Time now);
Result<Job> CompressJobFromRequest(const pb::CreateVariantRequest& request, Time now);
Result<Listing> ListingFromRequest(const pb::CreateListingRequest& request, Time now);
// INVALID_ARGUMENT / RESULT_REQUIRED. Of an inspection without the size of the artifact.
Result<JobResult> ResultFromRequest(const pb::FinishJobRequest& request);

pb::Publisher ToProto(const Publisher& publisher);
pb::Model ToProto(const Model& model);
pb::Version ToProto(const Version& version);
pb::Variant ToProto(const Variant& variant);
pb::Listing ToProto(const Listing& listing);
billing::v1::TokenPrice ToProto(const TokenPrice& price);
pb::Job ToProto(const Job& job);
google::longrunning::Operation ToProto(const Operation& operation);

}  // namespace allod::catalog
