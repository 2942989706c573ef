// `allod create-key`: an API key for a project, written to a file that only its owner can read.

#include <fmt/format.h>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

namespace tenancy = allod::tenancy::v1;

struct Options {
  std::string project;
  std::string display_name;
  std::string file;
  std::vector<std::string> scopes;
  bool replace = false;
};

Status CreateKey(const Globals& globals, const Options& options) {
  ALLOD_TRY(const auto ids, MatchName("project", options.project, "tenants/*/projects/*"));
  ALLOD_TRY(const StateDir state, RunningState(globals));
  const std::filesystem::path file = options.file.empty() ? state.keys() / fmt::format("{}-{}.key", ids[0], ids[1])
                                                          : std::filesystem::path(options.file);
  if (std::filesystem::exists(file) && !options.replace) {
    return FailedPrecondition(
        "FILE_EXISTS", fmt::format("{} is there already; give another --file, or --replace if its key is not needed "
                                   "any more (which does not revoke it)",
                                   file.string()));
  }
  tenancy::CreateApiKeyRequest request;
  request.set_parent(options.project);
  request.mutable_api_key()->set_display_name(options.display_name);
  for (const auto& scope : options.scopes) {
    request.mutable_api_key()->add_scopes(scope == "portal" ? tenancy::ApiKey::SCOPE_PORTAL
                                                            : tenancy::ApiKey::SCOPE_INFERENCE);
  }
  request.set_request_id(Uuid::V7().ToString());
  const auto stub = Connect<tenancy::ApiKeyService>(state, "tenancy");
  ALLOD_TRY(const auto response, Ask(*stub, &tenancy::ApiKeyService::Stub::CreateApiKey, request));
  ALLOD_CHECK_OK(WriteFile(file, response.secret() + "\n"));
  if (globals.json()) {
    Print(fmt::format("{{\"name\": \"{}\", \"file\": \"{}\"}}\n", response.api_key().name(), file.string()));
  } else {
    Print(fmt::format("{}\nThe key lies in {}\n", response.api_key().name(), file.string()));
  }
  return {};
}

}  // namespace

void AddKeyCommands(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* create =
      app.add_subcommand("create-key", "Make an API key for a project; revoke it with `allod delete apiKeys NAME`");
  create->add_option("project", options->project, "tenants/TENANT/projects/PROJECT")->required();
  create->add_option("--display-name", options->display_name, "What it is for");
  create->add_option("--file", options->file,
                     "Where to write it (default: keys/TENANT-PROJECT.key in the state directory)");
  create->add_flag("--replace", options->replace, "Overwrite the file if it is there");
  create->add_option("--scope", options->scopes, "inference or portal; may be repeated (default: both)")
      ->check(CLI::IsMember({"inference", "portal"}));
  create->callback(
      [&globals, options] { globals.action = [&globals, options] { return CreateKey(globals, *options); }; });
}

}  // namespace allod::cli
