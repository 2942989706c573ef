// allod-tenancy: tenants, projects, API keys, and who of people and pipelines comes in as what.
#include "services/common/audit/access_log.h"
#include "services/common/clock.h"
#include "services/common/country_code.h"
#include "services/common/pg/service_config.h"
#include "services/common/rpc/server.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"
#include "services/tenancy/api_key_service.h"
#include "services/tenancy/audit_service.h"
#include "services/tenancy/home.h"
#include "services/tenancy/identity_feed.h"
#include "services/tenancy/identity_provider_service.h"
#include "services/tenancy/identity_service.h"
#include "services/tenancy/key_feed.h"
#include "services/tenancy/member_service.h"
#include "services/tenancy/pg_store.h"
#include "services/tenancy/pg_store_identity.h"
#include "services/tenancy/pg_store_members.h"
#include "services/tenancy/pg_store_purge.h"
#include "services/tenancy/pg_store_roles.h"
#include "services/tenancy/pg_store_sessions.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/quota_service.h"
#include "services/tenancy/role_service.h"
#include "services/tenancy/session_service.h"
#include "services/tenancy/tenant_purger.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/workload_rule_service.h"

namespace allod::tenancy {
namespace {

constexpr std::size_t kPepperCharsMin = 16;
// CallGates leave half of them to gateways, which hold one each while they listen, and to services.
constexpr int kThreadsMax = 512;
// A connection each.
constexpr int kFeeds = 3;

struct Config : ServiceConfig {
  std::string api_key_pepper_file;
  // The shortest grace of a deletion. Less than a day is for tests.
  std::int64_t tenant_grace_min_s = kGraceMin.count();
  std::string jurisdiction;  // in which the installation stands, and stores: ISO 3166-1 alpha-2, lower case
};

Result<Config> LoadConfig(const ConfigFile& file) {
  Config config;
  ConfigReader reader(file);
  ReadServiceConfig(reader, config);
  reader.Required("api_key_pepper_file", config.api_key_pepper_file);
  reader.Optional("tenant_grace_min_s", config.tenant_grace_min_s);
  if (config.tenant_grace_min_s < 0 || config.tenant_grace_min_s > kGraceMin.count()) {
    reader.Complain("tenant_grace_min_s: must be 0 to 86400");
  }
  reader.Required("jurisdiction", config.jurisdiction);
  if (const Status is_one = CheckCountryCode("jurisdiction", config.jurisdiction); !is_one) {
    reader.Complain(is_one.error().message);
  }
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
  PgIdentityStore identity_feed_store(feed_pool);
  IdentityFeed identity_feed(identity_feed_store, clock);
  PgIdentityStore identity_store(pool);
  PgMemberStore member_store(pool);
  PgRoleStore role_store(pool);
  PgSessionStore session_store(pool);
  PgConfig audit_database = config.database;
  audit_database.connections_max = 1;
  audit_database.application_name = "allod-audit";
  PgPool audit_pool(audit_database);
  audit::AccessLog access_log(audit_pool, "tenancy", clock);
  const ObserveAccess observed(access_log);
  CallGates gates;
  audit::Reader audit_reader(pool, "tenancy", gates.reads);
  AuditErasure audit_erasure(pool);
  AuditServiceImpl audit_log(audit_reader, audit_erasure, gates);
  ApiKeyServiceImpl api_keys(store, key_feed, clock, gates, pepper);
  ProjectServiceImpl projects(store, clock, gates,
                              [&](const std::string& tenant, std::int64_t version, SteadyTime until) {
                                api_keys.AwaitInForce(until, tenant, version);
                              });
  QuotaServiceImpl quotas(store, clock, gates);
  const ClientSecrets client_secrets(pepper);
  IdentityServiceImpl identities(identity_feed, client_secrets);
  TenantServiceImpl tenants(
      store, tenant_feed, clock, gates, config.jurisdiction,
      [&](const TenantStateChange& change, SteadyTime until) {
        identities.Notify();
        api_keys.AwaitInForce(until, change.tenant.id, change.keys_version);
        identities.AwaitInForce(until, change.tenant.id, change.identity_version);
      },
      std::chrono::seconds(config.tenant_grace_min_s));
  PgConfig purge_database = config.database;
  purge_database.connections_max = 1;
  purge_database.application_name = "allod-tenancy-purge";
  PgPool purge_pool(purge_database);
  PgPurgeStore purge_store(purge_pool);
  TenantPurger purger(purge_store, clock, [&] { tenant_feed.Notify(); });
  IdentityProviderServiceImpl identity_providers(identity_store, identities, client_secrets, clock, gates);
  WorkloadRuleServiceImpl workload_rules(identity_store, store, identities, clock, gates);
  MemberServiceImpl members(member_store, identity_store, store, identities, clock, gates);
  RoleServiceImpl roles(role_store, identities, clock, gates);
  SessionServiceImpl sessions(session_store, identities, clock, gates,
                              [&](audit::Access refusal) { access_log.Record(std::move(refusal)); });
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen, .credentials = {config.peer_uids}, .threads_max = kThreadsMax},
                          {&tenants, &projects, &quotas, &api_keys, &audit_log, &identities, &identity_providers,
                           &workload_rules, &members, &roles, &sessions}));
  api_keys.ExpectWatchers();
  identities.ExpectWatchers();
  tenants.ExpectWatchers();
  key_feed.Start();
  tenant_feed.Start();
  identity_feed.Start();
  access_log.Start();
  purger.Start();
  stop.Ready();
  LogTenantsOutside(store, config.jurisdiction);
  stop.Wait();
  purger.Stop();
  key_feed.Stop();
  tenant_feed.Stop();
  identity_feed.Stop();
  server->Stop(std::chrono::seconds(1));
  access_log.Stop();
  return {};
}

}  // namespace
}  // namespace allod::tenancy

int main(int argc, char** argv) {
  return allod::ServiceMain<allod::tenancy::Config>(argc, argv, "tenancy", "Tenants, projects and API keys",
                                                    allod::tenancy::LoadConfig, allod::tenancy::Run);
}
