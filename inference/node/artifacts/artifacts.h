// Model files on this node: found in the local store, fetched from the catalog, or handed to it.
//
// On one machine the store is the catalog's own directory, so files are always there and nothing is copied.
// Thread-safe. Calls block for as long as the transfer takes and end early with CANCELLED when `stop` is requested.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "allod/catalog/v1/artifact.grpc.pb.h"
#include "services/common/blob_store.h"
#include "services/common/result.h"
#include "services/common/rpc/caller.h"

namespace allod::inference::node::artifacts {

class Artifacts {
 public:
  Artifacts(BlobStore store, std::shared_ptr<grpc::Channel> catalog, Caller caller);

  BlobStore& store() { return store_; }
  Result<Blob> Find(const std::string& sha256) const { return store_.Find(sha256); }
  // Fetches it unless it is there. `on_bytes` gets the bytes received so far; an error that it returns ends the
  // transfer. INVALID_ARGUMENT / DIGEST_MISMATCH, RESOURCE_EXHAUSTED / DISK_FULL, what the catalog says.
  Result<Blob> Ensure(const std::string& sha256, const std::stop_token& stop,
                      const std::function<Status(std::int64_t)>& on_bytes = {});
  // Gives the file to the catalog unless it has it.
  Status Publish(const Blob& blob, const std::stop_token& stop,
                 const std::function<Status(std::int64_t)>& on_bytes = {});

 private:
  BlobStore store_;
  std::unique_ptr<catalog::v1::ArtifactService::Stub> stub_;
  Caller caller_;
};

}  // namespace allod::inference::node::artifacts
