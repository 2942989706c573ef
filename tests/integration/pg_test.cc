#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/integration/pg_pool_fixture.h"

namespace allod::pg_test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(PgTest, CommitsWhatTheFunctionDid) {
  ASSERT_TRUE(pool_.Run<void>([](GlobalTx& tx) { return Insert(tx, "a", 7); }));
  EXPECT_EQ(*Value("a"), 7);
}

TEST_F(PgTest, RollsBackWhenTheFunctionReturnsAnError) {
  const auto status = pool_.Run<void>([](GlobalTx& tx) -> Status {
    ALLOD_CHECK_OK(Insert(tx, "a", 7));
    return FailedPrecondition("NO", "no");
  });
  EXPECT_EQ(status.error().reason, "NO");
  EXPECT_EQ(Value("a").error().code, Code::kNotFound);
}

TEST_F(PgTest, RollsBackWhenTheFunctionThrows) {
  const auto status = pool_.Run<void>([](GlobalTx& tx) -> Status {
    ALLOD_CHECK_OK(Insert(tx, "a", 7));
    throw std::runtime_error("bug");
  });
  EXPECT_EQ(status.error().code, Code::kInternal);
  EXPECT_EQ(Value("a").error().code, Code::kNotFound);
}

TEST_F(PgTest, PassesEveryKindOfParameter) {
  const auto text = pool_.Run<std::string>([](GlobalTx& tx) -> Result<std::string> {
    return tx
        .Exec(
            "SELECT concat_ws('|', $1::text, $2::bigint, $3::boolean, $4::uuid, $5::text IS NULL, $6::text IS NULL, "
            "$7::text, $8::bytea)",
            std::string_view("o'x\\"), INT64_MIN, true, kKe, nullptr, std::optional<std::string>(),
            std::optional<std::string>("y"), pqxx::binarystring(std::string("\0\xff", 2)))[0][0]
        .as<std::string>();
  });
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "o'x\\|-9223372036854775808|t|" + kKe.ToString() + "|t|t|y|\\x00ff");
}

TEST_F(PgTest, RefusesTextThatPostgresqlCannotHold) {
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xff\xfe")}) {
    const auto status = pool_.Run<void>([&](GlobalTx& tx) { return Insert(tx, text, 1); });
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().reason, "INVALID_TEXT");
  }
}

TEST_F(PgTest, ShowsATenantItsOwnRowsOnly) {
  ASSERT_TRUE(Note(kKe, kKe, "n"));
  EXPECT_EQ(*CountNotes(kKe), 1);
  EXPECT_EQ(*CountNotes(kTz), 0);
}

TEST_F(PgTest, DoesNotLetATenantWriteOrChangeAnothersRows) {
  ASSERT_TRUE(Note(kKe, kKe, "n"));
  EXPECT_EQ(Note(kTz, kKe, "forged").error().code, Code::kInternal);
  const auto changed = pool_.Run<int>(kTz, [](TenantTx& tx) -> Result<int> {
    const auto updated = tx.Exec("UPDATE sample.notes SET body = 'x'").affected_rows();
    return static_cast<int>(updated + tx.Exec("DELETE FROM sample.notes").affected_rows());
  });
  EXPECT_EQ(*changed, 0);
  EXPECT_EQ(*CountNotes(kKe), 1);
}

TEST_F(PgTest, ShowsNoTenantRowsWithoutATenant) {
  PgPool one(Config(1));
  ASSERT_TRUE(Note(kKe, kKe, "n"));
  // On one session, so that what a tenant's transaction set would show if it stayed.
  ASSERT_TRUE(one.Run<void>(kKe, [](TenantTx&) -> Status { return {}; }));
  const auto seen = one.Run<int>(
      [](GlobalTx& tx) -> Result<int> { return tx.Exec("SELECT count(*) FROM sample.notes")[0][0].as<int>(); });
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(*seen, 0);
}

TEST_F(PgTest, ConnectsAsARoleThatCannotStepOutside) {
  for (const char* sql : {"ALTER TABLE sample.notes DISABLE ROW LEVEL SECURITY", "CREATE TABLE public.x (i int)",
                          "CREATE TABLE sample.x (i int)", "DELETE FROM sample.schema_migrations", "SET ROLE postgres",
                          "DROP TABLE sample.notes"}) {
    const auto status = pool_.Run<void>([&](GlobalTx& tx) -> Status {
      tx.Exec(sql);
      return {};
    });
    ASSERT_FALSE(status) << sql;
    EXPECT_EQ(status.error().reason, "DATABASE_FAILED") << sql;
  }
}

TEST_F(PgTest, MapsBrokenRulesWithoutShowingSql) {
  ASSERT_TRUE(pool_.Run<void>([](GlobalTx& tx) { return Insert(tx, "a", 1); }));
  struct Case {
    const char* sql;
    Code code;
    const char* reason;
  };
  for (const Case& c : {Case{"INSERT INTO sample.counters VALUES ('a', 1)", Code::kAlreadyExists, "CONFLICT"},
                        Case{"INSERT INTO sample.counters VALUES ('b', -1)", Code::kFailedPrecondition, "CONSTRAINT"},
                        Case{"INSERT INTO sample.counters VALUES ('b', NULL)", Code::kFailedPrecondition, "CONSTRAINT"},
                        Case{"INSERT INTO sample.parts VALUES ('none')", Code::kFailedPrecondition, "CONSTRAINT"},
                        Case{"DO $$ BEGIN RAISE 'rule'; END $$", Code::kFailedPrecondition, "CONSTRAINT"},
                        Case{"SELECT 9223372036854775807 + 1::bigint", Code::kOutOfRange, "NUMBER_OUT_OF_RANGE"},
                        Case{"SELECT secret FROM nowhere", Code::kInternal, "DATABASE_FAILED"}}) {
    const auto status = pool_.Run<void>([&](GlobalTx& tx) -> Status {
      tx.Exec(c.sql);
      return {};
    });
    ASSERT_FALSE(status) << c.sql;
    EXPECT_EQ(status.error().code, c.code) << c.sql;
    EXPECT_EQ(status.error().reason, c.reason) << c.sql;
    EXPECT_THAT(status.error().message, Not(HasSubstr("sample"))) << c.sql;
    EXPECT_THAT(status.error().message, Not(HasSubstr("secret"))) << c.sql;
  }
}

TEST_F(PgTest, DoesNotReportSuccessWhenAFailedStatementWasPassedOver) {
  const auto status = pool_.Run<void>([](GlobalTx& tx) -> Status {
    ALLOD_CHECK_OK(Insert(tx, "a", 1));
    try {
      tx.Exec("SELECT nonsense");
    } catch (const std::exception&) {
    }
    return {};
  });
  EXPECT_FALSE(status);
  EXPECT_EQ(Value("a").error().code, Code::kNotFound);
}

TEST_F(PgTest, EndsAStatementThatTakesTooLong) {
  PgConfig config = Config();
  config.statement_timeout = 50ms;
  PgPool pool(config);
  const auto status = pool.Run<void>([](GlobalTx& tx) -> Status {
    tx.Exec("SELECT pg_sleep(30)");
    return {};
  });
  EXPECT_EQ(status.error().reason, "STATEMENT_TIMEOUT");
  EXPECT_TRUE(pool.Ping()) << "the session goes on";
}

// A caller with little time, and somebody who has locked what it needs.
TEST_F(PgTest, SaysBusyWhenEveryConnectionIsInUse) {
  PgConfig config = Config(1);
  config.acquire_timeout = 50ms;
  PgPool pool(config);
  const auto status = pool.Run<void>([&](GlobalTx&) -> Status { return pool.Ping(); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "DATABASE_BUSY");
  EXPECT_TRUE(pool.Ping()) << "and is free again";
}

TEST_F(PgTest, SaysUnavailableWhenTheServerCannotBeReached) {
  PgConfig config = Config();
  config.url = "host=/nonexistent dbname=x user=y";
  PgPool pool(config);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pool.Ping().error().reason, "DATABASE_UNAVAILABLE");
}

TEST_F(PgTest, RunsAgainWhenTheConnectionIsLostBeforeCommit) {
  int runs = 0;
  const auto status = pool_.Run<void>([&](GlobalTx& tx) -> Status {
    ALLOD_CHECK_OK(Insert(tx, "a", ++runs));
    if (runs == 1) {
      Terminate(Pid(tx));
      tx.Exec("SELECT 1");
    }
    return {};
  });
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*Value("a"), 2);
}

TEST_F(PgTest, SurvivesTheLossOfEveryIdleConnection) {
  std::promise<void> all_in;
  std::shared_future<void> ready = all_in.get_future().share();
  std::atomic<int> inside = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        EXPECT_TRUE(pool_.Run<void>([&](GlobalTx&) -> Status {
          if (++inside == 4) all_in.set_value();
          ready.wait();
          return {};
        }));
      });
    }
  }
  {
    pqxx::connection owner(database_.owner_url);
    pqxx::nontransaction session(owner);
    session.exec_params(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND usename = 'allod_sample'",
        database_.name);
  }
  EXPECT_TRUE(pool_.Run<void>([](GlobalTx& tx) { return Insert(tx, "a", 1); }));
}

TEST_F(PgTest, NeverRepeatsACommitInDoubtBlindly) {
  int runs = 0;
  const auto status = pool_.Run<void>([&](GlobalTx& tx) -> Status {
    ++runs;
    ALLOD_CHECK_OK(Insert(tx, "a", 1));
    Terminate(Pid(tx));  // noticed at COMMIT
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "COMMIT_IN_DOUBT");
  EXPECT_EQ(runs, 1);
}

TEST_F(PgTest, RunsAgainWhenTheLookUpFindsThatACommitInDoubtFailed) {
  int runs = 0;
  int lookups = 0;
  const auto value = pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        ALLOD_CHECK_OK(Insert(tx, "a", ++runs));
        if (runs == 1) Terminate(Pid(tx));
        return runs;
      },
      [&](GlobalTx& tx) -> Result<int> {
        ++lookups;
        const auto rows = tx.Exec("SELECT value FROM sample.counters WHERE id = 'a'");
        if (rows.empty()) return NotFound("not committed");
        return rows[0][0].as<int>();
      });
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value, 2);
  EXPECT_EQ(lookups, 1);
  EXPECT_EQ(*Value("a"), 2);
}

TEST_F(PgTest, AnswersFromTheLookUpWhenACommitInDoubtSucceeded) {
  // Another session stands in for the commit whose answer was lost: the look-up finds the row.
  int runs = 0;
  const auto value = pool_.Run<int>(
      [&](GlobalTx& tx) -> Result<int> {
        ++runs;
        EXPECT_TRUE(PgPool(Config()).Run<void>([](GlobalTx& other) { return Insert(other, "a", 42); }));
        Terminate(Pid(tx));
        return -1;
      },
      [&](GlobalTx& tx) -> Result<int> {
        const auto rows = tx.Exec("SELECT value FROM sample.counters WHERE id = 'a'");
        if (rows.empty()) return NotFound("not committed");
        return rows[0][0].as<int>();
      });
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value, 42);
  EXPECT_EQ(runs, 1);
}

TEST_F(PgTest, RunsDeadlockedTransactionsAgain) {
  ASSERT_TRUE(pool_.Run<void>([](GlobalTx& tx) -> Status {
    ALLOD_CHECK_OK(Insert(tx, "a", 0));
    return Insert(tx, "b", 0);
  }));
  std::promise<void> both;
  std::shared_future<void> ready = both.get_future().share();
  std::atomic<int> inside = 0;
  const auto raise = [&](const char* first, const char* second) {
    bool met = false;
    const auto status = pool_.Run<void>([&](GlobalTx& tx) -> Status {
      tx.Exec("UPDATE sample.counters SET value = value + 1 WHERE id = $1", first);
      if (!met) {
        met = true;
        if (++inside == 2) both.set_value();
        ready.wait();
      }
      tx.Exec("UPDATE sample.counters SET value = value + 1 WHERE id = $1", second);
      return {};
    });
    EXPECT_TRUE(status) << status.error().message;
  };
  {
    std::jthread one(raise, "a", "b");
    std::jthread two(raise, "b", "a");
  }
  EXPECT_EQ(*Value("a"), 2);
  EXPECT_EQ(*Value("b"), 2);
}

TEST_F(PgTest, GivesUpOnEndlessContentionWithAborted) {
  int runs = 0;
  const auto status = pool_.Run<void>([&](GlobalTx& tx) -> Status {
    ++runs;
    tx.Exec("DO $$ BEGIN RAISE 'again' USING ERRCODE = 'serialization_failure'; END $$");
    return {};
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().reason, "CONTENTION");
  EXPECT_EQ(runs, 5);
}

TEST(ParsePgConfig, ReadsItsFields) {
  const auto config = ParsePgConfig(nlohmann::json::parse(
      R"({"url": "postgresql://u@h/d", "password_file": "/p", "connections_max": 2, "statement_timeout_ms": 100})"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->connections_max, 2);
  EXPECT_EQ(config->statement_timeout, 100ms);
}

TEST(ParsePgConfig, RefusesMistakes) {
  for (const char* text :
       {"[]", "{}", R"({"url": 1})", R"({"url": "=broken"})", R"({"url": "dbname=x", "conections_max": 2})",
        R"({"url": "dbname=x", "connections_max": 0})", R"({"url": "dbname=x", "connections_max": 1000})",
        R"({"url": "dbname=x", "statement_timeout_ms": 0})", R"({"url": "postgresql://u:hunter2@h/d"})"}) {
    const auto config = ParsePgConfig(nlohmann::json::parse(text));
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().reason, "INVALID_CONFIG") << text;
    EXPECT_THAT(config.error().message, Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace allod::pg_test
