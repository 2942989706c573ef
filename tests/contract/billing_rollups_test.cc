// Roll-ups and reports of usage against a sum over the records, however and whenever they came.
#include <fmt/format.h>

#include <map>
#include <random>
#include <thread>

#include "services/billing/analysis/pg_rollups.h"
#include "services/billing/analysis/rollup_worker.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/fake_clock.h"

namespace allod::billing::analysis::billing_rollups_test {
namespace {

using namespace std::chrono_literals;

struct Record {
  Uuid id;
  Time admitted;
  std::string project, instance, model, variant, isolation_class, api_key;
  bool billed = true;
  std::int64_t prompt = 0, completion = 0, excess = 0;  // of the prompt

  std::int64_t cost() const { return billed ? (prompt - excess) * kPrompt + completion * kCompletion : 0; }
};

// Times at which something goes wrong: the edges of hours, days, months and years, and a leap day.
Time SomeTime(std::mt19937_64& random) {
  const std::array<Time, 6> edges{
      std::chrono::sys_days(std::chrono::year(2027) / 11 / 1), std::chrono::sys_days(std::chrono::year(2028) / 2 / 29),
      std::chrono::sys_days(std::chrono::year(2028) / 3 / 1),  std::chrono::sys_days(std::chrono::year(2028) / 1 / 1),
      std::chrono::sys_days(std::chrono::year(2028) / 1 / 15), std::chrono::sys_days(std::chrono::year(2028) / 3 / 31)};
  const Time edge = edges[random() % edges.size()];
  if (random() % 3 == 0) return edge - (random() % 2) * 1ms;
  return edge + std::chrono::milliseconds(random() % (3 * 24 * 3600 * 1000)) - 36h;
}

Record SomeRecord(std::mt19937_64& random, const std::string& tenant) {
  Record out;
  out.admitted = SomeTime(random);
  out.id = Uuid::V7(out.admitted);
  out.project = fmt::format("p{}", random() % 3);
  out.instance = fmt::format("tenants/{}/projects/{}/instances/i{}", tenant, out.project, random() % 3);
  out.model = fmt::format("models/m{}", random() % 2);
  out.variant = fmt::format("{}/versions/v/variants/q{}", out.model, random() % 2);
  out.isolation_class = random() % 2 == 0 ? "pooled" : "dedicated";
  out.api_key =
      random() % 10 == 0 ? "" : fmt::format("tenants/{}/projects/{}/apiKeys/k{}", tenant, out.project, random() % 2);
  out.billed = random() % 6 != 0;
  out.prompt = static_cast<std::int64_t>(random() % 1000);
  out.excess = random() % 9 == 0 ? out.prompt / 2 : 0;
  out.completion = static_cast<std::int64_t>(random() % 1000);
  return out;
}

using Line = std::pair<std::optional<Time>, std::vector<std::string>>;

std::string KeyOf(const Record& record, UsageDimension dimension) {
  switch (dimension) {
    case UsageDimension::kProject:
      return record.project;
    case UsageDimension::kInstance:
      return record.instance;
    case UsageDimension::kModel:
      return record.model;
    case UsageDimension::kVariant:
      return record.variant;
    case UsageDimension::kIsolationClass:
      return record.isolation_class;
    default:
      return record.api_key;
  }
}

Time PeriodOf(Time time, UsageDimension period) {
  if (period == UsageDimension::kHourly) return std::chrono::floor<std::chrono::hours>(time);
  const auto day = std::chrono::floor<std::chrono::days>(time);
  if (period == UsageDimension::kDaily) return day;
  const std::chrono::year_month_day date(day);
  return std::chrono::sys_days(date.year() / date.month() / 1);
}

// What a report must say, in the order of dimensions.
std::map<Line, UsageSums> Expected(const std::vector<Record>& records, const UsageReportQuery& query) {
  std::map<Line, UsageSums> out;
  for (const Record& record : records) {
    if (record.admitted < query.start || record.admitted >= query.end) continue;
    if (!query.project.empty() && record.project != query.project) continue;
    if (!query.instance.empty() && record.instance != query.instance) continue;
    if (!query.model.empty() && record.model != query.model) continue;
    if (!query.variant.empty() && record.variant != query.variant) continue;
    if (!query.isolation_class.empty() && record.isolation_class != query.isolation_class) continue;
    if (!query.api_key.empty() && record.api_key != query.api_key) continue;
    Line line;
    for (const UsageDimension by : query.group_by) {
      if (IsPeriod(by)) {
        line.first = PeriodOf(record.admitted, by);
      } else {
        line.second.push_back(KeyOf(record, by));
      }
    }
    UsageSums& sums = out[line];
    ++sums.request_count;
    sums.prompt_tokens += record.prompt;
    sums.completion_tokens += record.completion;
    if (record.billed) {
      ++sums.billed_request_count;
      sums.billed_prompt_tokens += record.prompt - record.excess;
      sums.billed_completion_tokens += record.completion;
    }
    sums.amount = Add(sums.amount, Pico(record.cost())).value();
  }
  return out;
}

UsageReportQuery SomeQuery(std::mt19937_64& random, const std::vector<Record>& records) {
  UsageReportQuery out{.tenant = Tenant("ke"), .limit = 100'000};
  out.start = std::chrono::floor<std::chrono::hours>(SomeTime(random));
  out.end = std::chrono::ceil<std::chrono::hours>(SomeTime(random));
  if (random() % 4 == 0) out.start = std::chrono::floor<std::chrono::days>(out.start);
  if (random() % 4 == 0) out.end = std::chrono::floor<std::chrono::days>(out.end);
  if (out.start > out.end) std::swap(out.start, out.end);
  if (out.start == out.end) out.end += 1h;
  std::vector<UsageDimension> dimensions{UsageDimension::kProject,        UsageDimension::kInstance,
                                         UsageDimension::kModel,          UsageDimension::kVariant,
                                         UsageDimension::kIsolationClass, UsageDimension::kApiKey};
  const std::array<UsageDimension, 3> periods{UsageDimension::kHourly, UsageDimension::kDaily,
                                              UsageDimension::kMonthly};
  if (random() % 4 != 0) dimensions.push_back(periods[random() % 3]);
  std::ranges::shuffle(dimensions, random);
  dimensions.resize(random() % 4);
  out.group_by = dimensions;
  const Record& of = records[random() % records.size()];
  if (random() % 5 == 0) out.project = of.project;
  if (random() % 5 == 0) out.instance = of.instance;
  if (random() % 5 == 0) out.model = of.model;
  if (random() % 5 == 0) out.variant = of.variant;
  if (random() % 5 == 0) out.isolation_class = of.isolation_class;
  if (random() % 5 == 0) out.api_key = of.api_key;
  return out;
}

class BillingRollups : public testing::Test {
 protected:
  void SetUp() override {
    OpenKenya(harness_.store(), 1000);
    ASSERT_TRUE(harness_.store().SetBillingAccount(Account("tz", kHold), kNow));
  }

  // As a batch of settlements does, in one transaction; false if one of them is there.
  bool Insert(const std::string& tenant, const std::vector<Record>& records) {
    pqxx::connection owner(url_);
    pqxx::work work(owner);
    work.exec(fmt::format("SET LOCAL allod.tenant = '{}'", Tenant(tenant).ToString()));
    std::string rows, transfers;
    for (const Record& r : records) {
      rows += fmt::format(
          "{}('{}', '{}', '{}', '{}', '{}', '{}', '{}', {}, {}, 'KES', {}, {}, {}, {}, billing.from_micros({}), now(), "
          "'{}', NULL, gen_random_uuid(), {})",
          rows.empty() ? "" : ", ", Tenant(tenant).ToString(), r.id.ToString(), r.instance, r.variant, kBook.ToString(),
          r.api_key, r.billed ? "completed" : "fault", r.prompt, r.completion, kPrompt, kCompletion, r.billed, r.cost(),
          ToMicros(r.admitted), r.isolation_class, r.excess);
      if (r.cost() == 0) continue;
      transfers += fmt::format("{}('{}', '{}', 'lease_late_post', 'receivable', 'usage-revenue', 'KES', {}, now())",
                               transfers.empty() ? "" : ", ", Tenant(tenant).ToString(), r.id.ToString(), r.cost());
    }
    try {
      if (!transfers.empty()) {
        work.exec(
            "INSERT INTO billing.transfers (tenant_id, id, kind, debit, credit, currency_code, amount, create_time) "
            "VALUES " +
            transfers);
      }
      work.exec(
          "INSERT INTO billing.usage_records (tenant_id, request_id, instance, variant, price_book_id, api_key, "
          "outcome, "
          "prompt_tokens, completion_tokens, currency_code, prompt_price, completion_price, billed, cost, admit_time, "
          "settle_time, isolation_class, revision, lease_id, excess_prompt_tokens) VALUES " +
          rows);
    } catch (const pqxx::unique_violation&) {
      return false;
    }
    work.commit();
    return true;
  }

  std::vector<Record> InsertSome(const std::string& tenant, int count) {
    std::vector<Record> out;
    for (int i = 0; i < count; ++i) out.push_back(SomeRecord(random_, tenant));
    EXPECT_TRUE(Insert(tenant, out));
    return out;
  }

  void ExpectReport(const std::vector<Record>& records, const UsageReportQuery& query) {
    const auto report = rollups_.Report(query);
    ASSERT_TRUE(report) << report.error().message;
    const auto expected = Expected(records, query);
    ASSERT_EQ(report->rows.size(), expected.size());
    EXPECT_EQ(report->row_count, static_cast<std::int64_t>(expected.size()));
    UsageSums total;
    auto row = report->rows.begin();
    for (const auto& [line, sums] : expected) {
      ASSERT_EQ(row->period, line.first);
      ASSERT_EQ(row->keys, line.second);
      ASSERT_EQ(row->sums, sums);
      total.request_count += sums.request_count;
      total.billed_request_count += sums.billed_request_count;
      total.prompt_tokens += sums.prompt_tokens;
      total.completion_tokens += sums.completion_tokens;
      total.billed_prompt_tokens += sums.billed_prompt_tokens;
      total.billed_completion_tokens += sums.billed_completion_tokens;
      total.amount = Add(total.amount, sums.amount).value();
      ++row;
    }
    EXPECT_EQ(report->total, total);
  }

  std::string Rows() {
    pqxx::connection owner(url_);
    pqxx::work work(owner);
    return work
        .exec(
            "SELECT coalesce(string_agg(r::text, '|' ORDER BY tenant_id, grain, period, dimension_id), '') FROM "
            "billing.usage_rollups r")[0][0]
        .as<std::string>();
  }

  PgHarness harness_;
  const std::string url_ = harness_.database().owner_url;
  PgRollupStore rollups_{harness_.pool(), harness_.pool()};
  std::mt19937_64 random_{20251123};
};

const UsageReportQuery kAll{.tenant = Tenant("ke"),
                            .start = std::chrono::sys_days(std::chrono::year(2020) / 1 / 1),
                            .end = std::chrono::sys_days(std::chrono::year(2040) / 1 / 1)};

TEST_F(BillingRollups, AnyReportIsTheSumOfItsRecordsHoweverFarTheRollUpsAre) {
  std::vector<Record> records;
  for (int round = 0; round < 12; ++round) {
    for (int batch = static_cast<int>(random_() % 4); batch >= 0; --batch) {
      const auto more = InsertSome("ke", 1 + static_cast<int>(random_() % 40));
      records.insert(records.end(), more.begin(), more.end());
      EXPECT_FALSE(Insert("ke", {records[random_() % records.size()]})) << "a request counts once";
      InsertSome("tz", 3);
    }
    if (round % 3 != 0) {
      ASSERT_TRUE(rollups_.RollUp(Tenant("ke"), 1 + static_cast<int>(random_() % 3)));
    }
    for (int i = 0; i < 12; ++i) {
      ExpectReport(records, SomeQuery(random_, records));
      if (HasFatalFailure()) return;
    }
    ExpectSoundBooks(harness_.store(), "ke");
  }
}

TEST_F(BillingRollups, MadeAnewTheyAreTheSameRows) {
  const auto records = InsertSome("ke", 300);
  InsertSome("tz", 50);
  while (rollups_.RollUp(Tenant("ke"), 1).value() > 0) continue;
  while (rollups_.RollUp(Tenant("tz"), 1).value() > 0) continue;
  const std::string before = Rows();
  EXPECT_EQ(rollups_.Rebuild(Tenant("ke")).value(), 300);
  EXPECT_EQ(Rows(), before);
  EXPECT_EQ(rollups_.RollUp(Tenant("ke"), 10).value(), 0) << "all is in them";
  // Also while there is something beyond them.
  const auto more = InsertSome("ke", 30);
  EXPECT_EQ(rollups_.Rebuild(Tenant("ke")).value(), 330);
  EXPECT_EQ(rollups_.RollUp(Tenant("ke"), 10).value(), 0);
  std::vector<Record> all = records;
  all.insert(all.end(), more.begin(), more.end());
  ExpectReport(all, kAll);
}

TEST_F(BillingRollups, WhatDiesHalfwayCountsOnce) {
  const auto records = InsertSome("ke", 100);
  for (int i = 0; i < 3; ++i) {
    // Everything is done, and the connection goes before COMMIT.
    pqxx::connection app(harness_.database().app_config().url + " password=" + kTestAppPassword);
    pqxx::work work(app);
    work.exec(fmt::format("SET LOCAL allod.tenant = '{}'", Tenant("ke").ToString()));
    EXPECT_EQ(work.exec(fmt::format("SELECT billing.roll_up_usage('{}', 10)", Tenant("ke").ToString()))[0][0].as<int>(),
              1);
  }
  EXPECT_EQ(Rows(), "");
  ExpectReport(records, kAll);
  EXPECT_EQ(rollups_.RollUp(Tenant("ke"), 10).value(), 1);
  EXPECT_EQ(rollups_.RollUp(Tenant("ke"), 10).value(), 0);
  ExpectReport(records, kAll);
}

TEST_F(BillingRollups, ManyAtOnceCountOnce) {
  std::vector<Record> records;
  std::atomic<bool> done = false;
  std::vector<std::thread> rollers;
  for (int i = 0; i < 3; ++i) {
    rollers.emplace_back([&, i] {
      while (!done) {
        if (i == 0) {
          EXPECT_TRUE(rollups_.Rebuild(Tenant("ke")));
        }
        EXPECT_TRUE(rollups_.RollUp(Tenant("ke"), 2));
      }
    });
  }
  for (int i = 0; i < 25; ++i) {
    const auto more = InsertSome("ke", 20);
    records.insert(records.end(), more.begin(), more.end());
    ExpectReport(records, kAll);
  }
  done = true;
  for (auto& roller : rollers) roller.join();
  ExpectReport(records, kAll);
  ExpectSoundBooks(harness_.store(), "ke");
}

TEST_F(BillingRollups, TheLoopGoesOverAllTenants) {
  const auto records = InsertSome("ke", 50);
  InsertSome("tz", 50);
  const FakeClock clock(kNow);
  RollupWorker worker(rollups_, clock);
  EXPECT_EQ(worker.RunOnce().value(), 2);
  EXPECT_EQ(worker.RunOnce().value(), 0);
  EXPECT_TRUE(rollups_.TenantsBehind({}, 10)->empty());
  ExpectReport(records, kAll);
}

TEST_F(BillingRollups, TheLoopKeepsUpWithATenantThatHasMoreThanARoundTakes) {
  {
    pqxx::connection owner(url_);
    pqxx::work work(owner);
    work.exec(fmt::format("SET LOCAL allod.tenant = '{}'", Tenant("ke").ToString()));
    work.exec(fmt::format("SELECT billing.add_event('{}', 'wallet.low', '{{}}') FROM generate_series(1, 6500)",
                          Tenant("ke").ToString()));
    work.commit();
  }
  const FakeClock clock(kNow);
  RollupWorker worker(rollups_, clock);
  const auto begin = std::chrono::steady_clock::now();
  worker.Start();
  while (!rollups_.TenantsBehind({}, 10)->empty() && std::chrono::steady_clock::now() < begin + 30s) {
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "seven rounds, with two seconds between them 12";
  worker.Stop();
}

TEST_F(BillingRollups, PagesAndOrders) {
  const auto records = InsertSome("ke", 200);
  ASSERT_TRUE(rollups_.RollUp(Tenant("ke"), 10));
  UsageReportQuery query = kAll;
  query.group_by = {UsageDimension::kDaily, UsageDimension::kApiKey};
  query.order = UsageOrder::kAmount;
  query.limit = 7;
  const auto expected = Expected(records, query);
  std::vector<UsageReportRow> rows;
  while (true) {
    const auto page = rollups_.Report(query).value();
    EXPECT_EQ(page.total.request_count, 200) << "of all pages";
    EXPECT_EQ(page.currency_code, "KES");
    if (page.rows.empty()) break;
    rows.insert(rows.end(), page.rows.begin(), page.rows.end());
    query.offset += query.limit;
  }
  ASSERT_EQ(rows.size(), expected.size());
  EXPECT_TRUE(std::ranges::is_sorted(rows, std::greater(), [](const UsageReportRow& row) { return row.sums.amount; }));
  for (const UsageReportRow& row : rows) EXPECT_EQ(expected.at({row.period, row.keys}), row.sums);
  query.order = UsageOrder::kTokens;
  query.offset = 0;
  EXPECT_TRUE(std::ranges::is_sorted(rollups_.Report(query)->rows, std::greater(), [](const UsageReportRow& row) {
    return row.sums.prompt_tokens + row.sums.completion_tokens;
  }));
}

TEST_F(BillingRollups, TheAuditFindsWhatDoesNotAddUp) {
  InsertSome("ke", 50);
  ASSERT_TRUE(rollups_.RollUp(Tenant("ke"), 10));
  ExpectSoundBooks(harness_.store(), "ke");
  for (const char* change :
       {"UPDATE billing.usage_rollups SET amount = amount + 1 WHERE grain = 'day' AND billed_request_count > 0",
        "UPDATE billing.usage_rollups SET completion_tokens = completion_tokens + 1 WHERE grain = 'hour'",
        "UPDATE billing.usage_rollups SET request_count = request_count + 1", "DELETE FROM billing.usage_rollups",
        "DELETE FROM billing.usage_rollups WHERE grain = 'hour'"}) {
    pqxx::connection owner(url_);
    pqxx::work work(owner);
    work.exec(change);
    work.commit();
    EXPECT_GT(harness_.store().AuditTenant(Tenant("ke"), kNow, {})->rollup_fault_count, 0) << change;
    ASSERT_TRUE(rollups_.Rebuild(Tenant("ke")));
    EXPECT_EQ(harness_.store().AuditTenant(Tenant("ke"), kNow, {})->rollup_fault_count, 0) << "mended";
  }
}

TEST_F(BillingRollups, TheServiceMovesNoSumByItself) {
  InsertSome("ke", 5);
  ASSERT_TRUE(rollups_.RollUp(Tenant("ke"), 10));
  for (const char* sql : {"DELETE FROM billing.usage_rollups", "UPDATE billing.usage_rollups SET amount = 0",
                          "INSERT INTO billing.usage_rollups SELECT * FROM billing.usage_rollups",
                          "DELETE FROM billing.usage_dimensions", "TRUNCATE billing.usage_rollups"}) {
    EXPECT_FALSE(harness_.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
      tx.Exec(sql);
      return 0;
    })) << sql;
  }
  // Nor for another tenant than the transaction is of.
  EXPECT_FALSE(harness_.pool().Run<int>(Tenant("tz"), [&](TenantTx& tx) -> Result<int> {
    tx.Exec("SELECT billing.rebuild_rollups($1::uuid)", Tenant("ke"));
    return 0;
  }));
}

}  // namespace
}  // namespace allod::billing::analysis::billing_rollups_test
