// `allod import`: brings a model into the marketplace.

#include "allod/catalog/v1/model.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/compression.h"
#include "cli/net/artifact_upload.h"
#include "cli/net/connections.h"
#include "cli/net/operations.h"
#include "services/common/ids.h"
#include "services/common/spdx.h"
#include "services/common/text_check.h"

namespace allod::cli::commands {
namespace {

namespace catalog_v1 = allod::catalog::v1;
using catalog_v1::ModelService;

struct ImportOptions {
  std::string file;
  std::string model;
  std::string version = "v1";
  std::string publisher = "local";
  std::string display_name;
  std::string license;
  std::vector<std::string> compress;
};

Status Import(const Globals& globals, ImportOptions& options) {
  // Everything is checked before the first byte is sent.
  ALLOD_CHECK_OK(CheckId("--model", options.model));
  ALLOD_CHECK_OK(CheckId("--version", options.version));
  ALLOD_CHECK_OK(CheckId("--publisher", options.publisher));
  if (!options.display_name.empty()) ALLOD_CHECK_OK(CheckDisplayName("--display-name", options.display_name));
  ALLOD_TRY(options.license, NormaliseLicense("--license", options.license));
  ALLOD_CHECK_OK(CheckCompressions(options.compress));
  ALLOD_TRY(const auto state, FindInstallation(globals));
  ALLOD_TRY(const catalog_v1::Artifact artifact, net::UploadArtifact(state, options.file));

  const auto models = net::Connect<ModelService>(state);
  const std::string model = "models/" + options.model;
  catalog_v1::CreateVersionRequest version;
  version.set_parent(model);
  version.set_version_id(options.version);
  version.mutable_version()->set_license(options.license);
  version.mutable_version()->set_source_sha256(artifact.sha256());
  version.set_request_id(Uuid::V7().ToString());
  catalog_v1::GetModelRequest get;
  get.set_name(model);
  if (const auto existing = net::Ask(*models, &ModelService::Stub::GetModel, get); !existing) {
    if (existing.error().code != Code::kNotFound) return std::unexpected(existing.error());
    catalog_v1::CreatePublisherRequest publisher;
    publisher.set_publisher_id(options.publisher);
    publisher.mutable_publisher()->set_display_name(options.publisher);
    ALLOD_TRY(
        [[maybe_unused]] const auto made_publisher,
        net::Ask<catalog_v1::PublisherService>(state, &catalog_v1::PublisherService::Stub::CreatePublisher, publisher));
    // The model comes into being with its first version, so that a refused file leaves nothing behind.
    version.mutable_model()->set_publisher("publishers/" + options.publisher);
    version.mutable_model()->set_display_name(options.display_name.empty() ? options.model : options.display_name);
  }
  ALLOD_TRY(const auto operation, net::Ask(*models, &ModelService::Stub::CreateVersion, version));
  ALLOD_CHECK_OK(net::WaitForChange(state, {"catalog", operation}, "import " + model));
  const std::string name = model + "/versions/" + options.version;
  ALLOD_CHECK_OK(CompressTo(state, name, options.compress));
  return ShowVariants(globals, state, name);
}

}  // namespace

void AddImport(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<ImportOptions>(
      app, globals, "import", "Bring a GGUF file into the catalog: validated, measured, and compressed where asked",
      &Import);
  command->add_option("file", options->file, "GGUF file")->required();
  command->add_option("--model", options->model, "Id of the model; made if it is new")->required();
  command->add_option("--version", options->version, "Id of the version (default: v1)");
  command->add_option("--publisher", options->publisher, "Id of the publisher (default: local); made if it is new");
  command->add_option("--display-name", options->display_name, "What people call the model (default: its id)");
  command->add_option("--license", options->license, "SPDX expression or LicenseRef-... of the weights")->required();
  command
      ->add_option("--compress", options->compress,
                   "Types to compress to, e.g. Q8_0,Q4_K_M; there are " + CompressionTypes())
      ->delimiter(',');
}

}  // namespace allod::cli::commands
