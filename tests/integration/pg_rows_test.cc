// Values that go into a row come out of it as they were.
#include <gtest/gtest.h>

#include <limits>

#include "services/common/pg/row_reader.h"
#include "tests/support/pg_fixture.h"

namespace allod::pg_rows_test {
namespace {

enum class Colour { kRed = 3, kGreen = 1, kBlue = 2 };

}  // namespace
}  // namespace allod::pg_rows_test

template <>
inline constexpr auto allod::kRowWords<allod::pg_rows_test::Colour> =
    std::to_array<allod::RowWord<allod::pg_rows_test::Colour>>({{allod::pg_rows_test::Colour::kRed, "red"},
                                                                {allod::pg_rows_test::Colour::kGreen, "green"}});

namespace allod::pg_rows_test {
namespace {

class PgRowsTest : public testing::Test {
 protected:
  template <typename... Args>
  Status Query(const std::string& sql, const std::function<void(const pqxx::result&)>& see, const Args&... args) {
    return pool_.Run<void>([&](GlobalTx& tx) -> Status {
      see(tx.Exec(sql, args...));
      return {};
    });
  }

  template <typename T>
  Status QueryAs(const std::string& sql) {
    return Query(sql, [](const pqxx::result& rows) { RowReader(rows.at(0)).Next<T>(); });
  }

  const TestDatabase database_{"tenancy"};
  PgPool pool_{database_.app_config()};
};

TEST_F(PgRowsTest, EveryKindOfValueComesBackAsItWent) {
  struct Values {
    std::string text = "o'x\\\"{,}";
    std::int64_t big = std::numeric_limits<std::int64_t>::min();
    std::int32_t small = -7;
    double real = 0.1;
    bool yes = true;
    Uuid id = Uuid::FromName("a");
    TenantId tenant{Uuid::FromName("tenants/ke")};
    Amount amount = Amount::FromPico(Int128{1'000'000'000'000'000'000} * 1'000'000'000'000'000'000 + 1);
    Time time = FromMicros(1'700'000'000'123'456);
    std::vector<std::string> list{"a", "", "b,c", "d\"e", "f\\g", "{h}", "NULL"};
    std::vector<std::string> none;
    Colour colour = Colour::kGreen;
    std::optional<std::string> missing;
    std::optional<Time> there = FromMicros(-1);
    bool operator==(const Values&) const = default;
  };
  const Values v;
  Values out{.text = "",
             .big = 0,
             .small = 0,
             .real = 0,
             .yes = false,
             .id = {},
             .tenant = {},
             .amount = {},
             .time = {},
             .list = {"x"},
             .none = {"x"},
             .colour = Colour::kRed,
             .missing = "x",
             .there = {}};
  const Status done = Query(
      "SELECT $1::text, $2::bigint, $3::integer, $4::double precision, $5::boolean, $6::uuid, $7::uuid, "
      "$8::numeric(38,0), " ALLOD_MICROS(ALLOD_FROM_MICROS("$9")) ", $10::text[], $11::text[], $12::text, $13::text, "
      "$14::bigint",
      [&](const pqxx::result& rows) {
        RowReader row(rows.at(0));
        row.Into(out.text, out.big, out.small, out.real, out.yes, out.id, out.tenant, out.amount, out.time, out.list,
                 out.none, out.colour, out.missing, out.there);
      },
      v.text, v.big, v.small, v.real, v.yes, v.id, v.tenant, v.amount, v.time, v.list, v.none, v.colour, v.missing,
      v.there);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(out, v);
}

TEST_F(PgRowsTest, ReadsEveryRowOrTheFirst) {
  const auto number = [](RowReader& row) { return row.Next<int>(); };
  ASSERT_TRUE(Query("SELECT * FROM generate_series(3, 5)", [&](const pqxx::result& rows) {
    EXPECT_EQ(ReadAll(rows, number), (std::vector{3, 4, 5}));
    EXPECT_EQ(ReadFirst(rows, number), 3);
  }));
}

TEST_F(PgRowsTest, SkipsWhatIsAbsentTogether) {
  ASSERT_TRUE(Query("SELECT NULL, NULL, 7", [&](const pqxx::result& rows) {
    RowReader row(rows.at(0));
    ASSERT_TRUE(row.NextIsNull());
    row.Skip(2);
    EXPECT_EQ(row.Next<int>(), 7);
  }));
}

TEST_F(PgRowsTest, WhatIsNotOfItsKindIsAnInternalErrorThatRepeatsNothing) {
  for (const Status& done :
       {QueryAs<Colour>("SELECT 'purple'"), QueryAs<Uuid>("SELECT 'no-id'"), QueryAs<Amount>("SELECT '1.5'"),
        QueryAs<std::string>("SELECT NULL"), QueryAs<std::vector<std::string>>("SELECT '{a,NULL}'::text[]"),
        QueryAs<int>("SELECT 'seven'")}) {
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kInternal);
  }
}

}  // namespace
}  // namespace allod::pg_rows_test
