// What holds in PostgreSQL whatever the application does: history is not rewritten, balances follow transfers, tenants
// are apart; and a COMMIT whose outcome is unknown counts once.
#include <fmt/format.h>

#include "tests/contract/billing_store_harness.h"
#include "tests/support/commit_cutter.h"

namespace allod::billing::billing_ledger_test {
namespace {

using namespace std::chrono_literals;

constexpr char kAccepted[] = "accepted";
constexpr char kPermissionDenied[] = "42501";  // also what row-level security answers
constexpr char kCheckViolation[] = "23514";
constexpr char kUniqueViolation[] = "23505";
constexpr char kForeignKeyViolation[] = "23503";

class BillingLedger : public testing::Test {
 protected:
  // Runs one statement as the app role for a tenant; gives the SQLSTATE, or kAccepted (and rolls back).
  std::string Attempt(const std::string& tenant, const std::string& sql) {
    const auto done = harness_.pool().Run<int>(Tenant(tenant), [&](TenantTx& tx) -> Result<int> {
      try {
        tx.Exec(sql);
      } catch (const pqxx::insufficient_privilege& e) {
        return Fail(Code::kUnknown, kPermissionDenied, e.what());  // libpqxx 6 leaves out its SQLSTATE
      } catch (const pqxx::sql_error& e) {
        return Fail(Code::kUnknown, e.sqlstate(), e.what());
      }
      return Fail(Code::kUnknown, kAccepted, "rolled back");
    });
    return done.error().reason;
  }

  std::int64_t Count(const std::string& tenant, const std::string& sql) {
    return harness_.pool()
        .Run<std::int64_t>(Tenant(tenant),
                           [&](TenantTx& tx) -> Result<std::int64_t> { return tx.Exec(sql)[0][0].as<std::int64_t>(); })
        .value();
  }

  // One open reservation of Kenya's and one settled.
  void SetUp() override {
    OpenKenya(store_, 10);
    ASSERT_TRUE(store_.Reserve(open_, kNow));
    ASSERT_TRUE(store_.Reserve(settled_, kNow));
    ASSERT_TRUE(store_.Settle(Settlement(settled_, 1, 1), kNow));
  }

  std::string Transfer(const std::string& kind, const ReserveCommand& of, std::int64_t amount,
                       const std::string& debit = "receivable", const std::string& credit = "usage-revenue",
                       const std::string& currency = "KES") const {
    const std::string hold = kind == "pending" ? "NULL" : fmt::format("'{}'", of.request_id.ToString());
    return fmt::format(
        "INSERT INTO billing.transfers (tenant_id, id, kind, {}, debit, credit, currency_code, amount, create_time) "
        "VALUES ('{}', gen_random_uuid(), '{}', {}, '{}', '{}', '{}', {}, now())",
        kind == "late_post" ? "expired_id" : "pending_id", of.tenant.ToString(), kind, hold, debit, credit, currency,
        amount);
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
  const ReserveCommand open_ = Request("ke");
  const ReserveCommand settled_ = Request("ke");
};

TEST_F(BillingLedger, HistoryCannotBeRewrittenByTheService) {
  for (const char* table : {"transfers", "usage_records", "reservations", "usage_totals", "request_ids", "price_books",
                            "token_prices", "known_tenants", "ledger_accounts", "leases"}) {
    EXPECT_EQ(Attempt("ke", fmt::format("DELETE FROM billing.{}", table)), kPermissionDenied) << table;
    EXPECT_EQ(Attempt("ke", fmt::format("TRUNCATE billing.{}", table)), kPermissionDenied) << table;
  }
  for (const char* change :
       {"transfers SET amount = 0", "usage_records SET cost = 0", "reservations SET hold = 0",
        "usage_totals SET amount = 0", "price_books SET listing = ''", "token_prices SET prompt_price = 0",
        "known_tenants SET name = ''", "ledger_accounts SET posted = 0", "ledger_accounts SET held = 0",
        "billing_accounts SET currency_code = 'TZS'", "open_reservations SET expire_time = now()",
        "leases SET remaining = 0", "leases SET gateway_id = id"}) {
    EXPECT_EQ(Attempt("ke", fmt::format("UPDATE billing.{}", change)), kPermissionDenied) << change;
  }
}

TEST_F(BillingLedger, HistoryCannotBeRewrittenByTheOwnerBySlip) {
  pqxx::connection owner(harness_.database().owner_url);
  for (const char* sql : {"DELETE FROM billing.transfers", "UPDATE billing.usage_records SET cost = 0",
                          "TRUNCATE billing.usage_records", "UPDATE billing.token_prices SET prompt_price = 0"}) {
    pqxx::work work(owner);
    EXPECT_THROW(work.exec(sql), pqxx::insufficient_privilege) << sql;
  }
}

TEST_F(BillingLedger, TotalsFollowRecordsAndNothingElse) {
  EXPECT_EQ(Attempt("ke", "INSERT INTO billing.usage_totals SELECT * FROM billing.usage_totals"), kPermissionDenied);
}

TEST_F(BillingLedger, TheServiceLearnsWhoseHoldsAreDueAndNothingElse) {
  const auto seen = harness_.pool().Run<std::int64_t>([](GlobalTx& tx) -> Result<std::int64_t> {
    return tx.Exec("SELECT count(*) FROM billing.open_reservations")[0][0].as<std::int64_t>();
  });
  EXPECT_EQ(seen.value(), 0) << "the policy that finds due holds is the owner's alone";
  EXPECT_EQ(store_.TenantsWithDueHolds(kNow + 1h, {}, 10).value(), std::vector<TenantId>{Tenant("ke")});
}

TEST_F(BillingLedger, APriceBookTakesNoFurtherPrices) {
  EXPECT_EQ(
      Attempt("ke", fmt::format("INSERT INTO billing.token_prices VALUES ('{}', 'TZS', '', 1, 1)", kBook.ToString())),
      kPermissionDenied);
}

TEST_F(BillingLedger, TransfersMustFitTheHoldTheyFollow) {
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, kHold)), kAccepted);
  EXPECT_EQ(Attempt("ke", Transfer("void", open_, kHold)), kAccepted);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, kHold + 1)), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("void", open_, kHold - 1)), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("expire", open_, 0)), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, -1)), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, 1, "usage-revenue", "receivable")), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, 1, "receivable", "rounding")), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, 1, "receivable", "receivable")), kCheckViolation);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, 1, "receivable", "usage-revenue", "TZS")), kForeignKeyViolation);
  EXPECT_EQ(Attempt("ke", Transfer("post", open_, 1, "receivable", "cash")), kForeignKeyViolation);
  EXPECT_EQ(Attempt("ke", Transfer("pending", open_, 1, "receivable", "cash")), kForeignKeyViolation);
  EXPECT_EQ(Attempt("ke", Transfer("gift", open_, 1)), kCheckViolation);
}

TEST_F(BillingLedger, AHoldEndsOnce) {
  for (const char* kind : {"post", "void", "expire"}) {
    const std::int64_t amount = std::string(kind) == "post" ? 1 : kHold;
    EXPECT_EQ(Attempt("ke", Transfer(kind, settled_, amount)), kUniqueViolation) << kind;
  }
  EXPECT_EQ(Attempt("ke", Transfer("late_post", settled_, 1)), kCheckViolation) << "it has not expired";
  EXPECT_EQ(Attempt("ke", Transfer("late_post", open_, 1)), kCheckViolation) << "it has not expired";
  ASSERT_EQ(store_.ExpireReservations(Tenant("ke"), kNow + 1h, 10).value(), 1);
  EXPECT_EQ(Attempt("ke", Transfer("late_post", open_, kHold)), kAccepted);
  EXPECT_EQ(Attempt("ke", Transfer("late_post", open_, kHold + 1)), kCheckViolation);
  ASSERT_TRUE(store_.Settle(Settlement(open_, 1, 1), kNow));
  EXPECT_EQ(Attempt("ke", Transfer("late_post", open_, 1)), kUniqueViolation);
}

TEST_F(BillingLedger, AUsageRecordCostsWhatItsTokensCost) {
  const auto record = [&](const char* outcome, const char* billed, std::int64_t cost) {
    return fmt::format(
        "INSERT INTO billing.usage_records VALUES ('{}', '{}', 'i', 'v', '{}', '', '{}', 2, 3, 'KES', 3, 7, {}, {}, "
        "now(), "
        "now())",
        open_.tenant.ToString(), open_.request_id.ToString(), kBook.ToString(), outcome, billed, cost);
  };
  EXPECT_EQ(Attempt("ke", record("completed", "true", 27)), kAccepted);
  EXPECT_EQ(Attempt("ke", record("completed", "true", 26)), kCheckViolation);
  EXPECT_EQ(Attempt("ke", record("client_cancelled", "false", 27)), kCheckViolation);
  EXPECT_EQ(Attempt("ke", record("fault", "false", 0)), kAccepted);
  EXPECT_EQ(Attempt("ke", record("fault", "true", 27)), kCheckViolation);
}

TEST_F(BillingLedger, AnotherTenantSeesAndWritesNothing) {
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));
  for (const char* table : {"transfers", "usage_records", "reservations", "open_reservations", "usage_totals"}) {
    EXPECT_GT(Count("ke", fmt::format("SELECT count(*) FROM billing.{}", table)), 0) << table;
    EXPECT_EQ(Count("tz", fmt::format("SELECT count(*) FROM billing.{}", table)), 0) << table;
  }
  EXPECT_EQ(Count("tz", "SELECT count(*) FROM billing.billing_accounts"), 1);
  EXPECT_EQ(Attempt("tz", Transfer("post", open_, 1)), kPermissionDenied) << "with Kenya's tenant id";
  ReserveCommand theirs = open_;
  theirs.tenant = Tenant("tz");
  EXPECT_EQ(Attempt("tz", Transfer("post", theirs, 1)), kForeignKeyViolation) << "Kenya's hold is no hold to Tanzania";
  const auto unset = harness_.pool().Run<std::int64_t>([](GlobalTx& tx) -> Result<std::int64_t> {
    return tx
        .Exec("SELECT (SELECT count(*) FROM billing.transfers) + (SELECT count(*) FROM billing.billing_accounts)")[0][0]
        .as<std::int64_t>();
  });
  EXPECT_EQ(unset.value(), 0) << "without a tenant nothing is to be seen";
}

TEST_F(BillingLedger, AnInvoiceReadsItsLinesAndNoRecord) {
  for (int i = 0; i < 20; ++i) {
    const ReserveCommand more = Request("ke");
    ASSERT_TRUE(store_.Reserve(more, kNow));
    ASSERT_TRUE(store_.Settle(Settlement(more, 1, 1), kNow));
  }
  EXPECT_EQ(Count("ke", "SELECT count(*) FROM billing.usage_totals"), 1) << "21 requests, one line";
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::work lock(owner);
  lock.exec("LOCK TABLE billing.usage_records IN ACCESS EXCLUSIVE MODE");  // whoever reads it hangs
  const auto lines = store_.SumMonth({Tenant("ke"), kMonth, 10});
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_EQ(lines->at(0).request_count, 21);
}

TEST_F(BillingLedger, ManyRecordsArePagedByTheIndexAndNotByScanning) {
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::work work(owner);
  work.exec("SET LOCAL session_replication_role = replica");  // only to fill the table fast
  // Of the last ten weeks, so that they are in more than one partition.
  work.exec(
      fmt::format("INSERT INTO billing.usage_records SELECT '{}', "
                  "(left(billing.first_request_id(now() - n * interval '5 minutes')::text, 14) || '7' || "
                  "substr(gen_random_uuid()::text, 16))::uuid, "
                  "'tenants/ke/projects/' || CASE WHEN n % 100 = 0 THEN 'few' WHEN n % 2 = 0 THEN 'p' ELSE 'q' END || "
                  "'/instances/i', 'v', '{}', '', 'completed', 1, 1, 'KES', 3, 7, true, 10, now(), now() "
                  "FROM generate_series(1, 20000) n",
                  Tenant("ke").ToString(), kBook.ToString()));
  work.exec("ANALYZE billing.usage_records");
  // As the service, under the rules for rows of tenants.
  pqxx::connection app(harness_.database().app_config().url);
  work.commit();
  pqxx::work read(app);
  read.exec(fmt::format("SET LOCAL allod.tenant = '{}'", Tenant("ke").ToString()));
  const auto plan_with = [&](const char* filter, const char* order) {
    std::string plan;
    for (const auto& row : read.exec(fmt::format(
             "EXPLAIN SELECT * FROM billing.usage_records u WHERE u.tenant_id = '{}' AND u.request_id >= '{}' AND "
             "u.request_id < '{}' {} ORDER BY u.tenant_id DESC{}, u.request_id DESC LIMIT 50",
             Tenant("ke").ToString(), Uuid().ToString(), Uuid::V7().ToString(), filter, order))) {
      plan += row[0].as<std::string>() + "\n";
    }
    return plan;
  };
  const std::string all = plan_with("", "");
  EXPECT_NE(all.find("Index Scan Backward using usage_records_"), std::string::npos) << all;
  EXPECT_EQ(all.find("Sort"), std::string::npos) << all;
  // However many of the others' there are.
  for (const char* project : {"p", "few", "none"}) {
    const std::string one = plan_with(fmt::format("AND u.project = '{}'", project).c_str(), ", u.project DESC");
    EXPECT_NE(one.find("Scan Backward using usage_records_"), std::string::npos) << one;
    EXPECT_EQ(one.find("Seq Scan"), std::string::npos) << one;
    EXPECT_EQ(one.find("Sort ("), std::string::npos) << one;
    EXPECT_NE(one.find("(project = '"), std::string::npos) << one;
    EXPECT_EQ(one.find("Filter: (project"), std::string::npos) << one;
  }
}

class BillingLeaseLedger : public BillingLedger {
 protected:
  // One with 100 that is open, and one that has ended.
  void SetUp() override {
    BillingLedger::SetUp();
    for (const Uuid& lease : {lease_, ended_}) Adjusted(store_, Adjustment("ke", lease, 1, 100, 100));
    Adjusted(store_, Ending("ke", ended_, 2));
  }
  std::string Move(const std::string& kind, const std::optional<Uuid>& lease, std::int64_t amount,
                   const std::string& accounts = "'receivable', 'usage-revenue'", const std::string& tenant = "ke") {
    return Attempt(tenant, fmt::format("INSERT INTO billing.transfers (tenant_id, id, kind, lease_id, debit, credit, "
                                       "currency_code, amount, create_time) "
                                       "VALUES ('{}', gen_random_uuid(), '{}', {}, {}, 'KES', {}, now())",
                                       Tenant(tenant).ToString(), kind, lease ? "'" + lease->ToString() + "'" : "NULL",
                                       accounts, amount));
  }
  const Uuid lease_ = Uuid::V7(), ended_ = Uuid::V7();
};

TEST_F(BillingLeaseLedger, TransfersMustFitTheLeaseThatTheyMove) {
  EXPECT_EQ(Move("lease", lease_, 1), kAccepted);
  EXPECT_EQ(Move("lease_return", lease_, 100), kAccepted);
  EXPECT_EQ(Move("lease_return", lease_, 101), kCheckViolation);
  EXPECT_EQ(Move("lease_post", lease_, 100), kAccepted);
  EXPECT_EQ(Move("lease_post", lease_, 101), kCheckViolation);
  EXPECT_EQ(Move("lease_post", lease_, 0), kCheckViolation);
  EXPECT_EQ(Move("lease_short_post", lease_, 101), kAccepted);
  EXPECT_EQ(Move("lease_short_post", lease_, 100), kCheckViolation) << "it has them";
  EXPECT_EQ(Move("lease_late_post", lease_, 1), kCheckViolation) << "it is open";
  EXPECT_EQ(Move("lease_late_post", ended_, 1), kAccepted);
  EXPECT_EQ(Move("lease_late_post", std::nullopt, 1), kAccepted) << "not known here";
  for (const char* kind : {"lease", "lease_return", "lease_post", "lease_short_post"}) {
    EXPECT_EQ(Move(kind, ended_, 1), kCheckViolation) << kind;
    EXPECT_EQ(Move(kind, std::nullopt, 1), kCheckViolation) << kind;
    EXPECT_EQ(Move(kind, Uuid::V7(), 1), kForeignKeyViolation) << kind;
    EXPECT_EQ(Move(kind, lease_, 1, "'usage-revenue', 'receivable'"), kCheckViolation) << kind;
  }
  EXPECT_EQ(Move("pending", lease_, 1), kCheckViolation);
  EXPECT_EQ(Move("lease", lease_, -1), kCheckViolation);
}

TEST_F(BillingLeaseLedger, AnEndedLeaseStaysAsItIs) {
  const auto set = [&](const Uuid& lease, const char* change) {
    return Attempt("ke", fmt::format("UPDATE billing.leases SET {} WHERE id = '{}'", change, lease.ToString()));
  };
  EXPECT_EQ(set(ended_, "end_time = NULL"), kCheckViolation);
  EXPECT_EQ(set(ended_, "epoch = 9"), kCheckViolation);
  EXPECT_EQ(set(lease_, "epoch = 0"), kCheckViolation);
  EXPECT_EQ(set(lease_, "end_time = now()"), kCheckViolation) << "there is money in it";
  EXPECT_EQ(Attempt("ke", fmt::format("INSERT INTO billing.leases (tenant_id, id, gateway_id, epoch, expire_time, "
                                      "payload_sha256, added, remaining) SELECT tenant_id, gateway_id, id, 1, now(), "
                                      "'', 0, 5 FROM billing.leases")),
            kPermissionDenied);
}

TEST_F(BillingLeaseLedger, ARecordIsOfAReservationOrOfALease) {
  const auto record = [&](const Uuid& id, const char* revision, const char* lease) {
    return fmt::format(
        "INSERT INTO billing.usage_records (tenant_id, request_id, instance, variant, price_book_id, api_key, outcome, "
        "prompt_tokens, completion_tokens, currency_code, prompt_price, completion_price, billed, cost, admit_time, "
        "settle_time, revision, lease_id) VALUES ('{}', '{}', 'i', 'v', '{}', '', 'completed', 2, 3, 'KES', 3, 7, "
        "true, "
        "27, now(), now(), {}, {})",
        Tenant("ke").ToString(), id.ToString(), kBook.ToString(), revision, lease);
  };
  const Uuid fresh = Uuid::V7();
  EXPECT_EQ(Attempt("ke", record(fresh, "NULL", "gen_random_uuid()")), kAccepted);
  EXPECT_EQ(Attempt("ke", record(fresh, "0", "gen_random_uuid()")), kCheckViolation);
  EXPECT_EQ(Attempt("ke", record(fresh, "NULL", "NULL")), kCheckViolation);
  EXPECT_EQ(Attempt("ke", record(fresh, "0", "NULL")), kForeignKeyViolation) << "no such reservation";
  EXPECT_EQ(Attempt("ke", record(open_.request_id, "0", "NULL")), kAccepted);
}

TEST_F(BillingLeaseLedger, AnotherTenantSeesAndMovesNone) {
  ASSERT_TRUE(store_.SetBillingAccount(Account("tz", 10 * kHold), kNow));
  EXPECT_EQ(Count("ke", "SELECT count(*) FROM billing.leases"), 2);
  EXPECT_EQ(Count("tz", "SELECT count(*) FROM billing.leases"), 0);
  EXPECT_EQ(Move("lease_return", lease_, 1, "'receivable', 'usage-revenue'", "tz"), kForeignKeyViolation);
  const auto seen = harness_.pool().Run<std::int64_t>([](GlobalTx& tx) -> Result<std::int64_t> {
    return tx.Exec("SELECT count(*) FROM billing.leases")[0][0].as<std::int64_t>();
  });
  EXPECT_EQ(seen.value(), 0) << "the policy that finds leases is the owner's alone";
}

TEST_F(BillingLeaseLedger, TheAuditNamesALeaseThatDoesNotAddUp) {
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::work work(owner);
  work.exec("SET LOCAL session_replication_role = replica");
  work.exec(fmt::format("UPDATE billing.leases SET remaining = 99 WHERE id = '{}'", lease_.ToString()));
  work.commit();
  EXPECT_EQ(store_.AuditTenant(Tenant("ke"), kNow, {})->mismatched_leases, std::vector<Uuid>{lease_});
}

class BillingInDoubt : public testing::TestWithParam<CommitCutter::Where> {};

INSTANTIATE_TEST_SUITE_P(, BillingInDoubt,
                         testing::Values(CommitCutter::Where::kBeforeTheServerSeesIt,
                                         CommitCutter::Where::kAfterTheServerDidIt),
                         [](const auto& chosen) {
                           return chosen.param == CommitCutter::Where::kBeforeTheServerSeesIt ? "BeforeTheServerSawIt"
                                                                                              : "AfterTheServerDidIt";
                         });

TEST_P(BillingInDoubt, ALostCommitCountsOnce) {
  PgHarness direct;
  PgConfig config = direct.database().app_config();
  CommitCutter cutter(config.url);
  config.url = cutter.url();
  PgPool pool(config);
  PgStore store(pool);

  cutter.CutNext(GetParam());
  ASSERT_TRUE(store.CreatePriceBook(ContractPriceBook(), kNow));
  cutter.CutNext(GetParam());
  SetAccountCommand account = Account("ke", 10 * kHold);
  account.request = MakeRequestId(Uuid::V7().ToString(), "SetBillingAccount", "x").value();
  ASSERT_TRUE(store.SetBillingAccount(account, kNow));
  const ReserveCommand request = Request("ke");
  cutter.CutNext(GetParam());
  const auto reservation = store.Reserve(request, kNow);
  ASSERT_TRUE(reservation) << reservation.error().message;
  EXPECT_EQ(reservation->hold, Pico(kHold));
  EXPECT_EQ(direct.store().GetBillingAccount(Tenant("ke"))->held, Pico(kHold));
  cutter.CutNext(GetParam());
  const auto record = store.Settle(Settlement(request, 2, 3), kNow);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->cost, Pico(2 * kPrompt + 3 * kCompletion));
  EXPECT_EQ(cutter.cuts(), 4);

  EXPECT_EQ(ExpectSoundBooks(direct.store(), "ke"), record->cost);
  EXPECT_EQ(direct.store().AuditTenant(Tenant("ke"), kNow, {})->transfer_count, 2);
  EXPECT_EQ(direct.store().GetBillingAccount(Tenant("ke"))->held, Amount());
}

TEST_P(BillingInDoubt, ALostCommitOfALeaseOrABatchCountsOnce) {
  PgHarness direct;
  OpenKenya(direct.store(), 100);
  PgConfig config = direct.database().app_config();
  CommitCutter cutter(config.url);
  config.url = cutter.url();
  PgPool pool(config);
  PgStore store(pool);
  const Uuid lease = Uuid::V7();

  cutter.CutNext(GetParam());
  EXPECT_EQ(Adjusted(store, Adjustment("ke", lease, 1, kHold, 5 * kHold)).added, Pico(5 * kHold));
  EXPECT_EQ(direct.store().GetBillingAccount(Tenant("ke"))->held, Pico(5 * kHold));
  cutter.CutNext(GetParam());
  EXPECT_EQ(Adjusted(store, Adjustment("ke", lease, 2, 0, kHold, 2 * kHold)).remaining, Pico(4 * kHold));
  const std::vector<LeasedUsage> usage = {Leased("ke", lease, 2, 3), Leased("ke", lease, 1, 1)};
  cutter.CutNext(GetParam());
  EXPECT_EQ(Settled(store, "ke", usage), (std::vector<std::string>{"27", "10"}));
  EXPECT_EQ(direct.store().GetBillingAccount(Tenant("ke"))->held, Pico(4 * kHold - 37));
  EXPECT_EQ(direct.store().AuditTenant(Tenant("ke"), kNow, {})->transfer_count, 5);
  cutter.CutNext(GetParam());
  EXPECT_TRUE(Adjusted(store, Ending("ke", lease, 3)).ended);
  EXPECT_EQ(cutter.cuts(), 4);
  EXPECT_EQ(direct.store().GetBillingAccount(Tenant("ke"))->held, Amount());
  EXPECT_EQ(ExpectSoundBooks(direct.store(), "ke"), Pico(37));
}

}  // namespace
}  // namespace allod::billing::billing_ledger_test
