#include <future>
#include <thread>

#include "services/common/call_scope.h"
#include "tests/integration/pg_pool_fixture.h"

namespace allod::pg_deadline_test {
namespace {

class PgDeadline : public PgTest {
 protected:
  PgDeadline() {
    EXPECT_TRUE(pool_.Run<void>([](GlobalTx& tx) { return Insert(tx, "a", 1); }));
    locker_.exec("LOCK TABLE sample.counters, sample.notes IN ACCESS EXCLUSIVE MODE");
  }
  // What of the app's the server works on.
  int ActiveStatements() {
    pqxx::connection owner(database_.owner_url);
    pqxx::nontransaction session(owner);
    return session
        .exec_params1(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = 'allod_sample' AND state = "
            "'active'",
            database_.name)[0]
        .as<int>();
  }

  pqxx::connection owner_{database_.owner_url};
  pqxx::work locker_{owner_};
};

TEST_F(PgDeadline, EndsAStatementThatWaitsForALockWhenTheCallersTimeIsOver) {
  const auto start = std::chrono::steady_clock::now();
  for (const bool as_tenant : {true, false}) {
    const CallScope scope(Deadline::In(300ms), Trace::New());
    int runs = 0;
    const auto counted = as_tenant ? CountNotes(kKe) : pool_.Run<int>([&](GlobalTx& tx) -> Result<int> {
      ++runs;
      return tx.Exec("SELECT value FROM sample.counters WHERE id = 'a'")[0][0].as<int>();
    });
    ASSERT_FALSE(counted);
    EXPECT_EQ(counted.error(), DeadlineExceeded());
    EXPECT_LE(runs, 1) << "not tried again";
    EXPECT_EQ(ActiveStatements(), 0) << "nor does the server go on with it";
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3500ms) << "each lock would be waited for for 2 s";
  locker_.commit();
  EXPECT_EQ(*CountNotes(kKe), 0) << "the session goes on";
}

TEST_F(PgDeadline, LimitsOneTransactionOnly) {
  PgPool one(Config(1));
  const auto limit = [&](Deadline deadline, bool as_tenant) {
    const CallScope scope(deadline, Trace::New());
    const auto show = [](auto& tx) -> Result<std::string> {
      return tx.Exec("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")[0][0]
          .template as<std::string>();
    };
    const auto shown = as_tenant ? one.Run<std::string>(kKe, [&](TenantTx& tx) { return show(tx); })
                                 : one.Run<std::string>([&](GlobalTx& tx) { return show(tx); });
    EXPECT_TRUE(shown) << shown.error().message;
    return shown ? std::stoi(*shown) : 0;
  };
  for (const bool as_tenant : {true, false}) {
    const int configured = limit(Deadline::None(), as_tenant);
    EXPECT_EQ(configured, 5000);
    EXPECT_EQ(limit(Deadline::In(1h), as_tenant), configured) << "never more than what is configured";
    const int shorter = limit(Deadline::In(2s), as_tenant);
    EXPECT_GT(shorter, 0) << "which would be no limit";
    EXPECT_LE(shorter, 2000);
    EXPECT_EQ(limit(Deadline::None(), as_tenant), configured);
  }
}

TEST_F(PgDeadline, DoesNotTouchTheDatabaseWhenNoTimeIsLeft) {
  PgConfig config = Config();
  config.url = "host=/nonexistent dbname=x user=y";
  PgPool pool(config);
  const CallScope scope(Deadline::In(0ms), Trace::New());
  EXPECT_EQ(pool.Ping().error(), DeadlineExceeded());
}

TEST_F(PgDeadline, BoundsTheWaitForAConnection) {
  PgConfig config = Config(1);
  config.acquire_timeout = 60s;
  PgPool pool(config);
  const auto status = pool.Run<void>([&](GlobalTx&) -> Status {
    const CallScope scope(Deadline::In(50ms), Trace::New());
    return pool.Ping();
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error(), DeadlineExceeded());
}

TEST_F(PgDeadline, CommitsWhatWasDoneInTimeAndResolvesADoubtWhateverTheTime) {
  locker_.commit();
  const CallScope scope(Deadline::In(500ms), Trace::New());
  const auto late = pool_.Run<void>([](GlobalTx& tx) -> Status {
    ALLOD_CHECK_OK(Insert(tx, "late", 1));
    std::this_thread::sleep_for(600ms);
    return {};
  });
  EXPECT_TRUE(late) << late.error().message;
  const CallScope next(Deadline::In(500ms), Trace::New());
  const auto doubtful = pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        {
          // As if it was this transaction's own COMMIT whose answer was lost.
          const CallScope other(Deadline::None(), Trace::New());
          EXPECT_TRUE(PgPool(Config()).Run<void>([](GlobalTx& inner) { return Insert(inner, "doubt", 42); }));
        }
        Terminate(Pid(tx));
        std::this_thread::sleep_for(600ms);
        return -1;
      },
      [](GlobalTx& tx) -> Result<int> {
        const auto rows = tx.Exec("SELECT value FROM sample.counters WHERE id = 'doubt'");
        if (rows.empty()) return NotFound("not committed");
        return rows[0][0].as<int>();
      });
  ASSERT_TRUE(doubtful) << doubtful.error().message;
  EXPECT_EQ(*doubtful, 42);
}

}  // namespace
}  // namespace allod::pg_deadline_test
