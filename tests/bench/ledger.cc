// How many requests a second billing takes into ledger, usage records and roll-ups, against binary COPY of the very
// same rows of transfers and usage records into tables of the same shape, with the same indices and checks, as many to
// a transaction: what a batch costs beyond writing it down. Both take turns, so that a busy machine slows both. The
// last line is JSON. ALLOD_TEST_PG_URL names the server; its fsync setting, without which the figure says little, is
// printed along.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <span>
#include <vector>

#include "services/billing/analysis/pg_rollups.h"
#include "services/billing/pg_store.h"
#include "tests/bench/binary_copy.h"
#include "tests/support/pg_fixture.h"

namespace allod::billing {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr char kTenantName[] = "tenants/bench";
constexpr int kEventsPerRound = 200;
constexpr double kRatioMin = 0.5;  // the aim is 0.8

struct Load {
  int batch = 1000;  // as many as a gateway sends at once
  int batches_per_turn = 10;
  int turns = 5;
};

double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

class Bench {
 public:
  explicit Bench(const Load& load) : load_(load), raw_(database_.owner_url) {}

  bool Prepare() {
    const Time now = std::chrono::system_clock::now();
    const auto book =
        store_.CreatePriceBook({.id = book_,
                                .listing = "listings/bench",
                                .prices = {{"KES", "", Amount::FromPico(50'000'000), Amount::FromPico(150'500'000)}}},
                               now);
    const auto account = store_.SetBillingAccount(
        {.tenant = tenant_, .tenant_name = kTenantName, .currency_code = "KES", .credit_limit = kCreditLimitMax}, now);
    const auto lease = store_.AdjustLease(
        {.tenant = tenant_, .lease_id = lease_, .gateway = lease_, .want = kCreditLimitMax, .send_time = now});
    raw_.Exec(
        "CREATE SCHEMA raw; CREATE TABLE raw.transfers (LIKE billing.transfers INCLUDING ALL); "
        "CREATE TABLE raw.usage_records (LIKE billing.usage_records INCLUDING ALL)");
    return book && account && lease && lease->lease;
  }

  // Settles one turn's batches, then copies the rows that they made.
  bool Turn() {
    const Time now = FloorToMicros(std::chrono::system_clock::now());
    std::vector<SettleBatchCommand> commands;
    for (int i = 0; i < load_.batches_per_turn; ++i) commands.push_back(Batch(now));
    auto begin = SteadyClock::now();
    for (const SettleBatchCommand& command : commands) {
      const auto results = store_.SettleBatch(command, now);
      if (!results) return false;
      for (const auto& result : *results) {
        if (!result) return false;
      }
    }
    settle_seconds_ += SecondsSince(begin);
    begin = SteadyClock::now();
    while (true) {
      const auto taken = rollups_.RollUp(tenant_, kEventsPerRound);
      if (!taken) return false;
      if (*taken == 0) break;
    }
    rollup_seconds_ += SecondsSince(begin);

    const std::string of_turn = fmt::format("= billing.from_micros({})", ToMicros(now));
    const auto transfers =
        raw_.Take("SELECT * FROM billing.transfers WHERE lease_id IS NOT NULL AND create_time " + of_turn);
    const auto records =
        raw_.Take(fmt::format("SELECT {} FROM billing.usage_records WHERE settle_time {}", kRecordColumns, of_turn));
    const auto count = static_cast<std::size_t>(load_.batch) * commands.size();
    if (transfers.size() != count || records.size() != count) return false;
    begin = SteadyClock::now();
    for (std::size_t at = 0; at < count; at += static_cast<std::size_t>(load_.batch)) {
      const auto part = [&](const std::vector<std::string>& rows) {
        return std::span(rows).subspan(at, static_cast<std::size_t>(load_.batch));
      };
      raw_.Exec("BEGIN");
      raw_.Put("raw.transfers", part(transfers));
      raw_.Put(fmt::format("raw.usage_records ({})", kRecordColumns), part(records));
      raw_.Exec("COMMIT");
    }
    copy_seconds_ += SecondsSince(begin);
    records_ += count;
    return true;
  }

  // The books are sound and all is in them.
  bool Check() {
    const auto audit = store_.AuditTenant(tenant_, std::chrono::system_clock::now(), {});
    return audit && audit->usage_record_count == static_cast<std::int64_t>(records_) &&
           audit->posted_usage == audit->recorded_usage && audit->rollup_fault_count == 0 &&
           audit->mismatched_leases.empty();
  }

  void Print() {
    const auto fsync = pool_
                           .Run<std::string>([](GlobalTx& tx) -> Result<std::string> {
                             return tx.Exec("SHOW fsync")[0][0].as<std::string>();
                           })
                           .value();
    const double count = static_cast<double>(records_);
    fmt::print("{}\n", fmt::format(R"({{"benchmark":"ledger","fsync":"{}","batch":{},"records":{},)"
                                   R"("settle_per_second":{:.0f},"roll_up_per_second":{:.0f},"copy_per_second":{:.0f},)"
                                   R"("ratio_of_settling":{:.2f},"ratio":{:.2f},"target":{},"met":{}}})",
                                   fsync, load_.batch, records_, count / settle_seconds_, count / rollup_seconds_,
                                   count / copy_seconds_, copy_seconds_ / settle_seconds_, Ratio(), kRatioMin,
                                   Ratio() >= kRatioMin));
  }

 private:
  // All but the generated one, which COPY does not take.
  static constexpr char kRecordColumns[] =
      "tenant_id, request_id, instance, variant, price_book_id, api_key, outcome, prompt_tokens, completion_tokens, "
      "currency_code, prompt_price, completion_price, billed, cost, admit_time, settle_time, isolation_class, "
      "revision, "
      "excess_prompt_tokens, excess_completion_tokens, lease_id, invoice_epoch";

  double Ratio() const { return copy_seconds_ / (settle_seconds_ + rollup_seconds_); }

  SettleBatchCommand Batch(Time now) const {
    SettleBatchCommand out{.tenant = tenant_};
    for (int i = 0; i < load_.batch; ++i) {
      const std::string project = std::string(kTenantName) + "/projects/p" + std::to_string(i % 4);
      out.usage.push_back({.request_id = Uuid::V7(now),
                           .lease_id = lease_,
                           .instance = project + "/instances/helper" + std::to_string(i % 8),
                           .api_key = project + "/apiKeys/k" + std::to_string(i % 16),
                           .terms = {.price_book = book_, .variant = "models/m/versions/v/variants/q4_k_m"},
                           .prompt_tokens_max = 1000,
                           .completion_tokens_max = 1000,
                           .prompt_tokens = 31 + i,
                           .completion_tokens = 17 + i});
    }
    return out;
  }

  const Load load_;
  const TestDatabase database_{"billing"};
  PgPool pool_{database_.app_config()};
  PgStore store_{pool_};
  analysis::PgRollupStore rollups_{pool_, pool_};
  BinaryCopy raw_;
  const TenantId tenant_ = TenantId::FromName(kTenantName).value();
  const Uuid book_ = Uuid::V7();
  const Uuid lease_ = Uuid::V7();
  std::size_t records_ = 0;
  double settle_seconds_ = 0;
  double rollup_seconds_ = 0;
  double copy_seconds_ = 0;
};

int Run(const Load& load) {
  Bench bench(load);
  bool sound = bench.Prepare();
  for (int i = 0; sound && i < load.turns; ++i) sound = bench.Turn();
  sound = sound && bench.Check();
  if (!sound) {
    fmt::print(stderr, "a batch failed, or the books are not sound; see the log above\n");
    return 1;
  }
  bench.Print();
  return 0;
}

}  // namespace
}  // namespace allod::billing

int main(int argc, char** argv) {
  CLI::App app("Settling batches and rolling them up, against COPY");
  allod::billing::Load load;
  app.add_option("--batch", load.batch)->check(CLI::Range(1, 1000));
  app.add_option("--batches-per-turn", load.batches_per_turn)->check(CLI::Range(1, 10'000));
  app.add_option("--turns", load.turns)->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  return allod::billing::Run(load);
}
