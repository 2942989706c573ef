// `allod import` and `allod compress`: brings a model into the marketplace.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "allod/catalog/v1/artifact.grpc.pb.h"
#include "allod/catalog/v1/model.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/kinds/resources.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "cli/terminal/progress.h"
#include "services/common/digest.h"
#include "services/common/ids.h"
#include "services/common/spdx.h"
#include "services/common/text_check.h"

namespace allod::cli {
namespace {

namespace catalog = allod::catalog::v1;
using catalog::ModelService;

struct Options {
  std::string file;
  std::string model;
  std::string version = "v1";
  std::string publisher = "local";
  std::string display_name;
  std::string license;
  std::vector<std::string> compress;
};

struct FileDescriptor {
  int fd = -1;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

constexpr std::size_t kChunk = 1 << 20;

// "Q8_0, Q6_K, ...": the types that there are.
std::string CompressionTypes() {
  constexpr std::string_view kPrefix = "COMPRESSION_TYPE_";
  std::string names;
  const auto* types = catalog::CompressionType_descriptor();
  for (int i = 1; i < types->value_count(); ++i) {
    names += (names.empty() ? "" : ", ") + types->value(i)->name().substr(kPrefix.size());
  }
  return names;
}

// Both spellings are fine: Q4_K_M, as types are called, and q4_k_m, as variants are.
Status CheckCompressions(std::vector<std::string>& types) {
  for (std::string& type : types) {
    std::string name = type;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    catalog::CompressionType known{};
    if (!catalog::CompressionType_Parse("COMPRESSION_TYPE_" + name, &known) ||
        known == catalog::COMPRESSION_TYPE_UNSPECIFIED) {
      return InvalidArgument("UNKNOWN_COMPRESSION", fmt::format("'{}' is none of {}", type, CompressionTypes()));
    }
    type = name;
  }
  return {};
}

// Calls `take` with the file's content, piece by piece; it returns false to stop.
Status ForEachChunk(const std::string& path, const std::function<bool(const std::string&)>& take) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return NotFound("cannot read " + path);
  std::string chunk;
  while (true) {
    chunk.resize(kChunk);
    const ssize_t n = ::read(file.fd, chunk.data(), chunk.size());
    if (n < 0) return FailedPrecondition("CANNOT_READ", "reading " + path + " failed");
    if (n == 0) return {};
    chunk.resize(static_cast<std::size_t>(n));
    if (!take(chunk)) return {};
  }
}

Result<catalog::Artifact> Upload(const StateDir& state, const std::string& path) {
  std::error_code ec;
  const auto bytes = std::filesystem::file_size(path, ec);
  if (ec) return NotFound(fmt::format("cannot read {}: {}", path, ec.message()));
  if (!std::filesystem::is_regular_file(path)) return InvalidArgument("NOT_A_FILE", path + " is not a regular file");
  Progress progress("upload " + std::filesystem::path(path).filename().string());

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
  catalog::UploadArtifactRequest part;
  part.mutable_header()->set_sha256(hasher.FinishHex());
  part.mutable_header()->set_bytes(static_cast<std::int64_t>(done));

  const auto stub = Connect<catalog::ArtifactService>(state, "catalog");
  const auto context = MakeStreamContext(Caller::Operator());
  context->set_wait_for_ready(true);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::hours(6));
  catalog::Artifact artifact;
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

Status Compress(const StateDir& state, const std::string& version, const std::vector<std::string>& types) {
  const auto stub = Connect<ModelService>(state, "catalog");
  for (const auto& type : types) {
    catalog::CreateVariantRequest request;
    request.set_parent(version);
    request.set_compression(type);
    request.set_request_id(Uuid::V7().ToString());
    ALLOD_TRY(const auto operation, Ask(*stub, &ModelService::Stub::CreateVariant, request));
    ALLOD_CHECK_OK(WaitForChange(state, {"catalog", operation}, "compress to " + type));
  }
  return {};
}

Status ShowVariants(const Globals& globals, const StateDir& state, const std::string& version) {
  ALLOD_TRY(const ResourceKind* kind, FindKind("variants"));
  ALLOD_TRY(const auto variants, kind->list(state, version));
  std::vector<const google::protobuf::Message*> shown;
  for (const auto& variant : variants) shown.push_back(variant.get());
  Print(globals.json() ? ToJsonList(shown) : MessageTable(kind->columns, shown));
  return {};
}

Status Import(const Globals& globals, Options& options) {
  // Everything is checked before the first byte is sent.
  ALLOD_CHECK_OK(CheckId("--model", options.model));
  ALLOD_CHECK_OK(CheckId("--version", options.version));
  ALLOD_CHECK_OK(CheckId("--publisher", options.publisher));
  if (!options.display_name.empty()) ALLOD_CHECK_OK(CheckDisplayName("--display-name", options.display_name));
  ALLOD_TRY(options.license, NormaliseLicense("--license", options.license));
  ALLOD_CHECK_OK(CheckCompressions(options.compress));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  ALLOD_TRY(const catalog::Artifact artifact, Upload(state, options.file));

  const auto models = Connect<ModelService>(state, "catalog");
  const std::string model = "models/" + options.model;
  catalog::CreateVersionRequest version;
  version.set_parent(model);
  version.set_version_id(options.version);
  version.mutable_version()->set_license(options.license);
  version.mutable_version()->set_source_sha256(artifact.sha256());
  version.set_request_id(Uuid::V7().ToString());
  catalog::GetModelRequest get;
  get.set_name(model);
  if (const auto existing = Ask(*models, &ModelService::Stub::GetModel, get); !existing) {
    if (existing.error().code != Code::kNotFound) return std::unexpected(existing.error());
    const auto publishers = Connect<catalog::PublisherService>(state, "catalog");
    catalog::CreatePublisherRequest publisher;
    publisher.set_publisher_id(options.publisher);
    publisher.mutable_publisher()->set_display_name(options.publisher);
    ALLOD_TRY([[maybe_unused]] const auto made_publisher,
              Ask(*publishers, &catalog::PublisherService::Stub::CreatePublisher, publisher));
    // The model comes into being with its first version, so that a refused file leaves nothing behind.
    version.mutable_model()->set_publisher("publishers/" + options.publisher);
    version.mutable_model()->set_display_name(options.display_name.empty() ? options.model : options.display_name);
  }
  ALLOD_TRY(const auto operation, Ask(*models, &ModelService::Stub::CreateVersion, version));
  ALLOD_CHECK_OK(WaitForChange(state, {"catalog", operation}, "import " + model));
  const std::string name = model + "/versions/" + options.version;
  ALLOD_CHECK_OK(Compress(state, name, options.compress));
  return ShowVariants(globals, state, name);
}

Status CompressVersion(const Globals& globals, Options& options) {
  ALLOD_CHECK_OK(CheckCompressions(options.compress));
  ALLOD_TRY([[maybe_unused]] const auto segments, MatchName("version", options.version, "models/*/versions/*"));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  ALLOD_CHECK_OK(Compress(state, options.version, options.compress));
  return ShowVariants(globals, state, options.version);
}

}  // namespace

void AddImportCommands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* import = app.add_subcommand(
      "import", "Bring a GGUF file into the catalog: validated, measured, and compressed where asked");
  import->add_option("file", options->file, "GGUF file")->required();
  import->add_option("--model", options->model, "Id of the model; made if it is new")->required();
  import->add_option("--version", options->version, "Id of the version (default v1)");
  import->add_option("--publisher", options->publisher, "Id of the publisher (default local); made if it is new");
  import->add_option("--display-name", options->display_name, "What people call the model");
  import->add_option("--license", options->license, "SPDX expression or LicenseRef-... of the weights")->required();
  import
      ->add_option("--compress", options->compress,
                   "Types to compress to, e.g. Q8_0,Q4_K_M; there are " + CompressionTypes())
      ->delimiter(',');
  import->callback([&globals, options] { globals.action = [&globals, options] { return Import(globals, *options);
};
}  // namespace allod::cli
);

auto compressing = std::make_shared<Options>();
auto* compress = app.add_subcommand("compress", "Compress a version and measure what came out");
compress->add_option("version", compressing->version, "models/MODEL/versions/VERSION")->required();
compress->add_option("types", compressing->compress, CompressionTypes())->required()->delimiter(',');
compress->callback([&globals, compressing] {
  globals.action = [&globals, compressing] { return CompressVersion(globals, *compressing); };
});
}

}  // namespace allod::cli
