#include "services/catalog/model_service.h"

#include <fmt/format.h>

#include "services/catalog/convert.h"
#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"

namespace allod::catalog {

using LongRunning = google::longrunning::Operation;

// Descriptions and quality reports are long; a page must fit into one message.
constexpr int kModelsPerPageMax = 100;
constexpr int kVariantsPerPageMax = 200;

grpc::Status PublisherServiceImpl::CreatePublisher(grpc::ServerContext* context,
                                                   const v1::CreatePublisherRequest* request, v1::Publisher* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Publisher> {
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const Publisher publisher, PublisherFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const Publisher created, store_.CreatePublisher(publisher, request_id));
    return ToProto(created);
  });
}

grpc::Status PublisherServiceImpl::ListPublishers(grpc::ServerContext* context,
                                                  const v1::ListPublishersRequest* request,
                                                  v1::ListPublishersResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListPublishersResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("publishers", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto publishers, store_.ListPublishers(page));
    v1::ListPublishersResponse out;
    for (const Publisher& publisher : publishers.items) *out.add_publishers() = ToProto(publisher);
    out.set_next_page_token(publishers.next_page_token);
    return out;
  });
}

grpc::Status ModelServiceImpl::CreateModel(grpc::ServerContext* context, const v1::CreateModelRequest* request,
                                           v1::Model* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Model> {
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const Model model, ModelFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const Model created, store_.CreateModel(model, request_id));
    return ToProto(created);
  });
}

grpc::Status ModelServiceImpl::GetModel(grpc::ServerContext* context, const v1::GetModelRequest* request,
                                        v1::Model* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Model> {
    ALLOD_TRY(const auto name, MatchName("name", request->name(), "models/*"));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Model model, store_.GetModel(name[0]));
    return ToProto(model);
  });
}

grpc::Status ModelServiceImpl::ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                                          v1::ListModelsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListModelsResponse> {
    ALLOD_TRY(const PageRequest page,
              ParsePage("models", request->page_size(), request->page_token(), kModelsPerPageMax));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto models, store_.ListModels(page));
    v1::ListModelsResponse out;
    for (const Model& model : models.items) *out.add_models() = ToProto(model);
    out.set_next_page_token(models.next_page_token);
    return out;
  });
}

grpc::Status ModelServiceImpl::CreateVersion(grpc::ServerContext* context, const v1::CreateVersionRequest* request,
                                             LongRunning* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<LongRunning> {
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const Job job, InspectJobFromRequest(*request, clock_.Now()));
    std::optional<Error> refusal;
    if (const auto artifact = blobs_.Find(job.source_sha256); !artifact) {
      if (artifact.error().code != Code::kNotFound) return std::unexpected(artifact.error());
      refusal =
          Error{Code::kFailedPrecondition, "ARTIFACT_NOT_FOUND",
                fmt::format("version.source_sha256: artifact {} is not in the store; upload it first (UploadArtifact)",
                            job.source_sha256)};
    }
    ALLOD_TRY(const auto operation, store_.StartJob(job, request_id, refusal));
    jobs_changed_.Notify();
    return ToProto(operation);
  });
}

grpc::Status ModelServiceImpl::GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest* request,
                                          v1::Version* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Version> {
    ALLOD_TRY(const VersionKey key, VersionKeyOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Version version, store_.GetVersion(key));
    return ToProto(version);
  });
}

grpc::Status ModelServiceImpl::ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                                            v1::ListVersionsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListVersionsResponse> {
    ALLOD_TRY(const auto parent, MatchName("parent", request->parent(), "models/*"));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/versions", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto versions, store_.ListVersions(parent[0], page));
    v1::ListVersionsResponse out;
    for (const Version& version : versions.items) *out.add_versions() = ToProto(version);
    out.set_next_page_token(versions.next_page_token);
    return out;
  });
}

grpc::Status ModelServiceImpl::CreateVariant(grpc::ServerContext* context, const v1::CreateVariantRequest* request,
                                             LongRunning* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<LongRunning> {
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const Job job, CompressJobFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const auto operation, store_.StartJob(job, request_id));
    jobs_changed_.Notify();
    return ToProto(operation);
  });
}

grpc::Status ModelServiceImpl::GetVariant(grpc::ServerContext* context, const v1::GetVariantRequest* request,
                                          v1::Variant* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Variant> {
    ALLOD_TRY(const VariantKey key, VariantKeyOf(request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Variant variant, store_.GetVariant(key));
    return ToProto(variant);
  });
}

grpc::Status ModelServiceImpl::ListVariants(grpc::ServerContext* context, const v1::ListVariantsRequest* request,
                                            v1::ListVariantsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListVariantsResponse> {
    ALLOD_TRY(const VersionKey parent, VersionKeyOf("parent", request->parent()));
    ALLOD_TRY(const PageRequest page, ParsePage(request->parent() + "/variants", request->page_size(),
                                                request->page_token(), kVariantsPerPageMax));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto variants, store_.ListVariants(parent, page));
    v1::ListVariantsResponse out;
    for (const Variant& variant : variants.items) *out.add_variants() = ToProto(variant);
    out.set_next_page_token(variants.next_page_token);
    return out;
  });
}

}  // namespace allod::catalog
