// RPCs of ArtifactService. Thread-safe; borrows the blob store.
//
// An upload holds a server thread and a file handle; there may be kUploadsMax, further ones get RESOURCE_EXHAUSTED /
// TOO_MANY_UPLOADS.
#pragma once

#include "allod/catalog/v1/artifact.grpc.pb.h"
#include "services/common/blob_store.h"
#include "services/common/result.h"
#include "services/common/rpc/call_gate.h"

namespace allod::catalog {

class ArtifactServiceImpl final : public v1::ArtifactService::Service {
 public:
  static constexpr int kUploadsMax = 8;
  static constexpr std::int64_t kArtifactBytesMax = std::int64_t{1} << 40;
  static constexpr std::int64_t kChunkBytesMax = 1 << 20;

  explicit ArtifactServiceImpl(BlobStore& blobs) : blobs_(blobs) {}

  grpc::Status UploadArtifact(grpc::ServerContext* context, grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                              v1::Artifact* response) override;
  grpc::Status ReadArtifact(grpc::ServerContext* context, const v1::ReadArtifactRequest* request,
                            grpc::ServerWriter<v1::ReadArtifactResponse>* writer) override;

 private:
  Result<v1::Artifact> Receive(grpc::ServerReader<v1::UploadArtifactRequest>& reader);
  Status Send(const Blob& blob, std::int64_t offset, grpc::ServerWriter<v1::ReadArtifactResponse>& writer);

  BlobStore& blobs_;
  CallGate uploads_{{.what = "uploads", .per_key_max = kUploadsMax, .total_max = kUploadsMax}};
};

}  // namespace allod::catalog
