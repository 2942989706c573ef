// How many requests a second billing reserves and settles on PostgreSQL, from one and from several tenants. The last
// line is JSON. ALLOD_TEST_PG_URL names the server; its fsync setting, which decides the figure, is printed along.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "services/billing/pg_store.h"
#include "tests/support/pg_fixture.h"

namespace allod::billing {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Figures {
  double requests_per_second = 0;
  double reserve_ms_mean = 0;
  double settle_ms_mean = 0;
  int failures = 0;
};

struct Load {
  int tenants;
  int threads;
  int seconds;
};

TenantId TenantNumber(int i) { return TenantId::FromName("tenants/bench" + std::to_string(i)).value(); }

ReserveCommand Request(int tenant, Uuid price_book, Time now) {
  const std::string name = "tenants/bench" + std::to_string(tenant);
  return {.tenant = TenantNumber(tenant),
          .request_id = Uuid::V7(now),
          .instance = name + "/projects/p/instances/i",
          .variant = "models/m/versions/v/variants/q4_k_m",
          .price_book = price_book,
          .api_key = name + "/projects/p/apiKeys/k",
          .prompt_tokens_max = 1000,
          .completion_tokens_max = 1000,
          .expire_time = std::chrono::floor<std::chrono::microseconds>(now) + std::chrono::minutes(10)};
}

Figures Run(Store& store, Uuid price_book, const Load& load) {
  std::atomic<int> requests = 0, failures = 0;
  std::atomic<std::int64_t> reserve_ns = 0, settle_ns = 0;
  const auto end = SteadyClock::now() + std::chrono::seconds(load.seconds);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < load.threads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; SteadyClock::now() < end; ++i) {
          const Time now = std::chrono::system_clock::now();
          const ReserveCommand request = Request((t + i) % load.tenants, price_book, now);
          const auto begun = SteadyClock::now();
          const bool reserved = store.Reserve(request, now).has_value();
          const auto between = SteadyClock::now();
          const bool settled = store
                                   .Settle({.tenant = request.tenant,
                                            .request_id = request.request_id,
                                            .prompt_tokens = 31,
                                            .completion_tokens = 17},
                                           now)
                                   .has_value();
          const auto done = SteadyClock::now();
          reserve_ns += (between - begun).count();
          settle_ns += (done - between).count();
          ++requests;
          if (!reserved || !settled) ++failures;
        }
      });
    }
  }
  const double count = std::max(1, requests.load());
  return {count / load.seconds, static_cast<double>(reserve_ns) / count / 1e6,
          static_cast<double>(settle_ns) / count / 1e6, failures};
}

int Bench(const Load& load, int connections) {
  const TestDatabase database("billing");
  PgConfig config = database.app_config();
  config.connections_max = connections;
  PgPool pool(config);
  PgStore store(pool);
  const Time now = std::chrono::system_clock::now();
  const Uuid book = Uuid::V7(now);
  bool ready =
      store
          .CreatePriceBook({.id = book,
                            .listing = "listings/bench",
                            .prices = {{"KES", "", Amount::FromPico(50'000'000), Amount::FromPico(150'500'000)}}},
                           now)
          .has_value();
  for (int i = 0; i < load.tenants; ++i) {
    ready = ready && store
                         .SetBillingAccount({.tenant = TenantNumber(i),
                                             .tenant_name = "tenants/bench" + std::to_string(i),
                                             .currency_code = "KES",
                                             .credit_limit = kCreditLimitMax},
                                            now)
                         .has_value();
  }
  if (!ready) return 1;
  const std::string fsync = pool.Run<std::string>([](GlobalTx& tx) -> Result<std::string> {
                                  return tx.Exec("SHOW fsync")[0][0].as<std::string>();
                                })
                                .value();
  const Figures one = Run(store, book, {1, load.threads, load.seconds});
  const Figures many = Run(store, book, load);
  fmt::print("{}\n",
             fmt::format(R"({{"benchmark":"billing","fsync":"{}","connections":{},"threads":{},)"
                         R"("one_tenant":{{"requests_per_second":{:.0f},"reserve_ms":{:.2f},"settle_ms":{:.2f}}},)"
                         R"("tenants":{},"requests_per_second":{:.0f},"reserve_ms":{:.2f},"settle_ms":{:.2f},)"
                         R"("failures":{}}})",
                         fsync, connections, load.threads, one.requests_per_second, one.reserve_ms_mean,
                         one.settle_ms_mean, load.tenants, many.requests_per_second, many.reserve_ms_mean,
                         many.settle_ms_mean, one.failures + many.failures));
  return one.failures + many.failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace allod::billing

int main(int argc, char** argv) {
  CLI::App app("Reserve and settle on PostgreSQL");
  allod::billing::Load load{.tenants = 8, .threads = 4, .seconds = 5};
  int connections = 4;
  app.add_option("--tenants", load.tenants)->check(CLI::Range(1, 1000));
  app.add_option("--threads", load.threads)->check(CLI::Range(1, 64));
  app.add_option("--seconds", load.seconds)->check(CLI::Range(1, 600));
  app.add_option("--connections", connections)->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);
  return allod::billing::Bench(load, connections);
}
