// `allod compress`: makes smaller variants of a version that is in the marketplace.

#include "cli/commands/commands.h"
#include "cli/commands/compression.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

struct CompressOptions {
  std::string version;
  std::vector<std::string> types;
};

Status Compress(const Globals& globals, CompressOptions& options) {
  ALLOD_CHECK_OK(CheckCompressions(options.types));
  ALLOD_TRY([[maybe_unused]] const auto segments, MatchName("version", options.version, "models/*/versions/*"));
  ALLOD_TRY(const auto state, FindInstallation(globals));
  ALLOD_CHECK_OK(CompressTo(state, options.version, options.types));
  return ShowVariants(globals, state, options.version);
}

}  // namespace

void AddCompress(CLI::App& app, Globals& globals) {
  const auto [command, options] =
      AddCommand<CompressOptions>(app, globals, "compress", "Compress a version and measure what came out", &Compress);
  command->add_option("version", options->version, "models/MODEL/versions/VERSION")->required();
  command->add_option("types", options->types, CompressionTypes())->required()->delimiter(',');
}

}  // namespace allod::cli::commands
