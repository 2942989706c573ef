// allod-scheduling: instances, the nodes that run them, and where requests go.
#include <algorithm>

#include "allod/scheduling/v1/audit.grpc.pb.h"
#include "services/common/audit/access_log.h"
#include "services/common/audit/reader.h"
#include "services/common/clock.h"
#include "services/common/pg/pool.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/common/rpc/watchers.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"
#include "services/scheduling/config.h"
#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/drivers/restore_nodes.h"
#include "services/scheduling/figures_board.h"
#include "services/scheduling/grpc_peers.h"
#include "services/scheduling/instance_service.h"
#include "services/scheduling/instance_time/grpc_time_sink.h"
#include "services/scheduling/instance_time/pg_interval_store.h"
#include "services/scheduling/node_agent_service.h"
#include "services/scheduling/node_service.h"
#include "services/scheduling/operations_service.h"
#include "services/scheduling/pg_store.h"
#include "services/scheduling/pg_store_regions.h"
#include "services/scheduling/quotes/pg_quote_store.h"
#include "services/scheduling/quotes/quote_service.h"
#include "services/scheduling/reconciler.h"
#include "services/scheduling/region_service.h"
#include "services/scheduling/route_service.h"
#include "services/scheduling/route_visibility.h"
#include "services/scheduling/tenant_watch.h"

namespace allod::scheduling {
namespace {

using AuditServiceImpl = audit::AuditService<v1::AuditService, v1::ListAuditEntriesRequest, v1::GetAuditHeadRequest>;

using std::chrono::milliseconds;

// Every node agent, gateway and waiting client holds a thread while it listens; CallGates leave a third to those who
// are not counted.
constexpr int kThreadsMax = 512;
// The reconciler's one, and one for nodes that join.
constexpr int kOwnConnections = 2;
constexpr int kGatewaysMax = 32;

Status Run(const Config& config, StopSignal& stop) {
  sandbox::EnterServiceSandbox({.reads = {config.database.password_file},
                                .writes = {sandbox::SocketDirectory(config.listen)},
                                .network = !IsLocal(config.database)});
  const SystemClock clock;
  PgPool pool(config.database);
  PgStore store(pool);
  // No crowd of calls keeps the reconciler and the nodes waiting for a connection.
  PgConfig own = config.database;
  own.connections_max = kOwnConnections;
  own.application_name = "allod-reconciler";
  PgPool own_pool(own);
  PgStore own_store(own_pool);
  CallGates gates;
  GrpcPeers peers(config.tenancy_target, config.catalog_target, config.billing_target);
  ChangeSignal news;
  drivers::ProcessDriver driver(milliseconds(config.node_lost_after_ms), news);
  TermsInbox terms(news);
  RegionBoard regions(news);
  PgRegionStore region_store(pool);
  PgRegionStore own_region_store(own_pool);
  const auto read_regions = [&]() -> Status {
    ALLOD_TRY(const auto known, ReadRegions(own_region_store, config.regions));
    regions.Put(known);
    return {};
  };
  Reconciler reconciler(own_store, driver, terms, regions, news, clock,
                        {.policy = {milliseconds(config.replace_after_ms)}, .prepare = [&]() -> Status {
                           ALLOD_CHECK_OK(read_regions());
                           return drivers::RestoreNodes(own_store, clock, driver);
                         }});
  FiguresBoard figures;
  Watchers gateways("routes", kGatewaysMax);
  const RouteVisibility visibility(reconciler.routes(), gateways);
  const auto nodes_in = [&](const std::string& region) {
    return static_cast<int>(std::ranges::count(driver.Capacity(clock.Now()), region, &scheduler::Node::region));
  };
  PgConfig audit_database = config.database;
  audit_database.connections_max = 1;
  audit_database.application_name = "allod-audit";
  PgPool audit_pool(audit_database);
  audit::AccessLog access_log(audit_pool, "scheduling", clock);
  const ObserveAccess observed(access_log);
  audit::Reader audit_reader(pool, "scheduling", gates.reads);
  AuditServiceImpl audit_log(audit_reader);
  quotes::PgQuoteStore quote_store(pool);
  Acceptor acceptor(peers, quote_store, regions, clock, {{}, config.replica_cpu_millis, config.pool, nodes_in});
  quotes::QuoteServiceImpl quotes(quote_store, store, acceptor, driver, regions, clock, gates);
  InstanceServiceImpl instances(
      store, peers, figures, visibility, clock, gates, acceptor,
      [&](const TenantId& tenant, const std::string& instance) { reconciler.Wake(tenant, instance); });
  PgConfig time_database = config.database;
  time_database.connections_max = 1;
  time_database.application_name = "allod-instance-time";
  PgPool time_pool(time_database);
  instance_time::PgIntervalStore intervals(time_pool);
  instance_time::GrpcTimeSink billing_of_time(config.billing_target);
  instance_time::TimeReporter time_reporter(
      intervals, billing_of_time, clock,
      [&](const TenantId& tenant, const std::string& instance) { reconciler.Wake(tenant, instance); });
  OperationsServiceImpl operations(store, reconciler.progress(), gates);
  NodeServiceImpl nodes(store, driver, figures, clock, regions);
  RegionServiceImpl region_service(region_store, store, driver, regions, reconciler.routes(), gateways, clock, gates);
  NodeAgentServiceImpl agents(own_store, driver, figures, clock);
  RouteServiceImpl routes(reconciler.routes(), gateways);
  // So that who calls at once finds them; if the database is away, the reconciler reads them as soon as it can.
  (void)read_regions();
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen, .credentials = {config.peer_uids}, .threads_max = kThreadsMax},
                          {&instances, &quotes, &operations, &nodes, &region_service, &agents, &routes, &audit_log}));
  access_log.Start();
  reconciler.Start();
  time_reporter.Start();
  TenantTable tenants(terms, reconciler.routes(), gateways);
  const auto watch = WatchTenants(MakeChannel(config.tenancy_target), tenants);
  stop.Ready();
  stop.Wait();
  watch->Stop();
  routes.Stop();
  reconciler.Stop();
  driver.Stop();
  time_reporter.Stop();
  server->Stop(milliseconds(1000));
  access_log.Stop();
  return {};
}

}  // namespace
}  // namespace allod::scheduling

int main(int argc, char** argv) {
  return allod::ServiceMain<allod::scheduling::Config>(argc, argv, "scheduling",
                                                       "Instances, nodes and where requests go",
                                                       allod::scheduling::LoadConfig, allod::scheduling::Run);
}
