// A connection that served one tenant shows nothing of it to the next, whatever became of the transaction: a thousand
// tenants take turns on eight connections while statements fail, are cancelled, run out of time and lose their
// sessions.
//
// ALLOD_TEST_TRANSACTIONS gives another number of transactions; a million take some minutes.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "services/common/call_scope.h"
#include "tests/integration/pg_pool_fixture.h"

namespace allod::pg_tenants_test {
namespace {

constexpr int kTenants = 1000;
constexpr int kConnections = 8;
constexpr int kThreads = 12;  // more than connections: some wait

int TransactionsAsked() {
  const char* asked = std::getenv("ALLOD_TEST_TRANSACTIONS");
  return asked == nullptr ? 10'000 : std::atoi(asked);
}

class PgTenants : public PgTest {
 protected:
  struct Tally {
    std::atomic<int> done{0}, failed{0}, cut{0}, late{0}, foreign{0}, missing{0};
  };

  static TenantId Tenant(unsigned n) { return *TenantId::FromName(fmt::format("tenants/t{}", n)); }

  // Two rows of each tenant, and how often each was written.
  void Fill() {
    for (unsigned n = 0; n < kTenants; ++n) {
      ASSERT_TRUE(Note(Tenant(n), Tenant(n), "a"));
      ASSERT_TRUE(Note(Tenant(n), Tenant(n), "b"));
    }
  }

  // What the transaction sees without naming its tenant: row-level security alone is asked.
  static void Look(TenantTx& tx, Tally& tally) {
    const auto rows = tx.Exec("SELECT tenant_id FROM sample.notes");
    for (const auto& row : rows) {
      if (row[0].as<std::string>() != tx.tenant().ToString()) ++tally.foreign;
    }
    if (rows.size() != 2) ++tally.missing;
  }

  void Transaction(PgPool& pool, std::minstd_rand& random, Tally& tally) {
    const TenantId tenant = Tenant(static_cast<unsigned>(random() % kTenants));
    const unsigned what = random() % 100;
    if (what < 3) {  // one without a tenant sees no tenant's row
      const auto count = pool.Run<int>(
          [](GlobalTx& tx) -> Result<int> { return tx.Exec("SELECT count(*) FROM sample.notes")[0][0].as<int>(); });
      if (count) tally.foreign += *count;
      ++(count ? tally.done : tally.failed);
      return;
    }
    std::optional<CallScope> scope;
    if (what < 6) scope.emplace(Deadline::In(15ms), Trace::New());
    bool is_first_run = true;
    const auto status = pool.Run<void>(tenant, [&](TenantTx& tx) -> Status {
      Look(tx, tally);
      if (what < 6) {
        tx.Exec("SELECT pg_sleep(1)");  // until its caller's time is over
      } else if (what < 16) {
        return InvalidArgument("CHANGED_ITS_MIND", "the function gives up");
      } else if (what < 24) {
        tx.Exec("INSERT INTO sample.counters (id, value) VALUES ('x', -1)");  // breaks a rule of the table
      } else if (what < 32) {
        const TenantId other = Tenant(static_cast<unsigned>(random() % kTenants));
        if (other == tenant) return {};
        // Row-level security refuses the first and finds nothing in the second.
        if (random() % 2 == 0) {
          tx.Exec("INSERT INTO sample.notes VALUES ($1, 'c', 'forged')", other);
          ++tally.foreign;
        } else if (tx.Exec("UPDATE sample.notes SET body = 'forged' WHERE tenant_id = $1", other).affected_rows() > 0) {
          ++tally.foreign;
        }
      } else if (what < 40) {
        throw std::runtime_error("the function throws");
      } else if (what < 42) {
        tx.Exec("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)");
      } else if (what == 42 && std::exchange(is_first_run, false)) {  // and is run again
        ++tally.cut;
        tx.Exec("SELECT pg_terminate_backend(pg_backend_pid())");
        tx.Exec("SELECT 1");
      } else if (what < 60) {
        tx.Exec("UPDATE sample.notes SET body = $1", tx.tenant().ToString());  // every row that it sees
        Look(tx, tally);
      } else if (what < 62) {
        // Ends with the transaction.
        tx.Exec("SELECT set_config('allod.tenant', $1, true)", Tenant(0));
      }
      return {};
    });
    ++(status ? tally.done : tally.failed);
    if (!status && status.error().code == Code::kDeadlineExceeded) ++tally.late;
  }
};

TEST_F(PgTenants, ThousandTenantsOnEightConnectionsSeeNoForeignRow) {
  Fill();
  const int asked = TransactionsAsked();
  ASSERT_GT(asked, 0) << "ALLOD_TEST_TRANSACTIONS is no number";
  PgPool pool([&] {
    PgConfig config = Config(kConnections);
    config.acquire_timeout = 10s;
    config.statement_timeout = 500ms;
    return config;
  }());
  Tally tally;
  std::atomic<int> left{asked};
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::minstd_rand random(t + 1);
        while (left-- > 0) Transaction(pool, random, tally);
      });
    }
  }
  EXPECT_EQ(tally.foreign, 0);
  EXPECT_EQ(tally.missing, 0);
  EXPECT_EQ(tally.done + tally.failed, asked);
  EXPECT_GT(tally.done, asked / 2) << "most of them worked";
  EXPECT_GT(tally.failed, asked / 10) << "and many failed";
  EXPECT_GT(tally.cut, 0);
  EXPECT_GT(tally.late, 0);
  // Whoever wrote "every row that it sees" wrote its own.
  pqxx::connection owner(database_.owner_url);
  pqxx::nontransaction session(owner);
  EXPECT_EQ(session.exec1("SELECT count(*) FROM sample.notes WHERE body NOT IN ('text', tenant_id::text)")[0].as<int>(),
            0);
  EXPECT_EQ(session.exec1("SELECT count(*) FROM sample.notes")[0].as<int>(), 2 * kTenants);
  std::cout << fmt::format("{} transactions: {} done, {} failed ({} late), {} sessions cut, {} foreign rows\n", asked,
                           tally.done.load(), tally.failed.load(), tally.late.load(), tally.cut.load(),
                           tally.foreign.load());
}

}  // namespace
}  // namespace allod::pg_tenants_test
