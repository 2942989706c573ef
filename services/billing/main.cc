// allod-billing: price books, accounts, usage, the ledger and invoices, which are made here, and the rooms (rooms.h).
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "allod/billing/v1/audit.grpc.pb.h"
#include "services/billing/billing_account_service.h"
#include "services/billing/call_gates.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/documents/pdf_documents.h"
#include "services/billing/documents/pg_file_store.h"
#include "services/billing/expirer.h"
#include "services/billing/finaliser.h"
#include "services/billing/invoice_service.h"
#include "services/billing/lease_service.h"
#include "services/billing/ledger_service.h"
#include "services/billing/legal_entity_service.h"
#include "services/billing/pg_store.h"
#include "services/billing/price_book_service.h"
#include "services/billing/rooms.h"
#include "services/billing/typesetting/process_typesetter.h"
#include "services/billing/usage_service.h"
#include "services/common/audit/access_log.h"
#include "services/common/audit/reader.h"
#include "services/common/clock.h"
#include "services/common/log.h"
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
  std::string invoice_executable;  // allod-invoice; empty: no PDF
  int settlement_grace_minutes = static_cast<int>(kSettlementGraceDefault / std::chrono::minutes(1));
  std::vector<std::unique_ptr<RoomPlan>> rooms = PlanRooms();
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
  reader.Optional("invoice_executable", config.invoice_executable);
  if (!config.invoice_executable.empty() && config.invoice_executable.front() != '/') {
    reader.Complain("invoice_executable: must be an absolute path");
  }
  reader.Optional("settlement_grace_minutes", config.settlement_grace_minutes);
  // A request that was admitted from a lease has no hold of its own that would keep its month open.
  if (config.settlement_grace_minutes < kLeaseEndsAfter.count() || config.settlement_grace_minutes > 60 * 24 * 28) {
    reader.Complain(fmt::format("settlement_grace_minutes: must be {} to 40320", kLeaseEndsAfter.count()));
  }
  for (const auto& room : config.rooms) room->Read(reader);
  return reader.Finish(std::move(config));
}

// A gateway waits two seconds for a reservation: what takes longer is done for nobody.
PgConfig MoneyPool(PgConfig database) {
  database.acquire_timeout = std::min(database.acquire_timeout, std::chrono::milliseconds(1000));
  database.statement_timeout = std::min(database.statement_timeout, std::chrono::milliseconds(2000));
  database.application_name = "allod-money";
  return database;
}

// Before the sandbox, because nothing can be started after it.
std::optional<Launcher> StartLauncher(const Config& config) {
  if (config.invoice_executable.empty()) return std::nullopt;
  auto launcher = Launcher::Start(config.invoice_executable, typesetting::ProcessTypesetter::Limits());
  if (launcher) return *std::move(launcher);
  // Money does not wait for paper.
  Log(LogLevel::kError, "no PDF will be made: " + launcher.error().message);
  return std::nullopt;
}

Status Run(const Config& config, StopSignal& stop) {
  std::optional<Launcher> launcher = StartLauncher(config);
  sandbox::ServiceNeeds needs{.reads = {config.database.password_file},
                              .writes = {sandbox::SocketDirectory(config.listen)},
                              .network = !IsLocal(config.database)};
  for (const auto& room : config.rooms) room->AddNeeds(needs);
  sandbox::EnterServiceSandbox(needs);
  const SystemClock clock;
  PgPool money(MoneyPool(config.database));
  PgPool desk(OwnPool(config.database, config.desk_connections_max, "allod-desk"));
  PgPool reports(OwnPool(config.database, config.report_connections_max, "allod-reports"));
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
  typesetting::ProcessTypesetter typesetter(std::move(launcher));
  documents::PgFileStore files(desk);
  documents::PdfDocuments pdf(typesetter, files);
  InvoiceServiceImpl invoices(store, pdf, clock, gates, grace);
  LegalEntityServiceImpl legal_entities(store, clock, gates);
  PgPool audit_pool(OwnPool(config.database, 1, "allod-audit"));
  audit::AccessLog access_log(audit_pool, "billing", clock);
  const ObserveAccess observed(access_log);
  audit::Reader audit_reader(reports, "billing", gates.reports);
  AuditServiceImpl audit_log(audit_reader);
  Expirer expirer(store, clock);
  Finaliser finaliser(store, clock, grace);

  std::vector<grpc::Service*> services = {&price_books, &accounts, &usage,          &leases,   &computed,
                                          &ledger,      &invoices, &legal_entities, &audit_log};
  const Shared shared{.config = config,
                      .desk = desk,
                      .reports = reports,
                      .store = store,
                      .typesetter = typesetter,
                      .clock = clock,
                      .gates = gates,
                      .recalls = leases.recalls()};
  std::vector<std::unique_ptr<Room>> rooms;
  for (const auto& plan : config.rooms) {
    ALLOD_TRY(std::unique_ptr<Room> room, plan->Make(shared));
    std::ranges::copy(room->services(), std::back_inserter(services));
    rooms.push_back(std::move(room));
  }
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen, .credentials = {config.peer_uids}, .threads_max = kThreadsMax},
                          services));
  access_log.Start();
  expirer.Start();
  finaliser.Start();
  for (const auto& room : rooms) room->Start();
  stop.Ready();
  stop.Wait();
  for (const auto& room : rooms | std::views::reverse) room->Stop();
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
