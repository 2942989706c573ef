#include "services/common/pg/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "services/common/pg/pool.h"
#include "tests/support/pg_fixture.h"

namespace allod::migrations_test {
namespace {

using testing::HasSubstr;

class MigrationsTest : public testing::Test {
 protected:
  Result<MigrationReport> Run() { return Migrate(database_.owner_url, "sample", dir_.path(), kTestAppPassword); }
  std::string Ask(const std::string& sql) {
    pqxx::connection owner(database_.owner_url);
    pqxx::nontransaction session(owner);
    return session.exec1(sql)[0].as<std::string>();
  }

  TestDatabase database_;
  TempDir dir_;
};

TEST_F(MigrationsTest, RunEachOnceInOrder) {
  dir_.Write("0001_create_a.sql", "CREATE TABLE sample.a (i int)");
  dir_.Write("0002_add_column.sql", "ALTER TABLE sample.a ADD j int; INSERT INTO sample.a VALUES (1, 2)");
  const auto first = Run();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->applied, 2);
  dir_.Write("0003_add_row.sql", "INSERT INTO sample.a VALUES (3, 4)");
  EXPECT_EQ(Run()->applied, 1);
  const auto again = Run();
  EXPECT_EQ(again->applied, 0);
  EXPECT_EQ(again->total, 3);
  EXPECT_EQ(Ask("SELECT count(*) FROM sample.a"), "2");
}

TEST_F(MigrationsTest, RefuseAFileThatChangedAfterItRan) {
  dir_.Write("0001_create_a.sql", "CREATE TABLE sample.a (i int)");
  ASSERT_TRUE(Run());
  dir_.Write("0001_create_a.sql", "CREATE TABLE sample.a (i bigint)");
  dir_.Write("0002_create_b.sql", "CREATE TABLE sample.b (i int)");
  const auto report = Run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().reason, "MIGRATION_CHANGED");
  EXPECT_THAT(report.error().message, HasSubstr("0001_create_a.sql"));
  EXPECT_EQ(Ask("SELECT to_regclass('sample.b') IS NULL"), "t");
}

TEST_F(MigrationsTest, RefuseADirectoryThatLacksWhatRan) {
  dir_.Write("0001_create_a.sql", "CREATE TABLE sample.a (i int)");
  ASSERT_TRUE(Run());
  std::filesystem::remove(dir_ / "0001_create_a.sql");
  EXPECT_EQ(Run().error().reason, "MIGRATION_MISSING");
}

TEST_F(MigrationsTest, LeaveNothingOfOneThatFails) {
  dir_.Write("0001_create_a.sql", "CREATE TABLE sample.a (i int)");
  dir_.Write("0002_break.sql", "CREATE TABLE sample.b (i int); SELECT nonsense");
  const auto report = Run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().reason, "MIGRATION_FAILED");
  EXPECT_THAT(report.error().message, HasSubstr("0002_break.sql"));
  EXPECT_EQ(Ask("SELECT to_regclass('sample.b') IS NULL"), "t");
  EXPECT_EQ(Ask("SELECT max(number) FROM sample.schema_migrations"), "1");
  dir_.Write("0002_break.sql", "CREATE TABLE sample.b (i int)");
  EXPECT_EQ(Run()->applied, 1);
}

TEST_F(MigrationsTest, RefuseGapsDoublesAndOddNames) {
  dir_.Write("0001_a.sql", "SELECT 1");
  dir_.Write("0003_c.sql", "SELECT 1");
  EXPECT_EQ(Run().error().reason, "INVALID_MIGRATION");
  dir_.Write("0002_b.sql", "SELECT 1");
  EXPECT_TRUE(Run());
  const auto twin = dir_.Write("0002_twin.sql", "SELECT 1");
  EXPECT_EQ(Run().error().reason, "INVALID_MIGRATION");
  std::filesystem::remove(twin);
  dir_.Write("4_short.sql", "SELECT 1");
  EXPECT_EQ(Run().error().reason, "INVALID_MIGRATION");
}

TEST_F(MigrationsTest, RunOnceWhenManyMachinesStartThem) {
  dir_.Write("0001_create_a.sql", "CREATE TABLE sample.a (i int)");
  dir_.Write("0002_add_row.sql", "INSERT INTO sample.a VALUES (1)");
  std::atomic<int> applied = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&] {
        const auto report = Run();
        ASSERT_TRUE(report) << report.error().message;
        applied += report->applied;
      });
    }
  }
  EXPECT_EQ(applied, 2);
  EXPECT_EQ(Ask("SELECT count(*) FROM sample.a"), "1");
}

TEST_F(MigrationsTest, GrantTheAppRoleTheTablesButNotWhatAMigrationRevokes) {
  dir_.Write("0001_create_a.sql",
             "CREATE TABLE sample.a (i bigserial); CREATE TABLE sample.ledger (i int); "
             "REVOKE UPDATE, DELETE ON sample.ledger FROM allod_sample");
  ASSERT_TRUE(Run());
  ASSERT_TRUE(Run()) << "a second run must not grant again what was revoked";
  PgPool pool(database_.app_config("sample"));
  const auto run = [&](const std::string& sql) {
    return pool
        .Run<void>([&](GlobalTx& tx) -> Status {
          tx.Exec(sql);
          return {};
        })
        .has_value();
  };
  EXPECT_TRUE(run("INSERT INTO sample.a DEFAULT VALUES"));
  EXPECT_TRUE(run("UPDATE sample.a SET i = 5"));
  EXPECT_TRUE(run("INSERT INTO sample.ledger VALUES (1)"));
  EXPECT_FALSE(run("UPDATE sample.ledger SET i = 2"));
  EXPECT_FALSE(run("DELETE FROM sample.ledger"));
  EXPECT_FALSE(run("TRUNCATE sample.ledger"));
  EXPECT_FALSE(run("SELECT * FROM sample.schema_migrations"));
  EXPECT_EQ(Ask("SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = 'allod_sample'"), "f");
}

TEST_F(MigrationsTest, RefuseAServiceNameThatIsNoName) {
  EXPECT_FALSE(Migrate(database_.owner_url, "x\"; DROP SCHEMA public; --", dir_.path(), "p"));
  EXPECT_FALSE(Migrate(database_.owner_url, "sample", dir_.path(), ""));
  EXPECT_FALSE(Migrate(database_.owner_url, "sample", dir_ / "absent", "p"));
  EXPECT_EQ(Migrate("host=/nonexistent", "sample", dir_.path(), "p").error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace allod::migrations_test
