// `allod create-key`: an API key for a project, written to a file that only its owner can read.

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/key_file.h"
#include "cli/commands/times.h"
#include "cli/net/connections.h"
#include "services/common/ids.h"
#include "services/common/roles.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;

struct CreateKeyOptions {
  std::string project;
  std::string display_name;
  KeyFileOptions file;
  std::vector<std::string> scopes;
  std::vector<std::string> roles;
  std::vector<std::string> custom_roles;
  std::string expires;
  std::vector<std::string> ip_ranges;
  std::vector<std::string> instances;
  std::int64_t requests_per_minute = 0;
  std::int64_t tokens_per_minute = 0;
  int concurrency = 0;
};

Result<tenancy_v1::CreateApiKeyRequest> RequestOf(const CreateKeyOptions& options) {
  tenancy_v1::CreateApiKeyRequest request;
  request.set_parent(options.project);
  tenancy_v1::ApiKey& key = *request.mutable_api_key();
  key.set_display_name(options.display_name);
  for (const auto& scope : options.scopes) {
    key.add_scopes(scope == "portal" ? tenancy_v1::ApiKey::SCOPE_PORTAL : tenancy_v1::ApiKey::SCOPE_INFERENCE);
  }
  for (const auto& word : options.roles) {
    if (const auto role = RoleOf(word)) key.add_roles(*role);
  }
  for (const auto& role : options.custom_roles) {
    const bool is_id = role.find('/') == std::string::npos;
    key.add_custom_roles(is_id ? options.project.substr(0, options.project.find("/projects/")) + "/roles/" + role
                               : role);
  }
  if (!options.expires.empty()) {
    ALLOD_TRY(const Time when, ParseWhen("--expires", options.expires, std::chrono::system_clock::now()));
    *key.mutable_expire_time() = ToTimestamp(when);
  }
  for (const auto& range : options.ip_ranges) key.add_allowed_ip_ranges(range);
  for (const auto& instance : options.instances) {
    const bool is_id = instance.find('/') == std::string::npos;
    key.add_allowed_instances(is_id ? options.project + "/instances/" + instance : instance);
  }
  if (options.requests_per_minute > 0) key.mutable_limits()->set_requests_per_minute(options.requests_per_minute);
  if (options.tokens_per_minute > 0) key.mutable_limits()->set_tokens_per_minute(options.tokens_per_minute);
  if (options.concurrency > 0) key.mutable_limits()->set_concurrency(options.concurrency);
  request.set_request_id(Uuid::V7().ToString());
  return request;
}

Status CreateKey(const Globals& globals, const CreateKeyOptions& options) {
  ALLOD_TRY(const auto ids, MatchName("project", options.project, "tenants/*/projects/*"));
  ALLOD_TRY(const auto request, RequestOf(options));
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto file, KeyFileOf(services, ids[0], ids[1], options.file));
  ALLOD_TRY(const auto response,
            net::Ask<tenancy_v1::ApiKeyService>(services, &tenancy_v1::ApiKeyService::Stub::CreateApiKey, request));
  return KeepKey(globals, file, response.api_key().name(), response.secret());
}

}  // namespace

void AddCreateKey(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<CreateKeyOptions>(
      app, globals, "create-key", "Make an API key for a project; revoke it with `allod delete apiKeys NAME`",
      &CreateKey);
  command->add_option("project", options->project, "tenants/TENANT/projects/PROJECT")->required();
  command->add_option("--display-name", options->display_name, "What it is for");
  AddKeyFileOptions(*command, options->file);
  command->add_option("--scope", options->scopes, "inference or portal; may be repeated (default: both)")
      ->check(CLI::IsMember({"inference", "portal"}));
  command
      ->add_option("--role", options->roles,
                   "What it may do through the portal: admin, developer, billing, auditor, viewer or reviewer; may be "
                   "repeated "
                   "(default: admin; docs/roles.md says what each may)")
      ->check(CLI::IsMember({"admin", "developer", "billing", "auditor", "viewer", "reviewer"}));
  command
      ->add_option(
          "--custom-role", options->custom_roles,
          "A role of the tenant's own that it has (`allod roles TENANT`), as it is when the key is used; may be "
          "repeated (with one and without --role it has no other)")
      ->allow_extra_args(false);
  command->add_option(
      "--expires", options->expires,
      "When it stops to hold: 90d, 12h, a day (2027-01-31, UTC) or a time of RFC 3339 (default: never)");
  // One each, so that the project may stand behind them.
  command
      ->add_option("--ip", options->ip_ranges,
                   "Addresses that it may be used from, e.g. 192.0.2.0/24 or 2001:db8::/32; may be repeated (default: "
                   "every address)")
      ->allow_extra_args(false);
  command
      ->add_option("--instance", options->instances,
                   "An instance that it may call; may be repeated (default: all of the project)")
      ->allow_extra_args(false);
  command
      ->add_option("--requests-per-minute", options->requests_per_minute, "How many requests it may make in a minute")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{60'000'000}));
  command->add_option("--tokens-per-minute", options->tokens_per_minute, "How many tokens it may use in a minute")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{60'000'000'000}));
  command->add_option("--concurrency", options->concurrency, "How many requests it may have running at each gateway")
      ->check(CLI::Range(1, 1'000'000));
}

}  // namespace allod::cli::commands
