// How long reports of usage take over many records: a tenant's month and year by day, model and key, through the store,
// from the real schema. The records are made here: of a year, in partitions by month, of many tenants, the half of them
// of the one that is asked about. What they are in roll-ups is added up from them by the service's own function. The
// last line is JSON.
//
// 50 million records take about 31 GB of disk while it runs, and half an hour. ALLOD_TEST_PG_URL names the
// server.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <vector>

#include "services/billing/analysis/pg_rollups.h"
#include "services/billing/pg_store.h"
#include "tests/support/pg_fixture.h"

namespace allod::billing {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kMonths = 12;
constexpr double kTargetMs = 200;

struct Load {
  std::int64_t records = 1'000'000;
  int tenants = 10;  // besides the one that is asked about
  int instances = 10;
  int keys = 10;  // of each instance
  int rounds = 9;
};

double MsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double, std::milli>(SteadyClock::now() - begin).count();
}

class Bench {
 public:
  explicit Bench(const Load& load) : load_(load) {}

  void Prepare() {
    const Time now = std::chrono::system_clock::now();
    const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(now));
    end_ = std::chrono::sys_days(today.year() / today.month() / 1);
    start_ = std::chrono::sys_days((today.year() / today.month() / 1) - std::chrono::months(kMonths));
    pqxx::connection owner(database_.owner_url);
    {
      pqxx::work work(owner);
      // The history, which is empty, ends before; then each month has its partition.
      work.exec("ALTER TABLE billing.usage_records DETACH PARTITION billing.usage_records_before");
      for (int i = 0; i < kMonths; ++i) {
        const Time month = std::chrono::sys_days((today.year() / today.month() / 1) - std::chrono::months(kMonths - i));
        const Time next =
            std::chrono::sys_days((today.year() / today.month() / 1) - std::chrono::months(kMonths - i - 1));
        work.exec(
            fmt::format("CREATE TABLE billing.usage_records_past_{} PARTITION OF billing.usage_records FOR VALUES FROM "
                        "('{}') TO ('{}')",
                        i, FirstRequestIdAt(month).ToString(), FirstRequestIdAt(next).ToString()));
      }
      work.commit();
    }
    AddTenant(owner, tenant_, "tenants/bench");
    Fill(owner, tenant_, load_.records / 2, load_.instances, load_.keys);
    for (int i = 0; i < load_.tenants; ++i) {
      const std::string name = fmt::format("tenants/other-{}", i);
      const TenantId other = TenantId::FromName(name).value();
      AddTenant(owner, other, name);
      Fill(owner, other, load_.records / 2 / load_.tenants, 3, 3);
    }
    pqxx::nontransaction session(owner);
    session.exec("ANALYZE billing.usage_records");
    session.exec("ANALYZE billing.usage_rollups");
    session.exec("ANALYZE billing.usage_dimensions");
    const auto sizes = session.exec1(
        "SELECT (SELECT count(*) FROM billing.usage_rollups), pg_total_relation_size('billing.usage_rollups') >> 20, "
        "(SELECT sum(pg_total_relation_size(inhrelid))::bigint >> 20 FROM pg_inherits WHERE inhparent = "
        "'billing.usage_records'::regclass)");
    rollup_rows_ = sizes[0].as<std::int64_t>();
    rollup_mib_ = sizes[1].as<std::int64_t>();
    record_mib_ = sizes[2].as<std::int64_t>();
  }

  // The median and the worst of the rounds, after one that warms up.
  bool Measure(const char* name, Time start, Time end, std::vector<analysis::UsageDimension> by,
               analysis::UsageOrder order) {
    const analysis::UsageReportQuery query{
        .tenant = tenant_, .start = start, .end = end, .group_by = std::move(by), .order = order, .limit = 1000};
    std::vector<double> times;
    analysis::UsageReport report;
    for (int i = 0; i <= load_.rounds; ++i) {
      const auto begin = SteadyClock::now();
      auto got = store_.Report(query);
      if (!got) {
        fmt::print(stderr, "{}: {}\n", name, got.error().message);
        return false;
      }
      if (i > 0) times.push_back(MsSince(begin));
      report = *std::move(got);
    }
    std::ranges::sort(times);
    const double median = times[times.size() / 2];
    fmt::print("{:<34} {:>8.1f} ms (worst {:.1f}), {} lines of {} requests\n", name, median, times.back(),
               report.row_count, report.total.request_count);
    slowest_ = std::max(slowest_, median);
    figures_ += fmt::format("{}\"{}_ms\":{:.1f}", figures_.empty() ? "" : ",", name, median);
    return report.total.request_count > 0;
  }

  bool Run() {
    const Time month = std::chrono::sys_days(
        std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(end_ - std::chrono::hours(1))).year() /
        std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(end_ - std::chrono::hours(1))).month() / 1);
    using enum analysis::UsageDimension;
    bool sound =
        Measure("month_by_day_model_key", month, end_, {kDaily, kModel, kApiKey}, analysis::UsageOrder::kDimensions);
    sound = Measure("month_by_hour", month, end_, {kHourly}, analysis::UsageOrder::kDimensions) && sound;
    sound = Measure("year_by_day", start_, end_, {kDaily}, analysis::UsageOrder::kDimensions) && sound;
    sound = Measure("year_by_model", start_, end_, {kModel}, analysis::UsageOrder::kAmount) && sound;
    sound = Measure("year_by_key", start_, end_, {kApiKey}, analysis::UsageOrder::kAmount) && sound;
    sound = Measure("year_by_month_model_key", start_, end_, {kMonthly, kModel, kApiKey},
                    analysis::UsageOrder::kDimensions) &&
            sound;
    sound =
        Measure("year_by_day_model_key", start_, end_, {kDaily, kModel, kApiKey}, analysis::UsageOrder::kDimensions) &&
        sound;
    return sound;
  }

  void Print() const {
    fmt::print(R"({{"benchmark":"usage_query","records":{},"records_mib":{},"rollup_rows":{},"rollup_mib":{},)"
               R"({},"slowest_ms":{:.1f},"target_ms":{:.0f},"verdict":"{}"}})"
               "\n",
               records_, record_mib_, rollup_rows_, rollup_mib_, figures_, slowest_, kTargetMs,
               slowest_ < kTargetMs ? "PASS" : "FAIL");
  }

 private:
  static void AddTenant(pqxx::connection& owner, TenantId tenant, const std::string& name) {
    pqxx::work work(owner);
    work.exec_params(
        "INSERT INTO billing.billing_accounts (tenant_id, tenant_name, currency_code, credit_limit, create_time, "
        "update_time) VALUES ($1, $2, 'KES', 0, now(), now())",
        tenant.ToString(), name);
    work.exec_params("INSERT INTO billing.known_tenants VALUES ($1, $2, 'KES')", tenant.ToString(), name);
    work.commit();
  }

  // Evenly over the year, in pieces, without triggers; then added up.
  void Fill(pqxx::connection& owner, TenantId tenant, std::int64_t count, int instances, int keys) {
    constexpr std::int64_t kPiece = 500'000;
    const double step =
        static_cast<double>((end_ - start_) / std::chrono::microseconds(1)) / static_cast<double>(count);
    for (std::int64_t from = 0; from < count; from += kPiece) {
      pqxx::work work(owner);
      work.exec("SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off");
      work.exec(fmt::format(
          "INSERT INTO billing.usage_records (tenant_id, request_id, instance, variant, price_book_id, api_key, "
          "outcome, "
          "prompt_tokens, completion_tokens, currency_code, prompt_price, completion_price, billed, cost, admit_time, "
          "settle_time, isolation_class, revision, lease_id) "
          "SELECT '{0}', (left(billing.first_request_id(t)::text, 14) || '7' || lpad(to_hex(i % 4096), 3, '0') || '-8' "
          "|| "
          "lpad(to_hex(i % 4096), 3, '0') || '-' || lpad(to_hex(i), 12, '0'))::uuid, "
          "'tenants/bench/projects/p' || i % 4 || '/instances/i' || i % {1}, 'models/m' || i % 5 || "
          "'/versions/v/variants/q4_k_m', '{0}', 'tenants/bench/projects/p' || i % 4 || '/apiKeys/k' || (i / 7) % {2}, "
          "'completed', 31 + i % 900, 17 + i % 500, 'KES', 50000000, 150500000, true, (31 + i % 900) * 50000000 + (17 "
          "+ i % "
          "500) * 150500000, t, t, CASE WHEN i % 2 = 0 THEN 'pooled' ELSE 'isolated' END, NULL, '{0}' "
          "FROM generate_series({3}::bigint, {4}::bigint) i, LATERAL (SELECT date_trunc('milliseconds', "
          "billing.from_micros({5} + (i * {6})::bigint)) AS t) x",
          tenant.ToString(), instances, keys, from, std::min(from + kPiece, count) - 1, ToMicros(start_), step));
      work.commit();
      records_ += std::min(kPiece, count - from);
      if (records_ % 5'000'000 == 0) fmt::print(stderr, "{} records\n", records_);
    }
    pqxx::work work(owner);
    work.exec(fmt::format("SET LOCAL allod.tenant = '{}'", tenant.ToString()));
    work.exec(fmt::format("SELECT billing.rebuild_rollups('{}')", tenant.ToString()));
    work.commit();
  }

  const Load load_;
  const TestDatabase database_{"billing"};
  PgPool pool_{database_.app_config()};
  analysis::PgRollupStore store_{pool_, pool_};
  const TenantId tenant_ = TenantId::FromName("tenants/bench").value();
  Time start_, end_;
  std::int64_t records_ = 0, rollup_rows_ = 0, rollup_mib_ = 0, record_mib_ = 0;
  double slowest_ = 0;
  std::string figures_;
};

}  // namespace
}  // namespace allod::billing

int main(int argc, char** argv) {
  CLI::App app("Reports of usage over many records");
  allod::billing::Load load;
  app.add_option("--records", load.records, "How many (default: a million; the figure is for 50 million)")
      ->check(CLI::Range(10'000, 1'000'000'000));
  app.add_option("--tenants", load.tenants)->check(CLI::Range(1, 10'000));
  app.add_option("--instances", load.instances)->check(CLI::Range(1, 1000));
  app.add_option("--keys", load.keys)->check(CLI::Range(1, 1000));
  app.add_option("--rounds", load.rounds)->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  allod::billing::Bench bench(load);
  bench.Prepare();
  if (!bench.Run()) return 1;
  bench.Print();
  return 0;
}
