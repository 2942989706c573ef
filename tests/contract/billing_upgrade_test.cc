// Books that an earlier version kept, brought to the newest: nothing is lost, and what they say adds up.
#include <fmt/format.h>

#include <filesystem>

#include "services/common/pg/migrations.h"
#include "tests/contract/billing_store_harness.h"
#include "tests/support/temp_dir.h"

namespace allod::billing::billing_upgrade_test {
namespace {

using namespace std::chrono_literals;

// The migrations up to `last`.
class FirstMigrations {
 public:
  explicit FirstMigrations(int last) {
    for (const auto& file : std::filesystem::directory_iterator(SourceDir() / "migrations/billing")) {
      if (std::stoi(file.path().filename().string()) > last) continue;
      std::filesystem::copy(file.path(), dir_.path() / file.path().filename());
    }
  }
  const std::filesystem::path& path() const { return dir_.path(); }

 private:
  TempDir dir_;
};

std::int64_t Micros(Time time) {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

TEST(BillingUpgrade, FromTheFirstLedgerWithHoldsThatAreOpen) {
  const FirstMigrations first(3);
  const TestDatabase database("billing", first.path());
  const std::string tenant = Tenant("ke").ToString();
  const Uuid settled = Uuid::V7(kNow), unbilled = Uuid::V7(kNow), open = Uuid::V7(kNow);
  {
    pqxx::connection owner(database.owner_url);
    pqxx::work work(owner);
    work.exec(fmt::format("SET LOCAL allod.tenant = '{}'", tenant));
    work.exec(
        fmt::format("INSERT INTO billing.billing_accounts VALUES ('{0}', 'tenants/ke', 'KES', 100000, now(), now());"
                    "INSERT INTO billing.known_tenants VALUES ('{0}', 'tenants/ke', 'KES');"
                    "INSERT INTO billing.ledger_accounts (tenant_id, code, currency_code) "
                    "  SELECT '{0}', c, 'KES' FROM unnest(ARRAY['receivable', 'usage-revenue', 'rounding']) c;"
                    "INSERT INTO billing.price_books VALUES ('{1}', 'listings/contract', now());"
                    "INSERT INTO billing.token_prices VALUES ('{1}', 'KES', '', 3, 7)",
                    tenant, kBook.ToString()));
    for (const Uuid& id : {settled, unbilled, open}) {
      work.exec(fmt::format(
          "INSERT INTO billing.transfers VALUES ('{0}', '{1}', 'pending', NULL, NULL, 'receivable', 'usage-revenue', "
          "'KES', 730, now());"
          "INSERT INTO billing.reservations (tenant_id, request_id, instance, variant, price_book_id, api_key, "
          "prompt_tokens_max, completion_tokens_max, currency_code, prompt_price, completion_price, hold, expire_time, "
          "create_time) VALUES ('{0}', '{1}', 'i', 'v', '{2}', '', 10, 100, 'KES', 3, 7, 730, "
          "billing.from_micros({3}), now());"
          "INSERT INTO billing.open_reservations VALUES ('{0}', '{1}', billing.from_micros({3}))",
          tenant, id.ToString(), kBook.ToString(), Micros(kNow + 10min)));
    }
    for (const auto& [id, outcome, cost] : {std::tuple{settled, "completed", 27}, std::tuple{unbilled, "fault", 0}}) {
      work.exec(fmt::format(
          "INSERT INTO billing.transfers VALUES ('{0}', gen_random_uuid(), '{2}', '{1}', NULL, 'receivable', "
          "'usage-revenue', 'KES', {3}, now());"
          "INSERT INTO billing.usage_records VALUES ('{0}', '{1}', 'i', 'v', '{4}', '', '{5}', 2, 3, 'KES', 3, 7, {6}, "
          "{7}, billing.from_micros({8}), now());"
          "DELETE FROM billing.open_reservations WHERE request_id = '{1}';"
          "INSERT INTO billing.outbox VALUES ('{0}', gen_random_uuid(), 't', 's', '{{}}', now())",
          tenant, id.ToString(), cost > 0 ? "post" : "void", cost > 0 ? cost : 730, kBook.ToString(), outcome, cost > 0,
          cost, Micros(kNow)));
    }
    work.commit();
  }
  const auto migrated = Migrate(database.owner_url, "billing", SourceDir() / "migrations/billing", kTestAppPassword);
  ASSERT_TRUE(migrated) << migrated.error().message;

  PgPool pool(database.app_config());
  PgStore store(pool);
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(27));
  const auto lines = store.SumMonth({Tenant("ke"), kMonth, 10}).value();
  ASSERT_EQ(lines.size(), 1U) << "totals are made for what was billed before";
  EXPECT_EQ(lines[0].request_count, 1);
  EXPECT_EQ(lines[0].amount, Pico(27));
  EXPECT_TRUE(
      store.Settle({.tenant = Tenant("ke"), .request_id = settled, .prompt_tokens = 2, .completion_tokens = 3}, kNow))
      << "a replayed journal of before";
  const auto record =
      store.Settle({.tenant = Tenant("ke"), .request_id = open, .prompt_tokens = 1, .completion_tokens = 1}, kNow);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->cost, Pico(10));
  EXPECT_EQ(store.SumMonth({Tenant("ke"), kMonth, 10})->at(0).request_count, 2);
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(37));
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Amount());
}

}  // namespace
}  // namespace allod::billing::billing_upgrade_test
