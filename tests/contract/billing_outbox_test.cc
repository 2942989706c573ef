// The outbox in PostgreSQL: written with what it tells of, without gaps, and kept no longer than somebody needs it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <thread>

#include "services/common/pg/row_reader.h"
#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::billing_outbox_test {
namespace {

using namespace invoicing;
using testing::ElementsAre;
using testing::IsEmpty;

struct Row {
  std::int64_t sequence = 0;
  std::string kind;
  std::string payload;
  std::vector<std::string> request_ids;
};

class Outbox : public testing::Test {
 protected:
  void SetUp() override {
    OpenKenya(store_, 1'000'000);
    ASSERT_TRUE(store_.SetBillingAccount(Account("rw", 1'000'000 * kHold), kNow));
  }
  template <typename... Args>
  pqxx::result Sql(const std::string& tenant, const std::string& sql, const Args&... args) {
    const auto rows = harness_.pool().Run<pqxx::result>(
        Tenant(tenant), [&](TenantTx& tx) -> Result<pqxx::result> { return tx.Exec(sql, args...); });
    EXPECT_TRUE(rows) << sql << ": " << rows.error().message;
    return rows.value_or(pqxx::result());
  }
  // Whether the app role may, for that tenant.
  bool May(const std::string& tenant, const std::string& sql) {
    return harness_.pool()
        .Run<int>(Tenant(tenant),
                  [&](TenantTx& tx) -> Result<int> {
                    tx.Exec(sql);
                    return 0;
                  })
        .has_value();
  }
  std::vector<Row> Rows(const std::string& tenant) {
    return ReadAll(Sql(tenant,
                       "SELECT sequence, kind, payload::text, coalesce(request_ids, '{}') FROM billing.outbox "
                       "WHERE tenant_id = $1::uuid ORDER BY sequence",
                       Tenant(tenant)),
                   [](RowReader& row) {
                     Row out;
                     row.Into(out.sequence, out.kind, out.payload, out.request_ids);
                     return out;
                   });
  }
  std::vector<std::int64_t> Sequences(const std::string& tenant) {
    std::vector<std::int64_t> out;
    for (const Row& row : Rows(tenant)) out.push_back(row.sequence);
    return out;
  }
  void AddEvent(const std::string& tenant, const std::string& payload = R"({"n":1})") {
    Sql(tenant, "SELECT billing.add_event($1::uuid, 'budget.threshold', $2::jsonb)", Tenant(tenant), payload);
  }
  std::int64_t Call(const std::string& tenant, const std::string& call) {
    return ReadFirst(Sql(tenant, "SELECT " + call, Tenant(tenant)),
                     [](RowReader& row) { return row.NextIsNull() ? -1 : row.Next<std::int64_t>(); });
  }
  bool Advance(const std::string& tenant, const std::string& consumer, std::int64_t sequence) {
    return ReadFirst(Sql(tenant, "SELECT billing.advance_cursor($1::uuid, $2, $3)", Tenant(tenant), consumer, sequence),
                     [](RowReader& row) { return row.Next<bool>(); });
  }
  // Of tenants with something for a consumer of all: "cursor..last".
  std::vector<std::string> Behind(const std::string& consumer) {
    const auto rows = harness_.pool().Run<pqxx::result>([&](GlobalTx& tx) -> Result<pqxx::result> {
      return tx.Exec("SELECT cursor, last FROM billing.outbox_behind($1, $2::uuid, 100)", consumer, Uuid());
    });
    return ReadAll(rows.value(), [](RowReader& row) {
      const auto cursor = row.Next<std::int64_t>();
      return fmt::format("{}..{}", cursor, row.Next<std::int64_t>());
    });
  }
  void Global(const std::string& call) {
    const auto done = harness_.pool().Run<int>([&](GlobalTx& tx) -> Result<int> {
      tx.Exec("SELECT " + call);
      return 0;
    });
    EXPECT_TRUE(done) << done.error().message;
  }
  int Trim(const std::string& tenant, int limit = 100, Time keep_since = std::chrono::system_clock::now() + 1h) {
    return ReadFirst(Sql(tenant, "SELECT billing.trim_outbox($1::uuid, $2, $3)", Tenant(tenant), keep_since, limit),
                     [](RowReader& row) { return row.Next<int>(); });
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
};

TEST_F(Outbox, ASettledBatchIsOneRowWithItsRequests) {
  const Uuid lease = Uuid::V7();
  Adjusted(store_, Adjustment("ke", lease, 1, kHold, 100 * kHold));
  const std::vector<LeasedUsage> usage = {Leased("ke", lease, 2, 3), Leased("ke", lease, 0, 0, Outcome::kFault),
                                          Leased("ke", lease, 4, 5)};
  Settled(store_, "ke", usage);
  std::vector<Row> rows = Rows("ke");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].sequence, 1);
  EXPECT_EQ(rows[0].kind, "usage.recorded");
  std::set<std::string> expected, told(rows[0].request_ids.begin(), rows[0].request_ids.end());
  for (const LeasedUsage& one : usage) expected.insert(one.request_id.ToString());
  EXPECT_EQ(told, expected);
  EXPECT_EQ(rows[0].request_ids.size(), usage.size());

  Settled(store_, "ke", usage);
  EXPECT_EQ(Rows("ke").size(), 1U) << "what is repeated is told once";

  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store_.Reserve(request, kNow));
  ASSERT_TRUE(store_.Settle(Settlement(request, 1, 1), kNow));
  rows = Rows("ke");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].sequence, 2);
  EXPECT_THAT(rows[1].request_ids, ElementsAre(request.request_id.ToString()));
  EXPECT_THAT(Rows("rw"), IsEmpty());
}

TEST_F(Outbox, InvoicesAndCreditNotesAreTold) {
  OpenInvoicing(store_, "tz");
  Use(store_, "tz", kOctober + 1h, 31'000, 17'000);
  const auto invoice = store_.FinaliseInvoice(Finalise("tz"), kAfterOctober);
  ASSERT_TRUE(invoice) << invoice.error().message;
  ASSERT_TRUE(store_.FinaliseInvoice(Finalise("tz"), kAfterOctober)) << "again, it is the same";
  ASSERT_TRUE(store_.CreateCreditNote(Credit("tz", {}), kAfterOctober));
  const std::vector<Row> rows = Rows("tz");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[1].kind, "invoice.issued");
  EXPECT_EQ(rows[2].kind, "credit_note.issued");
  EXPECT_NE(rows[1].payload.find(fmt::format(R"("payable": "{}")", invoice->payable.ToString())), std::string::npos)
      << rows[1].payload;
  EXPECT_NE(rows[1].payload.find(fmt::format(R"("number": "{}")", invoice->number)), std::string::npos);
  EXPECT_NE(rows[2].payload.find(R"("correctedId": "2025-10")"), std::string::npos) << rows[2].payload;
}

TEST_F(Outbox, AmountsAreWrittenAsAmountsAre) {
  for (const std::int64_t pico : {0LL, 1LL, 1'000'000'000'000LL, 4'108'500'000LL, 123'450'000'000'000LL, -5'000LL}) {
    EXPECT_EQ(Sql("ke", "SELECT billing.to_decimal($1::numeric)", Pico(pico))[0][0].as<std::string>(),
              Pico(pico).ToString());
  }
}

TEST_F(Outbox, SequencesHaveNoGapsWhoeverRollsBack) {
  constexpr int kThreads = 6, kEach = 40;
  std::atomic<int> added = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const bool fails = (t + i) % 3 == 0;
          const auto done = harness_.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
            tx.Exec("SELECT billing.add_event($1::uuid, 'wallet.low', '{}')", tx.tenant());
            if (fails) return Fail(Code::kUnknown, "AS_IF", "");
            return 0;
          });
          if (done) ++added;
        }
      });
    }
  }
  const std::vector<std::int64_t> sequences = Sequences("ke");
  ASSERT_EQ(sequences.size(), static_cast<std::size_t>(added));
  ASSERT_GT(sequences.size(), 100U);
  for (std::size_t i = 0; i < sequences.size(); ++i) ASSERT_EQ(sequences[i], static_cast<std::int64_t>(i) + 1);
}

TEST_F(Outbox, AnEventIsOfItsTransactionsTenantAndBounded) {
  const std::string other = fmt::format("'{}'", Tenant("rw").ToString());
  EXPECT_FALSE(May("ke", "SELECT billing.add_event(" + other + ", 'wallet.low', '{}')"));
  EXPECT_FALSE(May("ke", "SELECT billing.open_cursor(" + other + ", 'sinks/a')"));
  EXPECT_FALSE(May("ke", "SELECT billing.trim_outbox(" + other + ", 0, 1)"));
  const std::string own = fmt::format("'{}'", Tenant("ke").ToString());
  EXPECT_FALSE(May("ke", "SELECT billing.append_event(" + own + ", 'wallet.low', '{}', NULL)"));
  EXPECT_FALSE(May("ke", "SELECT billing.add_event(" + own + ", 'usage.recorded', '{}')"));
  EXPECT_FALSE(May("ke", "SELECT billing.add_event(" + own + ", 'Wallet', '{}')"));
  EXPECT_FALSE(May("ke", "SELECT billing.add_event(" + own + ", 'wallet.low', '[]')"));
  EXPECT_FALSE(May("ke", "SELECT billing.add_event(" + own +
                             ", 'wallet.low', jsonb_build_object('a', (SELECT string_agg(md5(i::text), '') FROM "
                             "generate_series(1, 1000) i)))"));
  AddEvent("ke");
  for (const char* table : {"outbox", "outbox_heads", "outbox_cursors", "outbox_consumers"}) {
    EXPECT_FALSE(May("ke", fmt::format("DELETE FROM billing.{}", table))) << table;
  }
  EXPECT_FALSE(May("ke", "UPDATE billing.outbox SET kind = 'a.b'"));
  EXPECT_FALSE(May("ke", "UPDATE billing.outbox_heads SET last = 7"));
  EXPECT_THAT(Sequences("ke"), ElementsAre(1));
}

TEST_F(Outbox, ConsumersOfAllTenantsFindWhoHasSomething) {
  AddEvent("ke");
  Global("billing.add_consumer('rollups')");
  Global("billing.add_consumer('file')");
  AddEvent("ke");
  AddEvent("rw");
  EXPECT_EQ(Behind("rollups").size(), 2U);
  EXPECT_TRUE(Advance("ke", "rollups", 2));
  EXPECT_TRUE(Advance("rw", "rollups", 1));
  EXPECT_THAT(Behind("rollups"), IsEmpty());
  EXPECT_EQ(Behind("file").size(), 2U);
  EXPECT_EQ(Trim("ke"), 0) << "the file has not got them";
  EXPECT_TRUE(Advance("ke", "file", 1));
  EXPECT_THAT(Behind("file"), testing::UnorderedElementsAre("1..2", "0..1"));
  EXPECT_EQ(Trim("ke"), 1);
  EXPECT_THAT(Sequences("ke"), ElementsAre(2));
  EXPECT_TRUE(Advance("ke", "file", 1)) << "never back";
  EXPECT_TRUE(Advance("ke", "file", 2));
  EXPECT_TRUE(Advance("ke", "file", 1));
  EXPECT_THAT(Behind("file"), ElementsAre("0..1"));
  EXPECT_EQ(Trim("ke"), 1);
  EXPECT_FALSE(May("ke", fmt::format("SELECT billing.advance_cursor('{}', 'file', 3)", Tenant("ke").ToString())))
      << "there is no third";
  AddEvent("ke");
  EXPECT_THAT(Sequences("ke"), ElementsAre(3)) << "numbers go on";
  Global("billing.remove_consumer('file')");
  EXPECT_FALSE(Advance("rw", "file", 1)) << "it is gone";
  EXPECT_EQ(Trim("rw"), 1) << "and holds nothing any more";
}

TEST_F(Outbox, WithoutConsumersNothingStays) {
  for (int i = 0; i < 5; ++i) AddEvent("ke");
  EXPECT_EQ(Trim("ke", 2), 2) << "a bounded piece at a time";
  EXPECT_EQ(Trim("ke", 2), 2);
  EXPECT_EQ(Trim("ke", 2), 1);
  EXPECT_EQ(Trim("ke", 2), 0);
  EXPECT_THAT(Sequences("ke"), IsEmpty());
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::nontransaction look(owner);
  EXPECT_EQ(look.exec1("SELECT count(*) FROM billing.outbox_heads WHERE pending OR has_rows")[0].as<int>(), 0)
      << "who is idle is not looked at";
}

TEST_F(Outbox, WhatIsKeptIsKeptWithoutHoles) {
  for (int i = 0; i < 4; ++i) AddEvent("ke");
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::work slip(owner);
  slip.exec("ALTER TABLE billing.outbox DISABLE TRIGGER refuse_change");
  slip.exec("UPDATE billing.outbox SET create_time = create_time - interval '1 hour' WHERE sequence <> 2");
  slip.exec("ALTER TABLE billing.outbox ENABLE TRIGGER refuse_change");
  slip.commit();
  EXPECT_EQ(Trim("ke", 100, std::chrono::system_clock::now() - 30min), 1);
  EXPECT_THAT(Sequences("ke"), ElementsAre(2, 3, 4));
}

TEST_F(Outbox, ATenantsOwnConsumerBeginsAtTheEndAndMayGoBack) {
  AddEvent("ke");
  AddEvent("ke");
  EXPECT_EQ(Call("ke", "billing.open_cursor($1::uuid, 'sinks/a')"), 2);
  EXPECT_EQ(Call("rw", "billing.open_cursor($1::uuid, 'sinks/a')"), 0) << "nothing has happened there yet";
  AddEvent("ke");
  EXPECT_EQ(Trim("ke"), 2);
  EXPECT_EQ(Call("ke", "billing.rewind_cursor($1::uuid, 'sinks/a', 1)"), 3) << "what is gone is gone";
  EXPECT_EQ(Call("ke", "billing.rewind_cursor($1::uuid, 'sinks/b', 1)"), -1);
  EXPECT_TRUE(Advance("ke", "sinks/a", 3));
  AddEvent("ke");
  EXPECT_TRUE(Advance("ke", "sinks/a", 4));
  EXPECT_EQ(Call("ke", "billing.rewind_cursor($1::uuid, 'sinks/a', 4)"), 4);
  EXPECT_EQ(Trim("ke"), 1);
  EXPECT_THAT(Sequences("ke"), ElementsAre(4));
  Sql("ke", "SELECT billing.close_cursor($1::uuid, 'sinks/a')", Tenant("ke"));
  EXPECT_FALSE(Advance("ke", "sinks/a", 4));
  EXPECT_EQ(Trim("ke"), 1);
}

// Consumers that finish at once leave nobody waiting, and nobody looked at for nothing.
TEST_F(Outbox, ConsumersAndWritersAtOnceLoseNothing) {
  Global("billing.add_consumer('one')");
  Global("billing.add_consumer('two')");
  std::atomic<bool> writing = true;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < 100; ++i) AddEvent("ke");
    writing = false;
  });
  std::array<std::vector<std::int64_t>, 2> seen;
  for (const int consumer : {0, 1}) {
    threads.emplace_back([&, consumer] {
      const std::string name = consumer == 0 ? "one" : "two";
      const auto deadline = std::chrono::steady_clock::now() + 60s;
      while (std::chrono::steady_clock::now() < deadline) {
        const bool last_round = !writing;
        const std::int64_t cursor = seen.at(static_cast<std::size_t>(consumer)).size();
        bool any = false;
        for (const auto& row :
             Sql("ke",
                 "SELECT sequence FROM billing.outbox WHERE tenant_id = $1::uuid AND sequence > $2 ORDER BY 1 LIMIT 7",
                 Tenant("ke"), cursor)) {
          seen.at(static_cast<std::size_t>(consumer)).push_back(row[0].as<std::int64_t>());
          any = true;
        }
        if (any) {
          EXPECT_TRUE(Advance("ke", name, seen.at(static_cast<std::size_t>(consumer)).back()));
        }
        Trim("ke");
        if (!any && last_round) return;
      }
    });
  }
  threads.clear();
  for (const auto& sequences : seen) {
    ASSERT_EQ(sequences.size(), 100U);
    for (std::size_t i = 0; i < sequences.size(); ++i) ASSERT_EQ(sequences[i], static_cast<std::int64_t>(i) + 1);
  }
  Trim("ke");
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::nontransaction look(owner);
  EXPECT_EQ(look.exec1("SELECT count(*) FROM billing.outbox_heads WHERE pending OR has_rows")[0].as<int>(), 0);
  EXPECT_THAT(Sequences("ke"), IsEmpty());
}

}  // namespace
}  // namespace allod::billing::billing_outbox_test
