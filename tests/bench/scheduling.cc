// What tenants cost of which nothing is new: N of them, each with one instance that runs, on PostgreSQL and on nodes
// that report every two seconds. Prints how long a start takes to read them all, and then, idle: the reconciler's share
// of a core and the transactions of the database. The last line is JSON. ALLOD_TEST_PG_URL names the server.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/drivers/restore_nodes.h"
#include "services/scheduling/pg_store.h"
#include "services/scheduling/reconciler.h"
#include "tests/support/pg_fixture.h"

namespace allod::scheduling {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr int kNodes = 4;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

// Everything as it is when all has been ready for long.
void Fill(pqxx::connection& owner, int tenants) {
  pqxx::work work(owner);
  work.exec(
      "INSERT INTO scheduling.nodes (id, region, memory_bytes, cpu_millis, session_epoch) "
      "SELECT 'n' || i, 'ke-1', 1::bigint << 50, 1000000000, 1 FROM generate_series(0, " +
      std::to_string(kNodes - 1) + ") i");
  work.exec(
      "INSERT INTO scheduling.tenants (id, name) SELECT ('00000000-0000-5000-8000-' || lpad(to_hex(i), 12, "
      "'0'))::uuid, 'tenants/bench' || i FROM generate_series(1, " +
      std::to_string(tenants) + ") i");
  work.exec("INSERT INTO scheduling.tenant_terms SELECT id, true, 1, '{ke}' FROM scheduling.tenants");
  work.exec(
      "INSERT INTO scheduling.instances (tenant_id, id, name, generation, template_generation, state, "
      "observed_generation, ready_replicas) SELECT id, id, name || '/projects/p/instances/i', 1, 1, 'ready', 1, 1 FROM "
      "scheduling.tenants");
  work.exec(
      "INSERT INTO scheduling.revisions (tenant_id, instance_id, generation, listing, variant, region, "
      "isolation_class, "
      "replicas, context_tokens, max_concurrency, price_book, artifact_sha256, artifact_bytes, trained_context_tokens, "
      "residency, memory_bytes, cpu_millis) SELECT id, id, 1, 'listings/l', 'models/m/versions/v/variants/q4', 'ke-1', "
      "'isolated', 1, 512, 1, 'priceBooks/b', repeat('a', 64), 1, 512, '{ke}', 1000, 1 FROM scheduling.tenants");
  work.exec(
      "INSERT INTO scheduling.replicas (tenant_id, id, instance_id, generation, node, epoch, state, target, "
      "start_count) "
      "SELECT id, id, id, 1, 'n' || (('x' || right(id::text, 2))::bit(8)::int % " +
      std::to_string(kNodes) + "), 1, 'ready', 'unix:/w', 1 FROM scheduling.tenants");
  work.exec(
      "INSERT INTO scheduling.leases (replica_id, tenant_id, node, epoch, memory_bytes, cpu_millis) "
      "SELECT id, tenant_id, node, 1, 1000, 1 FROM scheduling.replicas");
  work.commit();
}

std::int64_t Transactions(pqxx::connection& owner) {
  pqxx::nontransaction work(owner);
  return work.exec("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")[0][0]
      .as<std::int64_t>();
}

int Bench(int tenants, int idle_seconds) {
  const TestDatabase database("scheduling");
  pqxx::connection owner(database.owner_url);
  Fill(owner, tenants);
  PgPool pool(database.app_config());
  PgStore store(pool);
  const SystemClock clock;
  ChangeSignal news;
  drivers::ProcessDriver driver(seconds(6), news);
  TermsInbox terms(news);
  RegionBoard regions(news);
  regions.Put(FirstVersions({{"ke-1", "ke"}}));
  Reconciler reconciler(store, driver, terms, regions, news, clock,
                        {.prepare = [&] { return drivers::RestoreNodes(store, clock, driver); }});
  std::vector<std::int64_t> sessions;
  for (int i = 0; i < kNodes; ++i) {
    const scheduler::Node node{fmt::format("n{}", i),
                               "ke-1",
                               scheduler::NodeState::kReady,
                               {std::int64_t{1} << 50, 1'000'000'000},
                               clock.Now(),
                               false,
                               "ke"};
    sessions.push_back(*store.JoinNode(node));
    if (!driver.Join(node, sessions.back(), clock.Now())) return 1;
  }
  const auto begin = SteadyClock::now();
  if (const Status first = reconciler.RunOnce(); !first) {
    fmt::print("cannot load: {}\n", first.error().message);
    return 1;
  }
  const double load_seconds = SecondsSince(begin);
  std::vector<std::vector<drivers::ObservedWorker>> reports(kNodes);
  std::size_t workers = 0;
  for (std::size_t i = 0; i < kNodes; ++i) {
    const auto set = driver.AwaitSet(fmt::format("n{}", i), sessions[i], 0, std::chrono::milliseconds(0));
    for (const auto& worker : set.workers.value_or(std::vector<drivers::DesiredWorker>())) {
      reports[i].push_back({worker.replica, worker.epoch, drivers::ObservedWorker::State::kReady, "unix:/w", "", 1});
    }
    workers += reports[i].size();
  }
  std::jthread agents([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      for (std::size_t i = 0; i < kNodes; ++i) (void)driver.Report(fmt::format("n{}", i), reports[i], clock.Now());
      std::this_thread::sleep_for(seconds(2));
    }
  });
  reconciler.Start();
  // While the rows were read nodes counted as silent; what was written about that is written back first.
  std::int64_t before = 0;
  for (int i = 0; i < 300; ++i) {
    const std::int64_t now = Transactions(owner);
    if (i > 5 && now - before <= 4) break;
    before = now;
    std::this_thread::sleep_for(seconds(1));
  }
  const double cpu = CpuSeconds();
  const std::int64_t transactions = Transactions(owner);
  const auto idle = SteadyClock::now();
  std::this_thread::sleep_for(seconds(idle_seconds));
  const double took = SecondsSince(idle);
  const double share = (CpuSeconds() - cpu) / took;
  const double per_second = static_cast<double>(Transactions(owner) - transactions) / took;
  reconciler.Stop();
  fmt::print("{} tenants with {} workers: read in {:.1f} s; idle {:.2f} % of a core, {:.2f} transactions/s\n", tenants,
             workers, load_seconds, 100 * share, per_second);
  fmt::print(
      "{{\"tenants\": {}, \"workers\": {}, \"load_seconds\": {:.2f}, \"idle_core_share\": {:.4f}, "
      "\"idle_transactions_per_second\": {:.2f}}}\n",
      tenants, workers, load_seconds, share, per_second);
  return workers == static_cast<std::size_t>(tenants) ? 0 : 1;
}

}  // namespace
}  // namespace allod::scheduling

int main(int argc, char** argv) {
  CLI::App app("What tenants cost of which nothing is new");
  int tenants = 10'000;
  int idle_seconds = 30;
  app.add_option("--tenants", tenants)->check(CLI::Range(1, 16'000));
  app.add_option("--seconds", idle_seconds)->check(CLI::Range(5, 600));
  CLI11_PARSE(app, argc, argv);
  return allod::scheduling::Bench(tenants, idle_seconds);
}
