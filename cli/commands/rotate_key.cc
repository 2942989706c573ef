// `allod rotate-key`: a successor for an API key, written to a file as create-key does; the present key holds a while
// longer, so that clients can be given the new one first.

#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/key_file.h"
#include "cli/commands/times.h"
#include "cli/net/connections.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::cli::commands {
namespace {

namespace tenancy_v1 = allod::tenancy::v1;

struct RotateKeyOptions {
  std::string name;
  std::string overlap = "24h";
  std::string expires;
  KeyFileOptions file;
};

Status RotateKey(const Globals& globals, const RotateKeyOptions& options) {
  ALLOD_TRY(const auto ids, MatchName("name", options.name, "tenants/*/projects/*/apiKeys/*"));
  tenancy_v1::RotateApiKeyRequest request;
  request.set_name(options.name);
  ALLOD_TRY(const auto overlap, ParseDuration("--overlap", options.overlap));
  request.mutable_overlap()->set_seconds(overlap.count());
  if (!options.expires.empty()) {
    ALLOD_TRY(const Time when, ParseWhen("--expires", options.expires, std::chrono::system_clock::now()));
    *request.mutable_expire_time() = ToTimestamp(when);
  }
  request.set_request_id(Uuid::V7().ToString());
  ALLOD_TRY(const net::Services services, FindServices(globals));
  ALLOD_TRY(const auto file, KeyFileOf(services, ids[0], ids[1], options.file));
  ALLOD_TRY(const auto response,
            net::Ask<tenancy_v1::ApiKeyService>(services, &tenancy_v1::ApiKeyService::Stub::RotateApiKey, request));
  return KeepKey(globals, file, response.api_key().name(), response.secret());
}

}  // namespace

void AddRotateKey(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<RotateKeyOptions>(
      app, globals, "rotate-key", "Make a successor for an API key, with the same properties", &RotateKey);
  command->add_option("name", options->name, "tenants/TENANT/projects/PROJECT/apiKeys/KEY")->required();
  command->add_option("--overlap", options->overlap,
                      "How long the present key still holds: 7d, 12h, or 0 to revoke it at once (default: 24h)");
  command->add_option("--expires", options->expires,
                      "When the successor stops to hold, as for create-key (default: when the present key would have)");
  AddKeyFileOptions(*command, options->file);
}

}  // namespace allod::cli::commands
