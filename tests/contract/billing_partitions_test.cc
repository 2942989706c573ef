// Usage records in partitions: rows of before are kept, ids count once over all partitions, and partitions are made
// ahead.
#include <fmt/format.h>

#include <filesystem>

#include "services/billing/analysis/pg_partitions.h"
#include "services/common/pg/migrations.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/temp_dir.h"

namespace allod::billing::analysis::billing_partitions_test {
namespace {

using namespace std::chrono_literals;

// As the owner, in one transaction.
pqxx::result Do(const std::string& url, const std::string& sql) {
  pqxx::connection owner(url);
  pqxx::work work(owner);
  pqxx::result out = work.exec(sql);
  work.commit();
  return out;
}

std::string Text(const std::string& url, const std::string& sql) { return Do(url, sql)[0][0].as<std::string>(); }

// As PostgreSQL says it.
Time Now(const std::string& url) {
  return Time(std::chrono::microseconds(Do(url, "SELECT billing.to_micros(now())")[0][0].as<std::int64_t>()));
}

// The partition that has the record.
std::string PartitionOf(const std::string& url, const Uuid& request) {
  return Text(url,
              fmt::format("SELECT coalesce(min(u.tableoid::regclass::text), '') FROM billing.usage_records u WHERE "
                          "u.request_id = '{}'",
                          request.ToString()));
}

std::string NameOfMonth(const std::string& url, int from_now) {
  return Text(
      url, fmt::format("SELECT 'billing.usage_records_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + {} "
                       "* interval '1 month', 'YYYY_MM')",
                       from_now));
}

TEST(BillingPartitions, AnInstallationWithRecordsKeepsThemAndItsBooks) {
  TempDir before;
  for (const auto& file : std::filesystem::directory_iterator(SourceDir() / "migrations/billing")) {
    if (std::stoi(file.path().filename().string()) > 12) continue;
    std::filesystem::copy(file.path(), before.path() / file.path().filename());
  }
  const TestDatabase database("billing", before.path());
  const std::string& url = database.owner_url;
  const std::string tenant = Tenant("ke").ToString();
  const Time now = Now(url);
  // Long ago, of this month, of a month after the next, and of one that nobody has thought of.
  const std::vector<Uuid> ids{Uuid::V7(kNow), Uuid::V7(now), Uuid::V7(now + 24h * 62), Uuid::V7(now + 24h * 3650)};
  std::string sql = fmt::format(
      "SET LOCAL allod.tenant = '{0}';"
      "INSERT INTO billing.billing_accounts (tenant_id, tenant_name, currency_code, credit_limit, create_time, "
      "update_time) "
      "VALUES ('{0}', 'tenants/ke', 'KES', 100000, now(), now());"
      "INSERT INTO billing.known_tenants VALUES ('{0}', 'tenants/ke', 'KES');"
      "INSERT INTO billing.ledger_accounts (tenant_id, code, currency_code) SELECT '{0}', c, 'KES' FROM "
      "unnest(ARRAY['receivable', 'usage-revenue', 'rounding', 'tax-payable']) c;"
      "INSERT INTO billing.price_books VALUES ('{1}', 'listings/contract', now());"
      "INSERT INTO billing.token_prices VALUES ('{1}', 'KES', '', 3, 7, '');",
      tenant, kBook.ToString());
  for (const Uuid& id : ids) {
    sql += fmt::format(
        "INSERT INTO billing.transfers (tenant_id, id, kind, debit, credit, currency_code, amount, create_time) VALUES "
        "('{0}', '{1}', 'lease_late_post', 'receivable', 'usage-revenue', 'KES', 27, now());"
        "INSERT INTO billing.usage_records (tenant_id, request_id, instance, variant, price_book_id, api_key, outcome, "
        "prompt_tokens, completion_tokens, currency_code, prompt_price, completion_price, billed, cost, admit_time, "
        "settle_time, revision, lease_id) VALUES ('{0}', '{1}', 'tenants/ke/projects/p/instances/i', 'v', '{2}', '', "
        "'completed', 2, 3, 'KES', 3, 7, true, 27, billing.from_micros({3}), now(), NULL, gen_random_uuid());",
        tenant, id.ToString(), kBook.ToString(), ToMicros(kNow));
  }
  Do(url, sql);
  const auto migrated = Migrate(url, "billing", SourceDir() / "migrations/billing", kTestAppPassword);
  ASSERT_TRUE(migrated) << migrated.error().message;

  EXPECT_EQ(PartitionOf(url, ids[0]), "billing.usage_records_before");
  EXPECT_EQ(PartitionOf(url, ids[1]), "billing.usage_records_before") << "its month had begun";
  EXPECT_TRUE(PartitionOf(url, ids[2]).starts_with("billing.usage_records_20"));
  EXPECT_EQ(PartitionOf(url, ids[3]), "billing.usage_records_default");
  PgPool pool(database.app_config());
  PgStore store(pool);
  EXPECT_EQ(store.ListUsageRecords({.tenant = Tenant("ke")})->size(), 4U);
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(4 * 27)) << "totals were not made twice";
  for (const Uuid& id : ids) {
    EXPECT_THROW(
        Do(url,
           fmt::format("INSERT INTO billing.usage_records SELECT (u).* FROM (SELECT tenant_id, request_id, instance, "
                       "variant, price_book_id, api_key, outcome, prompt_tokens, completion_tokens, currency_code, "
                       "prompt_price, completion_price, billed, cost, admit_time, settle_time, isolation_class FROM "
                       "billing.usage_records WHERE request_id = '{}') u",
                       id.ToString())),
        pqxx::sql_error)
        << id.ToString();
  }
  // New ones are counted, in the partition of their month.
  const ReserveCommand request = Request("ke", now + 24h * 32);
  ASSERT_TRUE(store.Reserve(request, now + 24h * 32));
  ASSERT_TRUE(store.Settle(Settlement(request, 1, 1), now + 24h * 32));
  EXPECT_TRUE(PartitionOf(url, request.request_id).starts_with("billing.usage_records_20"));
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(4 * 27 + 10));
}

TEST(BillingPartitions, MonthsAreMadeAheadAndTakeWhatCameBeforeThem) {
  PgHarness harness;
  const std::string& url = harness.database().owner_url;
  const Time now = Now(url);
  const Time in_five_months = now + 24h * 153;
  OpenKenya(harness.store(), 100);
  const ReserveCommand current = Request("ke", now), later = Request("ke", in_five_months);
  for (const auto& [request, time] : {std::pair(current, now), std::pair(later, in_five_months)}) {
    ASSERT_TRUE(harness.store().Reserve(request, time));
    ASSERT_TRUE(harness.store().Settle(Settlement(request, 2, 3), time));
  }
  EXPECT_EQ(PartitionOf(url, current.request_id), NameOfMonth(url, 0));
  EXPECT_EQ(PartitionOf(url, later.request_id), "billing.usage_records_default");
  PgPartitionStore partitions(harness.pool());
  EXPECT_EQ(partitions.MakePartitions(kPartitionsAhead).value(), 0) << "the migration made them";
  EXPECT_EQ(partitions.MakePartitions(7).value(), 4);
  EXPECT_EQ(partitions.MakePartitions(7).value(), 0);
  EXPECT_TRUE(PartitionOf(url, later.request_id).starts_with("billing.usage_records_20")) << "it moved";
  EXPECT_EQ(Text(url, "SELECT count(*) FROM billing.usage_records_default"), "0");
  EXPECT_TRUE(harness.store().Settle(Settlement(later, 2, 3), now)) << "met again, counted once";
  EXPECT_EQ(ExpectSoundBooks(harness.store(), "ke"), Pico(2 * 27));
  EXPECT_FALSE(partitions.MakePartitions(25));
}

TEST(BillingPartitions, TheServiceReachesNoPartitionByItself) {
  PgHarness harness;
  const auto names =
      Do(harness.database().owner_url,
         "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'billing.usage_records'::regclass");
  ASSERT_EQ(names.size(), 6U) << "history, this month, three ahead, the rest";
  for (const auto& row : names) {
    for (const char* sql : {"SELECT count(*) FROM {}", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"}) {
      const std::string statement = fmt::format(fmt::runtime(sql), row[0].as<std::string>());
      EXPECT_FALSE(harness.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
        tx.Exec(statement);
        return 0;
      })) << statement;
    }
    pqxx::connection owner(harness.database().owner_url);
    pqxx::work work(owner);
    EXPECT_THROW(work.exec("TRUNCATE " + row[0].as<std::string>()), pqxx::insufficient_privilege);
  }
}

TEST(BillingPartitions, NoneIsMadeWhileOthersAreInTheWayAndNothingIsLeftOfIt) {
  PgHarness harness;
  PgPartitionStore partitions(harness.pool());
  {
    pqxx::connection reader(harness.database().owner_url);
    pqxx::work work(reader);
    work.exec("SELECT count(*) FROM billing.usage_records");  // holds it to the end of its transaction
    EXPECT_FALSE(partitions.MakePartitions(4));
  }
  EXPECT_EQ(partitions.MakePartitions(4).value(), 1);
}

// The bounds are those that the domain has.
TEST(BillingPartitions, ADatabaseAndTheDomainAgreeOnTheFirstIdOfAMonth) {
  PgHarness harness;
  for (const Time time : {kMonth, kNow, Time(), kNow + 1us, kNow + 999us, kNow + 1ms}) {
    EXPECT_EQ(Text(harness.database().owner_url,
                   fmt::format("SELECT billing.first_request_id(billing.from_micros({}))", ToMicros(time))),
              FirstRequestIdAt(time).ToString());
  }
}

}  // namespace
}  // namespace allod::billing::analysis::billing_partitions_test
