// allod-billing: price books, accounts, usage, the ledger and invoices.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "allod/billing/v1/audit.grpc.pb.h"
#include "services/billing/analysis/partition_maker.h"
#include "services/billing/analysis/pg_partitions.h"
#include "services/billing/billing_account_service.h"
#include "services/billing/call_gates.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/expirer.h"
#include "services/billing/finaliser.h"
#include "services/billing/invoice_service.h"
#include "services/billing/lease_service.h"
#include "services/billing/ledger_service.h"
#include "services/billing/legal_entity_service.h"
#include "services/billing/pg_store.h"
#include "services/billing/price_book_service.h"
#include "services/billing/usage_service.h"
#include "services/billing/wallet/pg_wallet_store.h"
#include "services/billing/wallet/wallet_service.h"
#include "services/common/audit/access_log.h"
#include "services/common/audit/reader.h"
#include "services/common/clock.h"
#include "services/common/pg/service_config.h"
#include "services/common/rpc/server.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"

namespace allod::billing {
namespace {

using AuditServiceImpl = audit::AuditService<v1::AuditService, v1::ListAuditEntriesRequest, v1::GetAuditHeadRequest>;

// Streams of recalls hold threads that the gates do not count.
constexpr int kThreadsMax = 256 + RecallHub::kWatchersMax;

struct Config : ServiceConfig {
  int desk_connections_max = 3;
  int report_connections_max = kReportPlaces + kReportPlacesOfOperators;
  std::string tenancy_target;
  int settlement_grace_minutes = static_cast<int>(kSettlementGraceDefault / std::chrono::minutes(1));
};

Result<Config> LoadConfig(const ConfigFile& file) {
  Config config;
  ConfigReader reader(file);
  ReadServiceConfig(reader, config);
  reader.Address("tenancy_target", config.tenancy_target);
  for (const auto& [field, value] : {std::pair{"desk_connections_max", &config.desk_connections_max},
                                     std::pair{"report_connections_max", &config.report_connections_max}}) {
    reader.Optional(field, *value);
    if (*value < 1 || *value > 64) reader.Complain(fmt::format("{}: must be 1 to 64", field));
  }
  reader.Optional("settlement_grace_minutes", config.settlement_grace_minutes);
  // A request that was admitted from a lease has no hold of its own that would keep its month open.
  if (config.settlement_grace_minutes < kLeaseEndsAfter.count() || config.settlement_grace_minutes > 60 * 24 * 28) {
    reader.Complain(fmt::format("settlement_grace_minutes: must be {} to 40320", kLeaseEndsAfter.count()));
  }
  return reader.Finish(std::move(config));
}

// A gateway waits two seconds for a reservation: what takes longer is done for nobody.
PgConfig MoneyPool(PgConfig database) {
  database.acquire_timeout = std::min(database.acquire_timeout, std::chrono::milliseconds(1000));
  database.statement_timeout = std::min(database.statement_timeout, std::chrono::milliseconds(2000));
  database.application_name = "allod-money";
  return database;
}

PgConfig OtherPool(PgConfig database, int connections_max, const char* name) {
  database.connections_max = connections_max;
  database.application_name = name;
  return database;
}

Status Run(const Config& config, StopSignal& stop) {
  sandbox::EnterServiceSandbox({.reads = {config.database.password_file},
                                .writes = {sandbox::SocketDirectory(config.listen)},
                                .network = !IsLocal(config.database)});
  const SystemClock clock;
  PgPool money(MoneyPool(config.database));
  PgPool desk(OtherPool(config.database, config.desk_connections_max, "allod-desk"));
  PgPool reports(OtherPool(config.database, config.report_connections_max, "allod-reports"));
  PgStore store(money, desk, reports);
  CallGates gates;
  const auto tenants = MakeTenantDirectory(config.tenancy_target);
  PriceBookServiceImpl price_books(store, clock, gates);
  BillingAccountServiceImpl accounts(store, *tenants, clock, gates);
  UsageServiceImpl usage(store, clock, gates);
  LeaseServiceImpl leases(store, clock, gates);
  ComputedUsageServiceImpl computed(store, clock, gates);
  LedgerServiceImpl ledger(store, clock, gates);
  const std::chrono::minutes grace(config.settlement_grace_minutes);
  InvoiceServiceImpl invoices(store, clock, gates, grace);
  LegalEntityServiceImpl legal_entities(store, clock, gates);
  PgWalletStore wallet_store(desk, reports);
  WalletServiceImpl wallets(wallet_store, clock, gates);
  PgPool audit_pool(OtherPool(config.database, 1, "allod-audit"));
  audit::AccessLog access_log(audit_pool, "billing", clock);
  const ObserveAccess observed(access_log);
  audit::Reader audit_reader(reports, "billing", gates.reports);
  AuditServiceImpl audit_log(audit_reader);
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen, .credentials = {config.peer_uids}, .threads_max = kThreadsMax},
                          {&price_books, &accounts, &usage, &leases, &computed, &ledger, &invoices, &legal_entities,
                           &wallets, &audit_log}));
  access_log.Start();
  Expirer expirer(store, clock);
  expirer.Start();
  Finaliser finaliser(store, clock, grace);
  finaliser.Start();
  PgPartitionStore partitions(desk);
  PartitionMaker partition_maker(partitions);
  partition_maker.Start();
  stop.Ready();
  stop.Wait();
  partition_maker.Stop();
  finaliser.Stop();
  expirer.Stop();
  leases.Stop();
  server->Stop(std::chrono::seconds(1));
  access_log.Stop();
  return {};
}

}  // namespace
}  // namespace allod::billing

int main(int argc, char** argv) {
  return allod::ServiceMain<allod::billing::Config>(argc, argv, "billing", "Usage, ledger and invoices",
                                                    allod::billing::LoadConfig, allod::billing::Run);
}
