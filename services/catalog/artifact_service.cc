#include "services/catalog/artifact_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "services/common/ids.h"
#include "services/common/rpc/server.h"

namespace allod::catalog {
namespace {

Status CheckHeader(const v1::UploadArtifactRequest& first) {
  if (!first.has_header()) {
    return InvalidArgument("HEADER_REQUIRED",
                           "the first message of an upload must carry the header with sha256 and bytes");
  }
  ALLOD_CHECK_OK(CheckSha256("header.sha256", first.header().sha256()));
  const std::int64_t bytes = first.header().bytes();
  if (bytes > 0 && bytes <= ArtifactServiceImpl::kArtifactBytesMax) return {};
  return InvalidArgument("INVALID_SIZE", fmt::format("header.bytes: {} is not between 1 and {}", bytes,
                                                     ArtifactServiceImpl::kArtifactBytesMax));
}

v1::Artifact ToProto(const Blob& blob) {
  v1::Artifact out;
  out.set_sha256(blob.sha256);
  out.set_bytes(blob.bytes);
  return out;
}

std::unexpected<Error> WrongSize(std::int64_t expected, std::string_view got) {
  return InvalidArgument("SIZE_MISMATCH", fmt::format("header.bytes says {}, but {}; nothing was kept", expected, got));
}

}  // namespace

grpc::Status ArtifactServiceImpl::UploadArtifact(grpc::ServerContext* context,
                                                 grpc::ServerReader<v1::UploadArtifactRequest>* reader,
                                                 v1::Artifact* response) {
  return HandleStream(context, reader, [&](const Call&) -> Status {
    const Result<CallGate::Pass> place = uploads_.Enter("");
    if (!place) {
      return Fail(Code::kResourceExhausted, "TOO_MANY_UPLOADS",
                  fmt::format("{} uploads are running already; try again", kUploadsMax));
    }
    ALLOD_TRY(*response, Receive(*reader));
    return {};
  });
}

Result<v1::Artifact> ArtifactServiceImpl::Receive(grpc::ServerReader<v1::UploadArtifactRequest>& reader) {
  v1::UploadArtifactRequest message;
  if (!reader.Read(&message)) return InvalidArgument("HEADER_REQUIRED", "the upload ended before its first message");
  ALLOD_CHECK_OK(CheckHeader(message));
  const v1::Artifact header = message.header();
  if (const auto found = blobs_.Find(header.sha256())) {
    if (found->bytes == header.bytes()) return ToProto(*found);
    return WrongSize(header.bytes(), fmt::format("artifact {} has {} bytes", header.sha256(), found->bytes));
  }
  ALLOD_TRY(BlobStore::Writer writer, blobs_.Create());
  while (reader.Read(&message)) {
    if (message.part_case() != v1::UploadArtifactRequest::kData ||
        static_cast<std::int64_t>(message.data().size()) > kChunkBytesMax) {
      return InvalidArgument(
          "INVALID_CHUNK",
          fmt::format("every message after the first must carry 1 to {} bytes of data", kChunkBytesMax));
    }
    ALLOD_CHECK_OK(writer.Append(message.data().data(), message.data().size()));
    if (writer.bytes() > header.bytes()) return WrongSize(header.bytes(), "more arrived");
  }
  // A client that goes away and one that is done look the same up to here; the size and the digest tell them apart.
  if (writer.bytes() != header.bytes()) return WrongSize(header.bytes(), fmt::format("{} arrived", writer.bytes()));
  ALLOD_TRY(const Blob blob, writer.Commit(header.sha256()));
  return ToProto(blob);
}

grpc::Status ArtifactServiceImpl::ReadArtifact(grpc::ServerContext* context, const v1::ReadArtifactRequest* request,
                                               grpc::ServerWriter<v1::ReadArtifactResponse>* writer) {
  return HandleStream(context, request, [&](const Call&) -> Status {
    ALLOD_TRY(const Blob blob, blobs_.Find(request->sha256()));
    if (request->offset() < 0 || request->offset() > blob.bytes) {
      return Fail(
          Code::kOutOfRange, "INVALID_OFFSET",
          fmt::format("offset: {} is not between 0 and the artifact's {} bytes", request->offset(), blob.bytes));
    }
    return Send(blob, request->offset(), *writer);
  });
}

Status ArtifactServiceImpl::Send(const Blob& blob, std::int64_t offset,
                                 grpc::ServerWriter<v1::ReadArtifactResponse>& writer) {
  std::ifstream file(blob.path, std::ios::binary);
  file.seekg(offset);
  v1::ReadArtifactResponse message;
  for (std::int64_t left = blob.bytes - offset; left > 0; left -= static_cast<std::int64_t>(message.data().size())) {
    std::string& data = *message.mutable_data();
    data.resize(static_cast<std::size_t>(std::min(left, kChunkBytesMax)));
    if (!file.read(data.data(), static_cast<std::streamsize>(data.size()))) {
      return Fail(Code::kDataLoss, "ARTIFACT_UNREADABLE",
                  fmt::format("artifact {} cannot be read to its end", blob.sha256));
    }
    if (!writer.Write(message)) return {};  // the client has gone
  }
  return {};
}

}  // namespace allod::catalog
