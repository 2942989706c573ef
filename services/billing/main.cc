// allod-billing: price books, accounts, usage, the ledger and invoices.
#include "services/billing/billing_account_service.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/expirer.h"
#include "services/billing/invoice_service.h"
#include "services/billing/ledger_service.h"
#include "services/billing/pg_store.h"
#include "services/billing/price_book_service.h"
#include "services/billing/usage_service.h"
#include "services/common/clock.h"
#include "services/common/pg.h"
#include "services/common/rpc/server.h"
#include "services/common/service_main.h"

namespace allod::billing {
namespace {

struct Config {
  std::string listen;
  PgConfig database;
  std::string tenancy_target;
};

Result<Config> LoadConfig(const ConfigFile& file) {
  Config config;
  ConfigReader reader(file);
  nlohmann::json database = nlohmann::json::object();
  reader.Required("listen", config.listen);
  reader.Required("database", database);
  reader.Required("tenancy_target", config.tenancy_target);
  if (auto parsed = ParsePgConfig(database)) {
    config.database = *std::move(parsed);
  } else {
    reader.Complain("database: " + parsed.error().message);
  }
  return reader.Finish(std::move(config));
}

Status Run(const Config& config, StopSignal& stop) {
  const SystemClock clock;
  PgPool pool(config.database);
  PgStore store(pool);
  const auto tenants = MakeTenantDirectory(config.tenancy_target);
  PriceBookServiceImpl price_books(store, clock);
  BillingAccountServiceImpl accounts(store, *tenants, clock);
  UsageServiceImpl usage(store, clock);
  ComputedUsageServiceImpl computed(store);
  LedgerServiceImpl ledger(store);
  InvoiceServiceImpl invoices(store, clock);
  ALLOD_TRY(const auto server,
            Server::Start({.listen = config.listen}, {&price_books, &accounts, &usage, &computed, &ledger, &invoices}));
  Expirer expirer(store, clock);
  expirer.Start();
  stop.Ready();
  stop.Wait();
  expirer.Stop();
  server->Stop(std::chrono::seconds(1));
  return {};
}

}  // namespace
}  // namespace allod::billing

int main(int argc, char** argv) {
  return allod::ServiceMain<allod::billing::Config>(argc, argv, "billing", "Usage, ledger and invoices",
                                                    allod::billing::LoadConfig, allod::billing::Run);
}
