#include "inference/node/artifacts/artifacts.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <utility>
#include <vector>

#include "services/common/rpc/client.h"
#include "services/common/rpc/status.h"

namespace allod::inference::node::artifacts {
namespace {

constexpr std::size_t kChunkBytes = 1 << 20;
// A transfer longer than this is stuck; it starts anew.
constexpr auto kTransferTimeout = std::chrono::hours(6);

std::unique_ptr<grpc::ClientContext> TransferContext(const Caller& caller) {
  auto context = MakeStreamContext(caller);
  context->set_deadline(std::chrono::system_clock::now() + kTransferTimeout);
  return context;
}

}  // namespace

Artifacts::Artifacts(BlobStore store, std::shared_ptr<grpc::Channel> catalog, Caller caller)
    : store_(std::move(store)),
      stub_(catalog::v1::ArtifactService::NewStub(std::move(catalog))),
      caller_(std::move(caller)) {}

Result<Blob> Artifacts::Ensure(const std::string& sha256, const std::stop_token& stop,
                               const std::function<Status(std::int64_t)>& on_bytes) {
  auto found = store_.Find(sha256);
  if (found || found.error().code != Code::kNotFound) return found;
  ALLOD_TRY(BlobStore::Writer writer, store_.Create());
  const auto context = TransferContext(caller_);
  const std::stop_callback cancel(stop, [&] { context->TryCancel(); });
  catalog::v1::ReadArtifactRequest request;
  request.set_sha256(sha256);
  const auto reader = stub_->ReadArtifact(context.get(), request);
  Status received;
  catalog::v1::ReadArtifactResponse response;
  while (received && reader->Read(&response)) {
    received = writer.Append(response.data().data(), response.data().size());
    if (received && on_bytes) received = on_bytes(writer.bytes());
  }
  if (!received) context->TryCancel();
  const grpc::Status status = reader->Finish();
  ALLOD_CHECK_OK(received);
  if (!status.ok()) return std::unexpected(FromGrpc(status));
  return writer.Commit(sha256);
}

Status Artifacts::Publish(const Blob& blob, const std::stop_token& stop,
                          const std::function<Status(std::int64_t)>& on_bytes) {
  const auto context = TransferContext(caller_);
  const std::stop_callback cancel(stop, [&] { context->TryCancel(); });
  catalog::v1::Artifact stored;
  const auto writer = stub_->UploadArtifact(context.get(), &stored);
  catalog::v1::UploadArtifactRequest request;
  request.mutable_header()->set_sha256(blob.sha256);
  request.mutable_header()->set_bytes(blob.bytes);
  Status sent;
  // Write fails as soon as the catalog has answered: with what is wrong, or that it has the file already.
  if (writer->Write(request)) {
    std::ifstream in(blob.path, std::ios::binary);
    std::vector<char> chunk(kChunkBytes);
    std::int64_t bytes = 0;
    while (sent && (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || in.gcount() > 0)) {
      request.set_data(chunk.data(), static_cast<std::size_t>(in.gcount()));
      if (!writer->Write(request)) break;
      bytes += in.gcount();
      if (on_bytes) sent = on_bytes(bytes);
    }
    if (!sent) context->TryCancel();
    writer->WritesDone();
  }
  const grpc::Status status = writer->Finish();
  ALLOD_CHECK_OK(sent);
  if (!status.ok()) return std::unexpected(FromGrpc(status));
  if (stored.sha256() != blob.sha256) return Internal("the catalog stored another file than was sent");
  return {};
}

}  // namespace allod::inference::node::artifacts
