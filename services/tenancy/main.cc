// allod-tenancy: tenants, projects and API keys.
#include "services/common/clock.h"
#include "services/common/pg/service_config.h"
#include "services/common/rpc/server.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/key_feed.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/tenant_service.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kPepperCharsMin = 16;
// CallGates leave half of them to gateways, which hold one each while they listen, and to services.
constexpr int kThreadsMax = 512;
// A connection each.
constexpr int kFeeds = 2;

struct Config : ServiceConfig {
  std::string api_key_pepper_file;
};

Result<Config> LoadConfig(const ConfigFile& file) {
  Config config;
  ConfigReader reader(file);
  ReadServiceConfig(reader, config);
  reader.Required("api_key_pepper_file", config.api_key_pepper_file);
  return reader.Finish(std::move(config));
}

Status Run(const Config& config, StopSignal& stop) {
  sandbox::EnterServiceSandbox({.reads = {config.database.password_file, config.api_key_pepper_file},
                                .writes = {sandbox::SocketDirectory(config.listen)},
                                .network = !IsLocal(config.database)});
  ALLOD_TRY(const std::string pepper, ReadSecretFile(config.api_key_pepper_file));
  if (pepper.size() < kPepperCharsMin) {
    return FailedPrecondition("WEAK_PEPPER",
                              config.api_key_pepper_file + ": write at least 16 random characters into it");
  }
  const SystemClock clock;
  PgPool pool(config.database);
  PgStore store(pool);
  // No crowd of calls keeps a revocation from the gateways, or a suspension from scheduling.
  PgConfig feed_database = config.database;
  feed_database.connections_max = kFeeds;
  feed_database.application_name = "allod-tenancy-feeds";
  PgPool feed_pool(feed_database);
  PgStore feed_store(feed_pool);
  KeyFeed key_feed(feed_store, clock);
  TenantFeed tenant_feed(feed_store);
  CallGates gates;
  ApiKeyServiceImpl api_keys(store, key_feed, clock, gates, pepper);
  TenantServiceImpl tenants(store, tenant_feed, clock, gates,
                            [&](const grpc::ServerContext& context, const std::string& tenant, std::int64_t version) {
                              api_keys.AwaitInForce(context, tenant, version);
                            });
  ProjectServiceImpl projects(store, clock, gates);
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen, .peer_uids = config.peer_uids, .threads_max = kThreadsMax},
                          {&tenants, &projects, &api_keys}));
  key_feed.Start();
  tenant_feed.Start();
  stop.Ready();
  stop.Wait();
  key_feed.Stop();
  tenant_feed.Stop();
  server->Stop(std::chrono::seconds(1));
  return {};
}

}  // namespace
}  // namespace allod::tenancy

int main(int argc, char** argv) {
  return allod::ServiceMain<allod::tenancy::Config>(argc, argv, "tenancy", "Tenants, projects and API keys",
                                                    allod::tenancy::LoadConfig, allod::tenancy::Run);
}
