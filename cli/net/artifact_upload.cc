#include "cli/net/artifact_upload.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "allod/catalog/v1/artifact.grpc.pb.h"
#include "cli/net/connections.h"
#include "cli/terminal/progress.h"
#include "services/common/digest.h"
#include "services/common/owned_fd.h"

namespace allod::cli::net {

namespace catalog_v1 = allod::catalog::v1;

namespace {

constexpr std::size_t kChunk = 1 << 20;

// Calls `take` with the file's content, piece by piece; it returns false to stop.
Status ForEachChunk(const std::string& path, const std::function<bool(const std::string&)>& take) {
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return NotFound("cannot read " + path);
  std::string chunk;
  while (true) {
    chunk.resize(kChunk);
    const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
    if (n < 0) return FailedPrecondition("CANNOT_READ", "reading " + path + " failed");
    if (n == 0) return {};
    chunk.resize(static_cast<std::size_t>(n));
    if (!take(chunk)) return {};
  }
}

}  // namespace

Result<catalog_v1::Artifact> UploadArtifact(const installation::StateDir& state, const std::string& path) {
  std::error_code ec;
  const auto bytes = std::filesystem::file_size(path, ec);
  if (ec) return NotFound(fmt::format("cannot read {}: {}", path, ec.message()));
  if (!std::filesystem::is_regular_file(path, ec))
    return InvalidArgument("NOT_A_FILE", path + " is not a regular file");
  terminal::Progress progress("upload " + std::filesystem::path(path).filename().string());

  // The digest goes first, so that a file that is there already need not be sent.
  Sha256 hasher;
  std::uintmax_t done = 0;
  const auto share = [&] { return bytes == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(bytes); };
  ALLOD_CHECK_OK(ForEachChunk(path, [&](const std::string& chunk) {
    hasher.Update(chunk.data(), chunk.size());
    done += chunk.size();
    progress.Show("reading", share());
    return true;
  }));
  catalog_v1::UploadArtifactRequest part;
  part.mutable_header()->set_sha256(hasher.FinishHex());
  part.mutable_header()->set_bytes(static_cast<std::int64_t>(done));

  const auto stub = Connect<catalog_v1::ArtifactService>(state);
  const auto context = MakeStreamContext(Caller::Operator());
  context->set_wait_for_ready(true);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::hours(6));
  catalog_v1::Artifact artifact;
  const auto writer = stub->UploadArtifact(context.get(), &artifact);
  bool open = writer->Write(part);
  done = 0;
  if (open) {
    ALLOD_CHECK_OK(ForEachChunk(path, [&](const std::string& chunk) {
      part.set_data(chunk);
      open = writer->Write(part);
      done += chunk.size();
      progress.Show("sending", share());
      return open;  // false: the server has it already, or refused it; Finish() tells
    }));
  }
  writer->WritesDone();
  if (const grpc::Status status = writer->Finish(); !status.ok()) return std::unexpected(FromGrpc(status));
  progress.Finish(artifact.sha256());
  return artifact;
}

}  // namespace allod::cli::net
