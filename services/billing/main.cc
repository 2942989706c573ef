// allod-billing: price books, accounts, usage, the ledger and invoices.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "allod/billing/v1/audit.grpc.pb.h"
#include "services/billing/analysis/partition_maker.h"
#include "services/billing/analysis/pg_partitions.h"
#include "services/billing/analysis/pg_rollups.h"
#include "services/billing/analysis/retention.h"
#include "services/billing/analysis/roller.h"
#include "services/billing/analysis/usage_report_service.h"
#include "services/billing/billing_account_service.h"
#include "services/billing/budget/budget_service.h"
#include "services/billing/budget/pg_budget_store.h"
#include "services/billing/call_gates.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/corrections/correction_service.h"
#include "services/billing/corrections/pg_correction_store.h"
#include "services/billing/documents/pdf_documents.h"
#include "services/billing/documents/pg_file_store.h"
#include "services/billing/events/convert_event.h"
#include "services/billing/events/event_sink_service.h"
#include "services/billing/events/file_outlet.h"
#include "services/billing/events/outlet.h"
#include "services/billing/events/pg_event_store.h"
#include "services/billing/events/pg_outlet_store.h"
#include "services/billing/events/redis_outlet.h"
#include "services/billing/events/relay.h"
#include "services/billing/expirer.h"
#include "services/billing/finaliser.h"
#include "services/billing/instance_time/instance_time_service.h"
#include "services/billing/instance_time/pg_instance_time_store.h"
#include "services/billing/invoice_service.h"
#include "services/billing/lease_service.h"
#include "services/billing/ledger_service.h"
#include "services/billing/legal_entity_service.h"
#include "services/billing/payouts/payout_service.h"
#include "services/billing/payouts/pg_payout_store.h"
#include "services/billing/pg_store.h"
#include "services/billing/price_book_service.h"
#include "services/billing/terms/pg_terms_store.h"
#include "services/billing/terms/terms_service.h"
#include "services/billing/typesetting/process_typesetter.h"
#include "services/billing/usage_service.h"
#include "services/billing/wallet/balance_watch.h"
#include "services/billing/wallet/pg_wallet_store.h"
#include "services/billing/wallet/wallet_service.h"
#include "services/common/audit/access_log.h"
#include "services/common/audit/reader.h"
#include "services/common/clock.h"
#include "services/common/log.h"
#include "services/common/owned_thread.h"
#include "services/common/pg/service_config.h"
#include "services/common/rpc/server.h"
#include "services/common/sandbox/service.h"
#include "services/common/service_main.h"
#include "services/common/web/curl_fetcher.h"

namespace allod::billing {
namespace {

using AuditServiceImpl = audit::AuditService<v1::AuditService, v1::ListAuditEntriesRequest, v1::GetAuditHeadRequest>;

// Streams of recalls hold threads that the gates do not count.
constexpr int kThreadsMax = 256 + RecallHub::kWatchersMax;

struct Config : ServiceConfig {
  int desk_connections_max = 3;
  int report_connections_max = kReportPlaces + kReportPlacesOfOperators;
  int computed_usage_days = analysis::kComputedUsageDaysDefault;
  std::string tenancy_target;
  std::string invoice_executable;  // allod-invoice; empty: no PDF
  int settlement_grace_minutes = static_cast<int>(kSettlementGraceDefault / std::chrono::minutes(1));
  std::string event_secret_file;                // empty: no events are sent
  std::vector<IpRange> event_networks_allowed;  // beside the public internet
  std::string event_ca_file;
  std::string event_file;  // of the events of all tenants; empty: none
  std::int64_t event_file_bytes_max = 64 << 20;
  int event_files_kept = 8;
  std::string event_redis_url;  // likewise
  std::string event_redis_stream = "allod:events";
};

constexpr std::size_t kEventSecretCharsMin = 32;
constexpr std::size_t kRangesMax = 64;

void ReadEvents(ConfigReader& reader, Config& config) {
  reader.Optional("event_secret_file", config.event_secret_file);
  reader.Optional("event_ca_file", config.event_ca_file);
  reader.Optional("event_file", config.event_file);
  if (!config.event_file.empty() && !config.event_file.starts_with('/')) {
    reader.Complain("event_file: must be an absolute path");
  }
  reader.Optional("event_file_bytes_max", config.event_file_bytes_max);
  if (config.event_file_bytes_max < 1 << 20) reader.Complain("event_file_bytes_max: must be at least 1048576");
  reader.Optional("event_files_kept", config.event_files_kept);
  if (config.event_files_kept < 0 || config.event_files_kept > 1000) {
    reader.Complain("event_files_kept: must be 0 to 1000");
  }
  reader.Optional("event_redis_url", config.event_redis_url);
  reader.Optional("event_redis_stream", config.event_redis_stream);
  std::vector<std::string> texts;
  reader.Optional("event_networks_allowed", texts);
  if (auto ranges = ParseIpRanges("event_networks_allowed", texts, kRangesMax)) {
    config.event_networks_allowed = *std::move(ranges);
  } else {
    reader.Complain(ranges.error().message);
  }
}

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
  reader.Optional("computed_usage_days", config.computed_usage_days);
  if (config.computed_usage_days != 0 && (config.computed_usage_days < 7 || config.computed_usage_days > 3660)) {
    reader.Complain("computed_usage_days: must be 7 to 3660, or 0 for ever");
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
  ReadEvents(reader, config);
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

Result<events::SinkSecrets> LoadEventSecrets(const Config& config) {
  if (config.event_secret_file.empty()) return events::SinkSecrets("");
  ALLOD_TRY(std::string secret, ReadSecretFile(config.event_secret_file));
  if (secret.size() < kEventSecretCharsMin) {
    return FailedPrecondition("WEAK_SECRET",
                              config.event_secret_file + ": write at least 32 random characters into it");
  }
  return events::SinkSecrets(std::move(secret));
}

// Where the operator wants events.
class Outlets {
 public:
  Outlets(const Config& config, events::OutletStore& store, const Clock& clock) : store_(store) {
    if (!config.event_file.empty()) {
      file_.emplace(events::FileOutlet::Options{.path = config.event_file,
                                                .bytes_max = static_cast<std::uint64_t>(config.event_file_bytes_max),
                                                .kept = config.event_files_kept});
      Add("file", *file_, clock);
    }
    if (!config.event_redis_url.empty()) {
      redis_.emplace(events::RedisOutlet::Options{.url = config.event_redis_url, .stream = config.event_redis_stream});
      Add("redis", *redis_, clock);
    }
  }
  // The database may be away: it is asked again until it knows them. What it does not know has no cursor.
  void Start() {
    setting_ = OwnedThread("outlets", [this](const std::stop_token& stop) {
      while (!store_.SetOutlets(names_)) {
        if (!SleepFor(stop, std::chrono::seconds(1))) return;
      }
      for (const auto& loop : loops_) loop->Start();
    });
  }
  void Stop() {
    setting_.Stop();
    for (const auto& loop : loops_) loop->Stop();
  }

 private:
  void Add(const std::string& name, events::Outlet& outlet, const Clock& clock) {
    names_.push_back(name);
    loops_.push_back(std::make_unique<events::OutletLoop>(store_, outlet, name, clock));
  }

  events::OutletStore& store_;
  std::vector<std::string> names_;
  std::optional<events::FileOutlet> file_;
  std::optional<events::RedisOutlet> redis_;
  std::vector<std::unique_ptr<events::OutletLoop>> loops_;
  OwnedThread setting_;
};

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
  // Receivers are anywhere.
  const bool sends_events = !config.event_secret_file.empty();
  std::vector<std::filesystem::path> reads = {config.database.password_file};
  for (const std::string& file : {config.event_secret_file, config.event_ca_file}) {
    if (!file.empty()) reads.emplace_back(file);
  }
  std::vector<std::filesystem::path> writes = {sandbox::SocketDirectory(config.listen)};
  if (!config.event_file.empty()) writes.push_back(std::filesystem::path(config.event_file).parent_path());
  std::optional<Launcher> launcher = StartLauncher(config);
  sandbox::EnterServiceSandbox(
      {.reads = std::move(reads),
       .writes = std::move(writes),
       .network = sends_events || !config.event_redis_url.empty() || !IsLocal(config.database)});
  ALLOD_TRY(const events::SinkSecrets event_secrets, LoadEventSecrets(config));
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
  instance_time::PgInstanceTimeStore times(desk, reports);
  instance_time::InstanceTimeServiceImpl instance_time(times, store, clock, gates);
  const std::chrono::minutes grace(config.settlement_grace_minutes);
  typesetting::ProcessTypesetter typesetter(std::move(launcher));
  documents::PgFileStore files(desk);
  documents::PdfDocuments pdf(typesetter, files);
  InvoiceServiceImpl invoices(store, pdf, clock, gates, grace);
  LegalEntityServiceImpl legal_entities(store, clock, gates);
  terms::PgTermsStore terms_store(desk);
  terms::PriceTermsServiceImpl price_terms(terms_store, clock, gates);
  corrections::PgCorrectionStore correction_store(desk);
  corrections::CorrectionServiceImpl corrections(correction_store, clock, gates);
  PgPool event_pool(OtherPool(config.database, 2, "allod-events"));
  events::PgEventStore event_store(event_pool, events::UsageJson);
  CurlFetcher fetcher(AddressPolicy(config.event_networks_allowed),
                      CurlFetcher::Options{.ca_file = config.event_ca_file,
                                           .who = "billing service",
                                           .setting = "event_networks_allowed in billing's configuration"});
  std::optional<events::Sending> sending;
  if (sends_events) sending.emplace(event_secrets, fetcher);
  events::EventSinkServiceImpl event_sinks(event_store, sending, clock, gates);
  analysis::PgRollupStore rollups(desk, reports);
  analysis::UsageReportServiceImpl usage_reports(rollups, clock, gates);
  payouts::PgPayoutStore payout_store(desk);
  payouts::PayoutServiceImpl payout_service(payout_store, typesetter, clock, gates);
  wallet::PgWalletStore wallet_store(desk, reports);
  wallet::WalletServiceImpl wallets(wallet_store, clock, gates);
  budget::PgBudgetStore budget_store(desk);
  budget::BudgetServiceImpl budgets(budget_store, clock, gates, leases.recalls());
  PgPool audit_pool(OtherPool(config.database, 1, "allod-audit"));
  audit::AccessLog access_log(audit_pool, "billing", clock);
  const ObserveAccess observed(access_log);
  audit::Reader audit_reader(reports, "billing", gates.reports);
  AuditServiceImpl audit_log(audit_reader);
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen, .credentials = {config.peer_uids}, .threads_max = kThreadsMax},
                          {&price_books, &accounts, &usage, &leases, &computed, &ledger, &invoices, &legal_entities,
                           &price_terms, &corrections, &wallets, &event_sinks, &usage_reports, &budgets, &instance_time,
                           &payout_service, &audit_log}));
  access_log.Start();
  Expirer expirer(store, clock);
  expirer.Start();
  Finaliser finaliser(store, clock, grace);
  finaliser.Start();
  analysis::PgPartitionStore partitions(desk);
  analysis::PartitionMaker partition_maker(partitions);
  partition_maker.Start();
  events::Relay relay(event_store, fetcher, event_secrets, clock);
  relay.Start(sends_events);
  events::PgOutletStore outlet_store(event_pool, events::UsageJson);
  Outlets outlets(config, outlet_store, clock);
  outlets.Start();
  analysis::Roller roller(rollups, clock);
  roller.Start();
  analysis::Retention retention(partitions, clock, std::chrono::days(config.computed_usage_days));
  retention.Start();
  wallet::BalanceWatch balances(wallet_store, clock);
  balances.Start();
  stop.Ready();
  stop.Wait();
  outlets.Stop();
  relay.Stop();
  fetcher.Stop();
  retention.Stop();
  roller.Stop();
  balances.Stop();
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
