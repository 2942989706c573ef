// Instance time in PostgreSQL: each second of a replica is counted once, in its month, and owed, whoever tells of it
// how often.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "services/billing/instance_time/pg_instance_time_store.h"
#include "tests/contract/billing_invoices_fixture.h"
#include "tests/contract/billing_store_harness.h"

namespace allod::billing::instance_time::instance_time_store_test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Pair;

constexpr std::int64_t kSecond = 1'000;  // isolated
constexpr std::int64_t kPooledSecond = 7;
const Uuid kHourly = Uuid::FromName("priceBooks/hourly");

class InstanceTimeStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    const PriceBook book{.id = kHourly,
                         .listing = "listings/hourly",
                         .prices = {{"KES", "", Pico(kPrompt), Pico(kCompletion), "", Pico(kSecond)},
                                    {"KES", "", Pico(kPrompt), Pico(kCompletion), "dedicated"},
                                    {"KES", "", Pico(kPrompt), Pico(kCompletion), "pooled", Pico(kPooledSecond)}}};
    ASSERT_TRUE(pg_.store().CreatePriceBook(CheckPriceBook(book).value(), kNow));
    ASSERT_TRUE(pg_.store().SetBillingAccount(Account("ke", 1'000'000'000), kNow));
  }

  static InstanceInterval Told(const std::string& replica, Time start, Time until,
                               const std::string& isolation_class = "isolated") {
    return {.replica = Uuid::FromName(replica),
            .start = start,
            .until = until,
            .instance = "tenants/ke/projects/p/instances/i",
            .generation = 1,
            .terms = {kHourly, "models/m/versions/v/variants/q4_k_m", isolation_class}};
  }
  RecordedTime Record(const std::vector<InstanceInterval>& intervals) {
    const auto recorded = times_.RecordInstanceTime(ke_, intervals);
    EXPECT_TRUE(recorded) << recorded.error().reason << ": " << recorded.error().message;
    return recorded.value_or(RecordedTime{});
  }
  // Of a month, by class.
  std::map<std::string, std::int64_t> SecondsOf(Time month) {
    std::map<std::string, std::int64_t> out;
    const auto listed = times_.ListInstanceTime({.tenant = ke_, .month = month});
    EXPECT_TRUE(listed) << listed.error().message;
    for (const InstanceTimeTotal& time : *listed) {
      EXPECT_EQ(time.amount, Multiply(time.second_price, time.seconds));
      out[time.terms.isolation_class] += time.seconds;
    }
    return out;
  }
  Amount Owed() { return pg_.store().GetBillingAccount(ke_)->posted; }
  std::int64_t Faults() {
    ExpectSoundBooks(pg_.store(), "ke");
    return pg_.store().AuditTenant(ke_, kNow, std::nullopt)->instance_time_fault_count;
  }
  // As a database that somebody meddled with.
  void Meddle(const std::string& sql) {
    pqxx::connection owner(pg_.database().owner_url);
    pqxx::work work(owner);
    work.exec("SET session_replication_role = replica");
    work.exec(sql);
    work.commit();
  }

  PgHarness pg_;
  PgInstanceTimeStore times_{pg_.pool(), pg_.pool()};
  const TenantId ke_ = Tenant("ke");
};

TEST_F(InstanceTimeStoreTest, CountsWhatIsBeyondThatWhichWasTold) {
  const Time start = kNow;
  Record({Told("r", start, start + 1h)});
  Record({Told("r", start, start + 1h)});
  Record({Told("r", start, start + 30min)});
  Record(
      {Told("r", start, start + 2h + 400ms), Told("r", start, start + 2h + 900ms), Told("s", start + 1h, start + 2h)});
  EXPECT_THAT(SecondsOf(kMonth), ElementsAre(Pair("isolated", 3 * 3600)));
  EXPECT_EQ(Owed(), Pico(3 * 3600 * kSecond));
  EXPECT_EQ(Faults(), 0);
}

TEST_F(InstanceTimeStoreTest, AMonthEndsInUtcAndEachClassHasItsPrice) {
  const Time december = NextMonth(kMonth);
  Record({Told("r", december - 1h, december + 10min), Told("p", december - 10s, december, "pooled"),
          Told("d", december, december + 5s, "dedicated")});
  EXPECT_THAT(SecondsOf(kMonth), ElementsAre(Pair("isolated", 3600), Pair("pooled", 10)));
  EXPECT_EQ(times_.ListInstanceTime({.tenant = ke_})->size(), 4U) << "of both months";
  EXPECT_THAT(SecondsOf(december), ElementsAre(Pair("dedicated", 5), Pair("isolated", 600)));
  EXPECT_EQ(Owed(), Pico(4200 * kSecond + 10 * kPooledSecond))
      << "a dedicated row without the price of an hour is free";
  EXPECT_EQ(Faults(), 0);
}

TEST_F(InstanceTimeStoreTest, RefusesOneAndCountsTheOthers) {
  const Time now = FloorToMicros(std::chrono::system_clock::now());
  Record({Told("r", kNow, kNow + 1h)});
  InstanceInterval other = Told("r", kNow, kNow + 2h);
  other.instance += "x";
  InstanceInterval unpriced = Told("u", kNow, kNow + 1h);
  unpriced.terms.price_book = Uuid::FromName("priceBooks/none");
  const RecordedTime recorded = Record(
      {other, Told("f", now, now + 1h), unpriced, Told("s", kNow, kNow + 1s), Told("d", kNow, kNow + 1s, "dedicated")});
  std::vector<std::string> reasons;
  for (const auto& one : recorded.intervals)
    reasons.push_back(one ? one->costs ? "costs" : "free" : one.error().reason);
  EXPECT_THAT(reasons, ElementsAre("INTERVAL_REUSED", "INVALID_INTERVAL", "PRICE_NOT_FOUND", "costs", "free"));
  EXPECT_EQ(Owed(), Pico(3601 * kSecond));
  EXPECT_EQ(times_.RecordInstanceTime(Tenant("tz"), {}).error().reason, "NO_BILLING_ACCOUNT");
  EXPECT_EQ(Faults(), 0);
}

TEST_F(InstanceTimeStoreTest, SaysWhenTheCreditIsUsedUp) {
  ASSERT_TRUE(pg_.store().SetBillingAccount(Account("ke", 100 * kSecond), kNow));
  EXPECT_FALSE(Record({Told("r", kNow, kNow + 99s)}).credit_used_up);
  EXPECT_TRUE(Record({Told("r", kNow, kNow + 100s)}).credit_used_up);
  EXPECT_TRUE(Record({}).credit_used_up);
  // What ran is owed all the same.
  EXPECT_TRUE(Record({Told("r", kNow, kNow + 150s)}).credit_used_up);
  EXPECT_EQ(Owed(), Pico(150 * kSecond));
  ASSERT_TRUE(pg_.store().SetBillingAccount(Account("ke", 1'000 * kSecond), kNow));
  EXPECT_FALSE(Record({}).credit_used_up);
}

TEST_F(InstanceTimeStoreTest, ManyWhoTellTheSameCountItOnce) {
  constexpr int kReporters = 4, kReplicas = 6, kRounds = 12;
  const Time end = NextMonth(kMonth) + 2h;
  const auto start_of = [&](int replica) { return NextMonth(kMonth) - 1h - replica * 7s; };
  std::vector<std::thread> reporters;
  std::atomic<int> refused = 0;
  for (int reporter = 0; reporter < kReporters; ++reporter) {
    reporters.emplace_back([&, reporter] {
      std::mt19937 random(static_cast<unsigned>(reporter));
      for (int round = 0; round <= kRounds; ++round) {
        std::vector<InstanceInterval> told;
        for (int replica = 0; replica < kReplicas; ++replica) {
          const Time start = start_of(replica);
          // Each tells of another time, the last of the whole.
          const auto until = (end - start) * (round == kRounds ? 100 : static_cast<int>(random() % 100)) / 100;
          told.push_back(Told("r" + std::to_string(replica), start,
                              FloorToMicros(start + std::chrono::duration_cast<Time::duration>(until))));
        }
        const auto recorded = times_.RecordInstanceTime(ke_, told);
        if (!recorded) ++refused;
        for (const auto& one : recorded.value_or(RecordedTime{}).intervals) refused += one ? 0 : 1;
      }
    });
  }
  for (std::thread& reporter : reporters) reporter.join();
  EXPECT_EQ(refused, 0);
  std::int64_t before = 0;
  for (int replica = 0; replica < kReplicas; ++replica) before += 3600 + replica * 7;
  EXPECT_THAT(SecondsOf(kMonth), ElementsAre(Pair("isolated", before)));
  EXPECT_THAT(SecondsOf(NextMonth(kMonth)), ElementsAre(Pair("isolated", kReplicas * 7200)));
  EXPECT_EQ(Owed(), Pico((before + kReplicas * 7200) * kSecond));
  EXPECT_EQ(Faults(), 0);
}

TEST_F(InstanceTimeStoreTest, IsInvoicedOnceAndWasOwedBefore) {
  Store& store = pg_.store();
  // 18 KES an hour; and one that costs nothing.
  PriceBook book{.id = Uuid::FromName("priceBooks/eighteen"),
                 .listing = "listings/hourly",
                 .prices = {{"KES", "", {}, {}, "", Pico(5'000'000'000)}, {"KES", "", {}, {}, "pooled"}}};
  ASSERT_TRUE(store.CreatePriceBook(CheckPriceBook(book).value(), kNow));
  invoicing::OpenInvoicing(store, "ke");
  const auto told = [&](const std::string& replica, Time from, Time until, const std::string& isolation = "isolated") {
    InstanceInterval interval = Told(replica, from, until, isolation);
    interval.terms.price_book = book.id;
    return interval;
  };
  Record({told("free", invoicing::kOctober, invoicing::kOctober + 1h, "pooled")});
  EXPECT_TRUE(store.TenantsWithDuePeriods(invoicing::kAfterNovember, {}, 10)->empty()) << "nothing costs something";
  Record({told("r", kMonth - 5h, kMonth + 10min), told("s", kMonth - 61s, kMonth - 1s)});
  EXPECT_EQ(Owed(), invoicing::Kes("93.3")) << "5 h and 60 s of October, 10 min of November";
  ASSERT_EQ(store.TenantsWithDuePeriods(invoicing::kAfterOctober, {}, 10)->size(), 1U);
  const auto draft = store.OpenCharges({Tenant("ke"), invoicing::kOctober, 10, ""});
  ASSERT_EQ(draft->size(), 1U);
  EXPECT_EQ(draft->at(0).quantity, 18'060);

  const auto october = store.FinaliseInvoice(invoicing::Finalise("ke"), invoicing::kAfterOctober);
  ASSERT_TRUE(october) << october.error().message;
  ASSERT_EQ(october->lines.size(), 1U);
  EXPECT_EQ(october->net, invoicing::Kes("90.3"));
  EXPECT_EQ(october->payable, invoicing::Kes("104.75")) << "with 16 %";
  EXPECT_EQ(Owed(), invoicing::Kes("107.75")) << "the time is not owed twice";
  EXPECT_EQ(Faults(), 0);

  // Told of late: in the next invoice, with the time of its month.
  Record({told("late", invoicing::kOctober, invoicing::kOctober + 1h)});
  const auto november = store.FinaliseInvoice(invoicing::Finalise("ke", "2025-11"), invoicing::kAfterNovember);
  ASSERT_TRUE(november) << november.error().message;
  ASSERT_EQ(november->lines.size(), 2U);
  EXPECT_EQ(november->lines[0].month, invoicing::kOctober);
  EXPECT_EQ(november->net, invoicing::Kes("21"));
  EXPECT_EQ(Owed(), Add(october->payable, november->payable).value()) << "what the invoices say";
  EXPECT_EQ(Faults(), 0);
  const auto credit = store.CreateCreditNote(invoicing::Credit("ke", {}), invoicing::kAfterNovember);
  ASSERT_TRUE(credit) << credit.error().message;
  EXPECT_EQ(Owed(), november->payable);
  EXPECT_EQ(Faults(), 0);
}

TEST_F(InstanceTimeStoreTest, TheAuditFindsWhatDoesNotFitTogether) {
  Record({Told("r", kNow, kNow + 1h), Told("s", kNow, kNow + 1h)});
  ASSERT_EQ(Faults(), 0);
  const auto faults = [&] { return pg_.store().AuditTenant(ke_, kNow, std::nullopt)->instance_time_fault_count; };
  for (const auto& [damage, repair] :
       {std::pair("UPDATE billing.instance_time_intervals SET until_time = until_time + interval '1 hour'",
                  "UPDATE billing.instance_time_intervals SET until_time = until_time - interval '1 hour'"),
        std::pair("UPDATE billing.instance_time_totals SET seconds = seconds + 1",
                  "UPDATE billing.instance_time_totals SET seconds = seconds - 1"),
        std::pair("UPDATE billing.transfers SET amount = amount + 1 WHERE kind = 'instance_time'",
                  "UPDATE billing.transfers SET amount = amount - 1 WHERE kind = 'instance_time'")}) {
    Meddle(damage);
    EXPECT_GT(faults(), 0) << damage;
    Meddle(repair);
    EXPECT_EQ(faults(), 0) << repair;
  }
  Meddle("DELETE FROM billing.instance_time_entries WHERE replica_id = '" + Uuid::FromName("s").ToString() + "'");
  EXPECT_GT(faults(), 0);
}

TEST_F(InstanceTimeStoreTest, TheServiceCanNeitherSkipTimeNorChangeWhatWasCounted) {
  Record({Told("r", kNow, kNow + 1h)});
  pqxx::connection app(pg_.database().app_config().url);
  const auto fails = [&](const std::string& sql) {
    pqxx::work work(app);
    work.exec("SELECT set_config('allod.tenant', '" + ke_.ToString() + "', true)");
    try {
      work.exec(sql);
    } catch (const pqxx::insufficient_privilege&) {
      return std::string("denied");
    } catch (const pqxx::sql_error& error) {
      return std::string(error.sqlstate());
    }
    return std::string("done");
  };
  constexpr char kDenied[] = "denied";
  EXPECT_EQ(fails("UPDATE billing.instance_time_intervals SET until_time = start_time"), kDenied);
  EXPECT_EQ(fails("UPDATE billing.instance_time_totals SET seconds = 0"), kDenied);
  EXPECT_EQ(fails("DELETE FROM billing.instance_time_entries"), kDenied);
  // An hour is left out; or is another one than it says.
  const std::string entry =
      "INSERT INTO billing.instance_time_entries (tenant_id, replica_id, start_time, from_time, until_time, month, "
      "seconds, cost) "
      "SELECT tenant_id, replica_id, start_time, until_time + {}, until_time + interval '2 hours', '2025-11-01', {}, 0 "
      "FROM billing.instance_time_intervals";
  const auto filled = [&](const std::string& gap, const std::string& seconds) {
    std::string sql = entry;
    sql.replace(sql.find("{}"), 2, gap);
    return sql.replace(sql.find("{}"), 2, seconds);
  };
  EXPECT_EQ(fails(filled("interval '1 hour'", "3600")), "23514");
  EXPECT_EQ(fails(filled("interval '0'", "7200")), "23514") << "it costs something";
  EXPECT_EQ(fails(filled("interval '0'", "1")), "23514");
}

}  // namespace
}  // namespace allod::billing::instance_time::instance_time_store_test
