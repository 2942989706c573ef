// The audit log's rows on PostgreSQL as the app role: what is written with what it records, in which order, and what
// nobody can do to it. In the schema of tenancy; those of the other services have the same tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "services/common/audit/pg_log.h"
#include "services/common/call_scope.h"
#include "tests/support/pg_fixture.h"

namespace allod::audit::audit_log_test {
namespace {

constexpr char kTenant[] = "tenants/ke";
const TenantId kKenya{Uuid::FromName(kTenant)};
const TenantId kUganda{Uuid::FromName("tenants/ug")};

class AuditLog : public testing::Test {
 protected:
  // `change` runs in the transaction before the entry.
  Status Record(Act act, const TenantId& tenant = kKenya, const std::string& name = kTenant) {
    const auto done = pool_.Run<int>(tenant, [&](TenantTx& tx) -> Result<int> {
      ALLOD_CHECK_OK(log_.Append(tx, name, act));
      return 0;
    });
    if (!done) return std::unexpected(done.error());
    return {};
  }
  EntryPage Read(std::int64_t after = 0, int size = 1000, const Filter& filter = {}, const TenantId& tenant = kKenya) {
    return *pool_.Run<EntryPage>(tenant,
                                 [&](TenantTx& tx) -> Result<EntryPage> { return log_.Read(tx, after, size, filter); });
  }
  Head ReadHead() {
    return *pool_.Run<Head>(kKenya, [&](TenantTx& tx) -> Result<Head> { return log_.ReadHead(tx, kTenant); });
  }
  // What is broken in what can be read; empty: nothing.
  std::string Broken() {
    ChainVerifier verifier(Genesis("tenancy", kTenant));
    verifier.Expect(ReadHead());
    for (const Entry& entry : Read(0, 100'000).entries) {
      if (const auto broken = verifier.Add(entry)) return broken->words;
    }
    const auto broken = verifier.Finish();
    return broken ? broken->words : "";
  }
  // As the app role, of Kenya; the error's words, or how many rows were changed.
  std::string Try(const std::string& sql) {
    try {
      const auto done = pool_.Run<int>(kKenya, [&](TenantTx& tx) -> Result<int> {
        try {
          return static_cast<int>(tx.Exec(sql).affected_rows());
        } catch (const pqxx::sql_error& e) {
          return FailedPrecondition("SQL", e.what());
        }
      });
      return done ? std::to_string(*done) : done.error().message;
    } catch (const std::exception& e) {
      return e.what();
    }
  }
  void AsOwner(const std::string& sql) {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec(sql);
    work.commit();
  }

  TestDatabase database_{"tenancy"};
  PgConfig config_ = [&] {
    PgConfig config = database_.app_config();
    config.connections_max = 8;
    return config;
  }();
  PgPool pool_{config_};
  const PgLog log_{"tenancy"};
};

TEST_F(AuditLog, GivesBackWhatWasRecordedByWhomAndOfWhichTrace) {
  EXPECT_EQ(ReadHead(), Genesis("tenancy", kTenant));
  ASSERT_TRUE(Record(
      {"a.b.create", "tenants/ke/projects/p", {{"count", "3"}, Personal("display_name", "O'Connor \\ \"x\", {y}")}}));
  const Trace trace = Trace::New();
  {
    const CallScope scope(Deadline::None(), trace, Actor{"api_key", "tenants/ke/projects/p/apiKeys/k", "k"});
    ASSERT_TRUE(Record({"a.b.delete", "tenants/ke/projects/p"}));
  }
  const auto entries = Read().entries;
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].sequence, 1);
  EXPECT_EQ(entries[0].actor, (Actor{"service", "tenancy", ""}));
  EXPECT_EQ(entries[0].action, "a.b.create");
  EXPECT_EQ(entries[0].resource, "tenants/ke/projects/p");
  EXPECT_EQ(entries[0].details.at(0), (Detail{"count", "3"}));
  EXPECT_EQ(entries[0].details.at(1).value, "O'Connor \\ \"x\", {y}");
  EXPECT_FALSE(entries[0].details.at(1).erased());
  EXPECT_LT(std::chrono::system_clock::now() - entries[0].time, std::chrono::minutes(5));
  EXPECT_EQ(entries[1].actor, (Actor{"api_key", "tenants/ke/projects/p/apiKeys/k", "k"}));
  EXPECT_EQ(entries[1].trace_id, trace.trace_id);
  EXPECT_EQ(ReadHead(), (Head{2, entries[1].hash}));
  EXPECT_EQ(Broken(), "");
}

TEST_F(AuditLog, ErasedValuesAreGoneAndTheChainIsWhole) {
  ASSERT_TRUE(Record({"a.b.create", "x", {Personal("display_name", "Achieng"), Personal("email", "a@example.org")}}));
  EXPECT_EQ(*pool_.Run<int>(kKenya, [&](TenantTx& tx) -> Result<int> { return log_.Erase(tx, 1); }), 2);
  const auto entries = Read().entries;
  for (const Detail& detail : entries.at(0).details) {
    EXPECT_TRUE(detail.erased());
    EXPECT_EQ(detail.value, "");
  }
  EXPECT_EQ(Broken(), "");
}

TEST_F(AuditLog, AChangeThatFailsLeavesNoEntryAndAnEntryThatFailsNoChange) {
  const auto insert = [](TenantTx& tx) {
    tx.Exec("INSERT INTO tenancy.operator_request_ids (request_id, payload_sha256, resource_id) VALUES ($1, '', '')",
            Uuid::V7());
  };
  const auto count = [&] {
    return *pool_.Run<int>([](GlobalTx& tx) -> Result<int> {
      return tx.Exec("SELECT count(*) FROM tenancy.operator_request_ids")[0][0].as<int>();
    });
  };
  const auto after_the_entry = pool_.Run<int>(kKenya, [&](TenantTx& tx) -> Result<int> {
    insert(tx);
    ALLOD_CHECK_OK(log_.Append(tx, kTenant, Act{"a.b.create", "x"}));
    return FailedPrecondition("LATER", "something else");
  });
  EXPECT_FALSE(after_the_entry);
  EXPECT_EQ(count(), 0);
  EXPECT_TRUE(Read().entries.empty());
  const auto refused = pool_.Run<int>(kKenya, [&](TenantTx& tx) -> Result<int> {
    insert(tx);
    ALLOD_CHECK_OK(log_.Append(tx, kTenant, Act{"a.b.create", std::string(kTextBytesMax + 1, 'x')}));
    return 0;
  });
  EXPECT_FALSE(refused);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(ReadHead(), Genesis("tenancy", kTenant));
  ASSERT_TRUE(Record({"a.b.create", "y"}));
  EXPECT_EQ(Broken(), "") << "nothing is missing where one was rolled back";
}

// The server process ends at each of the steps of a change with its entry: there are both or none.
TEST_F(AuditLog, ASessionThatIsKilledAtAnyStepLeavesBothOrNone) {
  int done = 0;
  for (int step = 0; step < 4; ++step) {
    const Uuid id = Uuid::V7();
    bool killed = false;
    const auto kill_at = [&](TenantTx& tx, int at) {
      if (at != step || killed) return;
      killed = true;
      const auto pid = tx.Exec("SELECT pg_backend_pid()")[0][0].as<int>();
      AsOwner("SELECT pg_terminate_backend(" + std::to_string(pid) + ")");
    };
    const auto ran = pool_.Run<int>(kKenya, [&](TenantTx& tx) -> Result<int> {
      kill_at(tx, 0);
      tx.Exec("INSERT INTO tenancy.operator_request_ids (request_id, payload_sha256, resource_id) VALUES ($1, '', '')",
              id);
      kill_at(tx, 1);
      ALLOD_CHECK_OK(log_.Append(tx, kTenant, Act{"a.b.create", id.ToString(), {Personal("name", "Otieno")}}));
      kill_at(tx, 2);
      return 0;
    });
    EXPECT_EQ(killed, step < 3);
    const bool there = *pool_.Run<bool>([&](GlobalTx& tx) -> Result<bool> {
      return !tx.Exec("SELECT 1 FROM tenancy.operator_request_ids WHERE request_id = $1", id).empty();
    });
    const auto entries = Read().entries;
    const auto recorded = std::ranges::count(entries, id.ToString(), &Entry::resource);
    EXPECT_EQ(recorded, there ? 1 : 0) << "step " << step;
    EXPECT_EQ(ran.has_value(), there) << "step " << step;
    done += there ? 1 : 0;
    EXPECT_EQ(Broken(), "");
  }
  EXPECT_GT(done, 0);
}

TEST_F(AuditLog, ConcurrentChangesOfATenantAreOneChain) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const auto done = Record({"a.b.create", fmt::format("{}-{}", t, i), {Personal("name", "Njeri")}});
          EXPECT_TRUE(done) << done.error().message;
        }
      });
    }
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("ms_per_entry", std::to_string(took.count() / (kThreads * kEach)));
  printf("%d transactions of one tenant over 8 connections: %.2f ms for each\n", kThreads * kEach,
         took.count() / (kThreads * kEach));
  const auto entries = Read().entries;
  ASSERT_EQ(entries.size(), static_cast<std::size_t>(kThreads * kEach));
  for (std::size_t i = 0; i < entries.size(); ++i) EXPECT_EQ(entries[i].sequence, static_cast<std::int64_t>(i) + 1);
  EXPECT_EQ(Broken(), "");
}

TEST_F(AuditLog, TenantsDoNotWaitForEachOther) {
  const auto held = pool_.Run<int>(kKenya, [&](TenantTx& tx) -> Result<int> {
    ALLOD_CHECK_OK(log_.Append(tx, kTenant, Act{"a.b.create", "x"}));
    // Kenya's head is locked now.
    ALLOD_CHECK_OK(Record({"a.b.create", "y"}, kUganda, "tenants/ug"));
    return 0;
  });
  EXPECT_TRUE(held) << held.error().message;
}

TEST_F(AuditLog, TheServiceCanNeitherChangeNorDeleteNorLeaveAGap) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Record({"a.b.create", "x", {Personal("name", "Njeri")}}));
  for (const std::string sql :
       {"UPDATE tenancy.audit_entries SET action = 'z'", "DELETE FROM tenancy.audit_entries",
        "TRUNCATE tenancy.audit_entries CASCADE", "UPDATE tenancy.audit_heads SET sequence = 1",
        "DELETE FROM tenancy.audit_heads", "INSERT INTO tenancy.audit_heads SELECT * FROM tenancy.audit_heads",
        "UPDATE tenancy.audit_personal SET value = 'z'", "ALTER TABLE tenancy.audit_entries DISABLE TRIGGER ALL",
        "SET session_replication_role = replica", "DROP TRIGGER advance_audit_head ON tenancy.audit_entries"}) {
    EXPECT_THAT(Try(sql), testing::AnyOf(testing::HasSubstr("permission denied"), testing::HasSubstr("must be owner")))
        << sql;
  }
  const auto insert = [&](int sequence, const std::string& more = "") {
    return Try(
        fmt::format("INSERT INTO tenancy.audit_entries SELECT tenant_id, {}, time, actor_kind, actor_id, "
                    "credential, action, resource, outcome, reason, trace_id, detail_names, detail_values, "
                    "personal_details, hash FROM tenancy.audit_entries WHERE sequence = 1 {}",
                    sequence, more));
  };
  EXPECT_THAT(insert(5), testing::HasSubstr("does not follow")) << "a gap";
  EXPECT_THAT(insert(2), testing::HasSubstr("duplicate key")) << "once more";
  EXPECT_THAT(insert(-1), testing::HasSubstr("audit_entries_sequence_check"));
  EXPECT_THAT(insert(4), testing::HasSubstr("does not follow")) << "older than the one before";
  EXPECT_EQ(insert(3, "ON CONFLICT DO NOTHING"), "0");
  EXPECT_EQ(ReadHead().sequence, 3);
  EXPECT_EQ(Broken(), "");
}

TEST_F(AuditLog, WhatTheOwnerOfTheDatabaseDoesShows) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Record({"a.b.create", "x", {Personal("name", "Njeri")}}));
  const Head kept = ReadHead();
  AsOwner("UPDATE tenancy.audit_entries SET actor_id = 'somebody else' WHERE sequence = 3");
  EXPECT_THAT(Broken(), testing::HasSubstr("entry 3"));
  AsOwner("UPDATE tenancy.audit_entries SET actor_id = 'tenancy' WHERE sequence = 3");
  EXPECT_EQ(Broken(), "");
  AsOwner("UPDATE tenancy.audit_personal SET value = 'Wanjiku' WHERE sequence = 2");
  EXPECT_THAT(Broken(), testing::HasSubstr("value of name beside entry 2"));
  AsOwner("DELETE FROM tenancy.audit_personal; DELETE FROM tenancy.audit_entries WHERE sequence = 5");
  EXPECT_THAT(Broken(), testing::HasSubstr("it went to 5"));
  EXPECT_EQ(kept.sequence, 5);
}

TEST_F(AuditLog, HidesEveryOtherTenantsLog) {
  ASSERT_TRUE(Record({"a.b.create", "x", {Personal("name", "Njeri")}}));
  EXPECT_TRUE(Read(0, 10, {}, kUganda).entries.empty());
  for (const std::string table : {"audit_entries", "audit_heads", "audit_personal"}) {
    const auto count = [&](PgTx& tx) -> Result<int> {
      return tx.Exec("SELECT count(*) FROM tenancy." + table)[0][0].as<int>();
    };
    EXPECT_EQ(*pool_.Run<int>(kKenya, [&](TenantTx& tx) { return count(tx); }), 1) << table;
    EXPECT_EQ(*pool_.Run<int>(kUganda, [&](TenantTx& tx) { return count(tx); }), 0) << table;
    EXPECT_EQ(*pool_.Run<int>([&](GlobalTx& tx) { return count(tx); }), 0) << table;
  }
  // An entry for another tenant's log, as the next of its chain.
  EXPECT_THAT(Try(fmt::format("INSERT INTO tenancy.audit_entries SELECT '{}', 1, now(), actor_kind, actor_id, "
                              "credential, action, resource, outcome, reason, trace_id, detail_names, detail_values, "
                              "personal_details, hash FROM tenancy.audit_entries",
                              kUganda.ToString())),
              testing::HasSubstr("row-level security"));
  const auto erased = pool_.Run<int>(kUganda, [&](TenantTx& tx) -> Result<int> {
    return static_cast<int>(tx.Exec("DELETE FROM tenancy.audit_personal").affected_rows());
  });
  EXPECT_EQ(*erased, 0);
}

TEST_F(AuditLog, IsReadPageByPageByTimeAndAction) {
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(Record({i % 10 == 0 ? "a.keys.create" : "a.projects.create", std::to_string(i)}));
  }
  std::vector<std::string> seen;
  std::optional<std::int64_t> after = 0;
  for (int pages = 0; after && pages < 20; ++pages) {
    const EntryPage page = Read(*after, 7);
    EXPECT_LE(page.entries.size(), 7u);
    for (const Entry& entry : page.entries) seen.push_back(entry.resource);
    after = page.more_after;
  }
  EXPECT_EQ(seen.size(), 30u);
  const auto keys = Read(0, 10, {.action_prefix = "a.keys."});
  ASSERT_EQ(keys.entries.size(), 3u);
  EXPECT_EQ(keys.entries[2].resource, "20");
  EXPECT_FALSE(keys.more_after);
  const Time tenth = Read(9, 1).entries.at(0).time;
  EXPECT_EQ(Read(0, 100, {.start = tenth}).entries.front().sequence, 10);
  EXPECT_EQ(Read(0, 100, {.end = tenth}).entries.back().sequence, 9);
  EXPECT_TRUE(Read(0, 100, {.start = Time::clock::now() + std::chrono::hours(1)}).entries.empty());
}

// Few among many are found without reading all of them for one page.
TEST_F(AuditLog, AFilterLooksAtABoundedNumberOfEntriesForAPage) {
  ASSERT_TRUE(Record({"a.b.create", "x"}));
  AsOwner(fmt::format(
      "ALTER TABLE tenancy.audit_entries DISABLE TRIGGER advance_audit_head; "
      "INSERT INTO tenancy.audit_entries SELECT tenant_id, n, time, actor_kind, actor_id, credential, action, "
      "resource, "
      "outcome, reason, trace_id, detail_names, detail_values, personal_details, hash FROM tenancy.audit_entries, "
      "generate_series(2, 12000) AS n; "
      "UPDATE tenancy.audit_entries SET action = 'a.rare.create' WHERE sequence = 11000"));
  int pages = 0;
  std::vector<Entry> found;
  for (std::optional<std::int64_t> after = 0; after; ++pages) {
    const EntryPage page = Read(*after, 10, {.action_prefix = "a.rare."});
    found.insert(found.end(), page.entries.begin(), page.entries.end());
    after = page.more_after;
  }
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].sequence, 11000);
  EXPECT_EQ(pages, 3);
}

}  // namespace
}  // namespace allod::audit::audit_log_test
