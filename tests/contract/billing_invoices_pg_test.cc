// Invoices in PostgreSQL: what holds whatever the application does, and whatever dies.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "tests/contract/billing_invoices_fixture.h"

namespace allod::billing::billing_invoices_pg_test {
namespace {

using namespace invoicing;

class PgInvoices : public testing::Test {
 protected:
  void SetUp() override {
    OpenInvoicing(store_, "ke");
    Use(store_, "ke", kOctober + 1h, 31'000, 17'000);
  }
  // One statement as the app role for Kenya, committed; its SQLSTATE, or "done".
  std::string Attempt(const std::string& sql) {
    std::string state = "done";
    const auto run = harness_.pool().Run<int>(Tenant("ke"), [&](TenantTx& tx) -> Result<int> {
      try {
        tx.Exec(sql);
        tx.Exec("SET CONSTRAINTS ALL IMMEDIATE");
      } catch (const pqxx::insufficient_privilege&) {
        state = "42501";
        return Fail(Code::kUnknown, "X", "");
      } catch (const pqxx::sql_error& e) {
        state = e.sqlstate();
        return Fail(Code::kUnknown, "X", "");
      }
      return 0;
    });
    return state;
  }

  PgHarness harness_;
  Store& store_ = harness_.store();
};

TEST_F(PgInvoices, WhatDiesBetweenStatementsLeavesNothingAndNoGap) {
  const auto count = [&](pqxx::work& work, const char* table) {
    return work.exec1(fmt::format("SELECT count(*) FROM billing.{}", table))[0].as<int>();
  };
  for (const char* table : {"invoices", "invoice_lines", "invoice_taxes", "transfers", "audit_entries"}) {
    // Everything up to its write to the table is done, then its connection is killed, each time that it tries again.
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work lock(owner);
    lock.exec(fmt::format("LOCK TABLE billing.{} IN SHARE MODE", table));
    const int before = count(lock, "invoices");
    std::atomic<bool> done = false;
    std::jthread killed([&] {
      (void)store_.FinaliseInvoice(Finalise("ke"), kAfterOctober);
      done = true;
    });
    pqxx::connection killer(harness_.database().owner_url);
    pqxx::nontransaction kill(killer);
    int kills = 0;
    for (int i = 0; i < 600 && !done; ++i) {
      kills += kill.exec1(
                       "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = "
                       "current_database() AND wait_event_type = 'Lock' AND usename = 'allod_billing'")[0]
                   .as<int>();
      std::this_thread::sleep_for(50ms);
    }
    EXPECT_GE(kills, 1) << table;
    EXPECT_EQ(count(lock, "invoices"), before) << table;
    lock.abort();
    killed.join();
    EXPECT_EQ(store_.FindInvoice(Tenant("ke"), "2025-10").error().code, Code::kNotFound) << table;
  }
  const auto invoice = store_.FinaliseInvoice(Finalise("ke"), kAfterOctober);
  ASSERT_TRUE(invoice) << invoice.error().message;
  EXPECT_EQ(invoice->number, "KE-000001");
  ExpectSoundBooks(store_, "ke");
}

TEST_F(PgInvoices, WhateverFailsRollsBackAllOfIt) {
  pqxx::connection owner(harness_.database().owner_url);
  for (const char* table : {"invoice_lines", "invoice_taxes", "transfers", "audit_entries"}) {
    pqxx::nontransaction work(owner);
    work.exec(
        "CREATE OR REPLACE FUNCTION billing.refuse_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'as if'; END $$");
    work.exec(
        fmt::format("CREATE TRIGGER refuse_test BEFORE INSERT ON billing.{} FOR EACH ROW EXECUTE FUNCTION "
                    "billing.refuse_test()",
                    table));
    EXPECT_FALSE(store_.FinaliseInvoice(Finalise("ke"), kAfterOctober)) << table;
    EXPECT_EQ(work.exec1("SELECT (SELECT count(*) FROM billing.invoices) + (SELECT coalesce(sum(last), 0) FROM "
                         "billing.document_numbers)")[0]
                  .as<int>(),
              0)
        << table;
    work.exec(fmt::format("DROP TRIGGER refuse_test ON billing.{}", table));
  }
  EXPECT_EQ(store_.FinaliseInvoice(Finalise("ke"), kAfterOctober)->number, "KE-000001");
  ExpectSoundBooks(store_, "ke");
}

TEST_F(PgInvoices, NothingIsIssuedInTheFuture) {
  const Time now = std::chrono::system_clock::now();
  const auto refused = store_.FinaliseInvoice(Finalise("ke"), now + 6min);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "CLOCK_SKEW");
  EXPECT_NE(refused.error().message.find(Instant(now + 6min)), std::string::npos) << refused.error().message;
  const auto issued = store_.FinaliseInvoice(Finalise("ke"), now);
  ASSERT_TRUE(issued) << issued.error().message;
  EXPECT_EQ(issued->number, "KE-000001");
  EXPECT_LE(issued->issue_time, now) << "what was refused left no date behind";
  EXPECT_EQ(store_.CreateCreditNote(Credit("ke", {}), now + 6min).error().reason, "CLOCK_SKEW");
  // Whoever writes it.
  const std::string later =
      "INSERT INTO billing.invoices SELECT tenant_id, '2025-09', kind, '2025-09-01', legal_entity_id, 0, '', "
      "currency_code, now() + interval '6 minutes', due_time, seller_name, seller_street, seller_city, "
      "seller_postal_code, seller_country_code, seller_tax_id, seller_registration_id, buyer_name, buyer_street, "
      "buyer_city, buyer_postal_code, buyer_country_code, buyer_tax_id, buyer_registration_id, buyer_reference, "
      "payment_terms, net, tax, payable, residue, corrected_id, reason, request_id, payload_sha256 FROM "
      "billing.invoices WHERE id = '2025-10'";
  EXPECT_EQ(Attempt(later), "23514");
  EXPECT_EQ(Attempt("INSERT INTO billing.number_prefixes SELECT 'X-', id, 'invoice' FROM billing.legal_entities"),
            "42501");
}

TEST_F(PgInvoices, LookingForDueMonthsReadsNoAccountThatIsNotInvoicedByItself) {
  pqxx::connection owner(harness_.database().owner_url);
  pqxx::work work(owner);
  work.exec("SET LOCAL enable_seqscan = off");
  const auto body_of = [&](const char* function) {
    return work.exec1(fmt::format("SELECT prosrc FROM pg_proc WHERE proname = '{}'", function))[0].as<std::string>();
  };
  // The look for one tenant is a function of its own.
  std::string plan;
  for (const char* function : {"tenants_with_due_periods", "first_open_month"}) {
    std::string body = body_of(function);
    for (const auto& [name, value] :
         {std::pair{"p_before_micros", std::to_string(ToMicros(kAfterNovember)) + "::bigint"},
          std::pair{"p_after", std::string("'00000000-0000-0000-0000-000000000000'::uuid")},
          std::pair{"p_tenant", std::string("'00000000-0000-0000-0000-000000000000'::uuid")},
          std::pair{"p_from", std::string("'-infinity'::date")}, std::pair{"p_before", std::string("now()::date")},
          std::pair{"p_limit", std::string("10")}}) {
      for (std::size_t at = body.find(name); at != std::string::npos; at = body.find(name, at + 1)) {
        body.replace(at, std::string_view(name).size(), value);
      }
    }
    for (const auto& row : work.exec("EXPLAIN " + body)) plan += row[0].as<std::string>() + "\n";
  }
  for (const char* index : {"profiles_by_themselves", "usage_totals_open", "instance_time_totals_open", "charges_open",
                            "invoices_by_month"}) {
    EXPECT_NE(plan.find(index), std::string::npos) << index << " in\n" << plan;
  }
}

TEST_F(PgInvoices, WhatIsIssuedCannotBeChangedNorAddedTo) {
  ASSERT_TRUE(store_.FinaliseInvoice(Finalise("ke"), kAfterOctober));
  for (const char* table : {"invoices", "invoice_lines", "credit_note_lines", "invoice_taxes"}) {
    EXPECT_EQ(Attempt(fmt::format("DELETE FROM billing.{}", table)), "42501") << table;
    EXPECT_EQ(Attempt(fmt::format("UPDATE billing.{} SET tenant_id = tenant_id", table)), "42501") << table;
    pqxx::connection owner(harness_.database().owner_url);
    pqxx::work slip(owner);
    EXPECT_THROW(slip.exec(fmt::format("DELETE FROM billing.{}", table)), pqxx::insufficient_privilege) << table;
  }
  EXPECT_EQ(Attempt("UPDATE billing.document_numbers SET last = 7"), "42501");
  EXPECT_EQ(Attempt("UPDATE billing.legal_entities SET invoice_prefix = 'X'"), "42501");
  EXPECT_EQ(Attempt("UPDATE billing.usage_totals SET open = true"), "42501");
  EXPECT_EQ(Attempt("INSERT INTO billing.invoice_taxes SELECT tenant_id, invoice_id, 'Z', 0, 1, 0, '' FROM "
                    "billing.invoice_taxes"),
            "42501")
      << "it is immutable";
  // An invoice without lines, or of what another one bills, is none.
  const std::string header =
      "INSERT INTO billing.invoices SELECT tenant_id, '2025-09', kind, '2025-09-01', legal_entity_id, 0, '', "
      "currency_code, issue_time, due_time, seller_name, seller_street, seller_city, seller_postal_code, "
      "seller_country_code, seller_tax_id, seller_registration_id, buyer_name, buyer_street, buyer_city, "
      "buyer_postal_code, buyer_country_code, buyer_tax_id, buyer_registration_id, buyer_reference, payment_terms, "
      "net, tax, payable, residue, corrected_id, reason, request_id, payload_sha256 FROM billing.invoices "
      "WHERE id = '2025-10'";
  EXPECT_EQ(Attempt(header), "23514");
  EXPECT_EQ(
      Attempt(
          "WITH h AS (" + header +
          " RETURNING 1) INSERT INTO billing.invoice_lines SELECT tenant_id, '2025-09', number, month, "
          "instance, variant, price_book_id, isolation_class, meter, request_count, first_epoch, last_epoch, quantity, "
          "unit_price, exact, amount, tax_category, tax_basis_points FROM billing.invoice_lines, h"),
      "23514")
      << "its tokens are in another one";
  ExpectSoundBooks(store_, "ke");
  EXPECT_EQ(store_.ListInvoices(Tenant("ke"), "", 10)->size(), 1U);
}

}  // namespace
}  // namespace allod::billing::billing_invoices_pg_test
