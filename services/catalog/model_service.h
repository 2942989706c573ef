// RPCs of PublisherService and ModelService. Thread-safe; borrow everything they are given.
#pragma once

#include "allod/catalog/v1/model.grpc.pb.h"
#include "services/catalog/call_gates.h"
#include "services/catalog/store.h"
#include "services/common/blob_store.h"
#include "services/common/change_signal.h"
#include "services/common/clock.h"

namespace allod::catalog {

class PublisherServiceImpl final : public v1::PublisherService::Service {
 public:
  PublisherServiceImpl(Store& store, const Clock& clock, CallGates& gates)
      : store_(store), clock_(clock), gates_(gates) {}

  grpc::Status CreatePublisher(grpc::ServerContext* context, const v1::CreatePublisherRequest* request,
                               v1::Publisher* response) override;
  grpc::Status ListPublishers(grpc::ServerContext* context, const v1::ListPublishersRequest* request,
                              v1::ListPublishersResponse* response) override;

 private:
  Store& store_;
  const Clock& clock_;
  CallGates& gates_;
};

class ModelServiceImpl final : public v1::ModelService::Service {
 public:
  ModelServiceImpl(Store& store, const BlobStore& blobs, ChangeSignal& jobs_changed, const Clock& clock,
                   CallGates& gates)
      : store_(store), blobs_(blobs), jobs_changed_(jobs_changed), clock_(clock), gates_(gates) {}

  grpc::Status CreateModel(grpc::ServerContext* context, const v1::CreateModelRequest* request,
                           v1::Model* response) override;
  grpc::Status GetModel(grpc::ServerContext* context, const v1::GetModelRequest* request, v1::Model* response) override;
  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;
  grpc::Status CreateVersion(grpc::ServerContext* context, const v1::CreateVersionRequest* request,
                             google::longrunning::Operation* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest* request,
                          v1::Version* response) override;
  grpc::Status ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* response) override;
  grpc::Status CreateVariant(grpc::ServerContext* context, const v1::CreateVariantRequest* request,
                             google::longrunning::Operation* response) override;
  grpc::Status GetVariant(grpc::ServerContext* context, const v1::GetVariantRequest* request,
                          v1::Variant* response) override;
  grpc::Status ListVariants(grpc::ServerContext* context, const v1::ListVariantsRequest* request,
                            v1::ListVariantsResponse* response) override;

 private:
  Store& store_;
  const BlobStore& blobs_;
  ChangeSignal& jobs_changed_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::catalog
