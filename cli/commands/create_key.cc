// `allod create-key`: an API key for a project, written to a file that only its owner can read.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/installation/files.h"
#include "cli/installation/lock.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"
#include "services/common/roles.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;

struct CreateKeyOptions {
  std::string project;
  std::string display_name;
  std::string file;
  std::vector<std::string> scopes;
  std::vector<std::string> roles;
  bool replace = false;
};

Status CreateKey(const Globals& globals, const CreateKeyOptions& options) {
  ALLOD_TRY(const auto ids, MatchName("project", options.project, "tenants/*/projects/*"));
  ALLOD_TRY(const auto state, installation::FindRunning(globals.state));
  const std::filesystem::path file =
      options.file.empty() ? state.key(ids[0], ids[1]) : std::filesystem::path(options.file);
  if (std::filesystem::exists(file) && !options.replace) {
    return FailedPrecondition(
        "FILE_EXISTS", fmt::format("{} is there already; give another --file, or --replace if its key is not needed "
                                   "any more (which does not revoke it)",
                                   file.string()));
  }
  tenancy_v1::CreateApiKeyRequest request;
  request.set_parent(options.project);
  request.mutable_api_key()->set_display_name(options.display_name);
  for (const auto& scope : options.scopes) {
    request.mutable_api_key()->add_scopes(scope == "portal" ? tenancy_v1::ApiKey::SCOPE_PORTAL
                                                            : tenancy_v1::ApiKey::SCOPE_INFERENCE);
  }
  for (const auto& word : options.roles) {
    if (const auto role = RoleOf(word)) request.mutable_api_key()->add_roles(*role);
  }
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_TRY(const auto response,
            net::Ask<tenancy_v1::ApiKeyService>(state, &tenancy_v1::ApiKeyService::Stub::CreateApiKey, request));
  ALLOD_CHECK_OK(installation::WriteFile(file, response.secret() + "\n"));
  if (globals.json()) {
    const auto quoted = [](const std::string& text) {
      return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    };
    terminal::Print(
        fmt::format("{{\"name\": {}, \"file\": {}}}\n", quoted(response.api_key().name()), quoted(file.string())));
  } else {
    terminal::Print(fmt::format("{}\nThe key lies in {}\n", response.api_key().name(), file.string()));
  }
  return {};
}

}  // namespace

void AddCreateKey(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<CreateKeyOptions>(
      app, globals, "create-key", "Make an API key for a project; revoke it with `allod delete apiKeys NAME`",
      &CreateKey);
  command->add_option("project", options->project, "tenants/TENANT/projects/PROJECT")->required();
  command->add_option("--display-name", options->display_name, "What it is for");
  command->add_option("--file", options->file,
                      "Where to write it (default: keys/TENANT-PROJECT.key in the state directory)");
  command->add_flag("--replace", options->replace, "Overwrite the file if it is there");
  command->add_option("--scope", options->scopes, "inference or portal; may be repeated (default: both)")
      ->check(CLI::IsMember({"inference", "portal"}));
  command
      ->add_option("--role", options->roles,
                   "What it may do through the portal: admin, developer, billing, auditor or viewer; may be repeated "
                   "(default: admin; docs/roles.md says what each may)")
      ->check(CLI::IsMember({"admin", "developer", "billing", "auditor", "viewer"}));
}

}  // namespace allod::cli::commands
