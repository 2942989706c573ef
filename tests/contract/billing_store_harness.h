// The stores that billing's contract suite runs on, and the tenants, prices and requests that its tests speak of.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "services/billing/pg_store.h"
#include "services/billing/testing/fake_store.h"
#include "tests/support/pg_fixture.h"

namespace allod::billing {

class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  virtual Store& store() = 0;
  // So much time passes for leases, which live by the store's own clock.
  virtual void Elapse(std::chrono::seconds time) = 0;
  // Instance time, or a single charge, that no invoice has yet.
  virtual void AddCharge(TenantId tenant, const Charge& charge) = 0;
};

class FakeHarness final : public StoreHarness {
 public:
  Store& store() override { return store_; }
  void Elapse(std::chrono::seconds time) override { store_.Elapse(time); }
  void AddCharge(TenantId tenant, const Charge& charge) override { store_.AddOpenCharge(tenant, charge); }

 private:
  FakeStore store_;
};

class PgHarness final : public StoreHarness {
 public:
  PgHarness() : database_("billing"), pool_(Config()), store_(pool_) {}
  Store& store() override { return store_; }
  // The database's clock cannot be moved: the leases' ends are.
  void Elapse(std::chrono::seconds time) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    work.exec_params(
        "UPDATE billing.leases SET expire_time = expire_time - $1 * interval '1 second' WHERE end_time IS NULL",
        time.count());
    work.commit();
  }
  void AddCharge(TenantId tenant, const Charge& charge) override {
    pqxx::connection owner(database_.owner_url);
    pqxx::work work(owner);
    const std::string month = PeriodOf(charge.month).name + "-01";
    if (!charge.terms.id) {
      work.exec_params(
          "INSERT INTO billing.instance_time_totals AS t (tenant_id, month, instance, variant, isolation_class, "
          "price_book_id, hour_price, seconds) VALUES ($1::uuid, $2::date, $3, $4, $5, $6::uuid, $7::numeric, $8) "
          "ON CONFLICT (tenant_id, month, instance, variant, isolation_class, price_book_id) DO UPDATE SET "
          "seconds = t.seconds + EXCLUDED.seconds",
          tenant.ToString(), month, charge.instance, charge.variant, charge.isolation_class,
          charge.price_book.ToString(), charge.unit_price.ToPicoString(), charge.quantity);
      // It is owed since it passed.
      work.exec_params(
          "INSERT INTO billing.transfers (tenant_id, id, kind, debit, credit, currency_code, amount, create_time) "
          "SELECT a.tenant_id, gen_random_uuid(), 'instance_time', 'receivable', 'usage-revenue', a.currency_code, "
          "$2::numeric, now() FROM billing.billing_accounts a WHERE a.tenant_id = $1::uuid",
          tenant.ToString(), charge.exact.ToPicoString());
    } else {
      work.exec_params(
          "INSERT INTO billing.charges (tenant_id, id, month, kind, instance, variant, isolation_class, detail, "
          "quantity, "
          "unit, per, unit_price, exact, request_id, payload_sha256, create_time) VALUES ($1::uuid, $2::uuid, "
          "$3::date, "
          "'rerating', $4, $5, $6, $7, $8, 'one', $9, $10::numeric, $11::numeric, $2::uuid, '', now())",
          tenant.ToString(), charge.terms.id->ToString(), month, charge.instance, charge.variant,
          charge.isolation_class, charge.terms.detail, charge.quantity, charge.terms.per,
          charge.unit_price.ToPicoString(), charge.exact.ToPicoString());
    }
    work.commit();
  }
  PgPool& pool() { return pool_; }
  const TestDatabase& database() const { return database_; }

 private:
  // Tests start more threads than there are connections, on machines that may be busy.
  PgConfig Config() const {
    PgConfig config = database_.app_config();
    config.acquire_timeout = std::chrono::seconds(30);
    config.statement_timeout = std::chrono::seconds(30);
    return config;
  }

  TestDatabase database_;
  PgPool pool_;
  PgStore store_;
};

// One token in costs 3, one out 7 units of 10^-12; for the variant `q8_0` 5 and 11.
inline constexpr std::int64_t kPrompt = 3;
inline constexpr std::int64_t kCompletion = 7;

inline const Time kNow = std::chrono::sys_days(std::chrono::year(2025) / 11 / 23) + std::chrono::hours(18);
inline const Time kMonth = std::chrono::sys_days(std::chrono::year(2025) / 11 / 1);
inline const Uuid kBook = Uuid::FromName("priceBooks/contract");

inline TenantId Tenant(const std::string& id) { return TenantId::FromName("tenants/" + id).value(); }
inline Amount Pico(std::int64_t pico) { return Amount::FromPico(pico); }

inline PriceBook ContractPriceBook() {
  return CheckPriceBook({.id = kBook,
                         .listing = "listings/contract",
                         .prices = {{"KES", "", Pico(kPrompt), Pico(kCompletion)}, {"KES", "q8_0", Pico(5), Pico(11)}}})
      .value();
}

inline SetAccountCommand Account(const std::string& tenant, std::int64_t limit) {
  return {.tenant = Tenant(tenant),
          .tenant_name = "tenants/" + tenant,
          .currency_code = "KES",
          .credit_limit = Pico(limit)};
}

// Ten tokens in and a hundred out at most: a hold of 730.
inline constexpr std::int64_t kHold = 10 * kPrompt + 100 * kCompletion;

inline ReserveCommand Request(const std::string& tenant, Time admitted = kNow, const std::string& instance = "i") {
  return {.tenant = Tenant(tenant),
          .request_id = Uuid::V7(admitted),
          .instance = "tenants/" + tenant + "/projects/p/instances/" + instance,
          .variant = "models/m/versions/v/variants/q4_k_m",
          .price_book = kBook,
          .api_key = "tenants/" + tenant + "/projects/p/apiKeys/k",
          .prompt_tokens_max = 10,
          .completion_tokens_max = 100,
          .expire_time = admitted + std::chrono::minutes(10)};
}

inline SettleCommand Settlement(const ReserveCommand& request, std::int64_t prompt, std::int64_t completion,
                                Outcome outcome = Outcome::kCompleted) {
  return {.tenant = request.tenant,
          .request_id = request.request_id,
          .outcome = outcome,
          .prompt_tokens = prompt,
          .completion_tokens = completion};
}

// Opens `tenants/ke` with a limit for `holds` requests at once, and makes the price book.
inline void OpenKenya(Store& store, std::int64_t holds) {
  ASSERT_TRUE(store.CreatePriceBook(ContractPriceBook(), kNow));
  ASSERT_TRUE(store.SetBillingAccount(Account("ke", holds * kHold), kNow));
}

// The same request on the terms of another revision.
inline ReserveCommand Revised(ReserveCommand request, std::int32_t revision, std::int64_t completion_tokens_max) {
  request.revision = revision;
  request.completion_tokens_max = completion_tokens_max;
  return request;
}

inline const Uuid kGateway = Uuid::FromName("gateways/one");

// A change of a lease of `kGateway`.
inline AdjustLeaseCommand Adjustment(const std::string& tenant, Uuid lease, std::int64_t epoch, std::int64_t need,
                                     std::int64_t want, std::int64_t give_back = 0) {
  return {.tenant = Tenant(tenant),
          .lease_id = lease,
          .gateway = kGateway,
          .epoch = epoch,
          .need = Pico(need),
          .want = Pico(want),
          .give_back = Pico(give_back),
          .send_time = kNow};
}
inline AdjustLeaseCommand Ending(const std::string& tenant, Uuid lease, std::int64_t epoch) {
  return {.tenant = Tenant(tenant), .lease_id = lease, .gateway = kGateway, .epoch = epoch, .end = true};
}

// A request from a lease that may cost kHold.
inline LeasedUsage Leased(const std::string& tenant, Uuid lease, std::int64_t prompt, std::int64_t completion,
                          Outcome outcome = Outcome::kCompleted, Time admitted = kNow) {
  return {.request_id = Uuid::V7(admitted),
          .lease_id = lease,
          .instance = "tenants/" + tenant + "/projects/p/instances/i",
          .api_key = "tenants/" + tenant + "/projects/p/apiKeys/k",
          .terms = {.price_book = kBook, .variant = "models/m/versions/v/variants/q4_k_m"},
          .prompt_tokens_max = 10,
          .completion_tokens_max = 100,
          .outcome = outcome,
          .prompt_tokens = prompt,
          .completion_tokens = completion};
}

// The lease after an adjustment that must succeed.
inline Lease Adjusted(Store& store, const AdjustLeaseCommand& command) {
  const auto adjustment = store.AdjustLease(command);
  EXPECT_TRUE(adjustment) << adjustment.error().reason << ": " << adjustment.error().message;
  if (!adjustment) return {};
  EXPECT_FALSE(adjustment->refused) << adjustment->refused->message;
  return adjustment->lease ? adjustment->lease->lease : Lease{};
}
// The reason of each result of a batch, or its cost.
inline std::vector<std::string> Settled(Store& store, const std::string& tenant, const std::vector<LeasedUsage>& usage,
                                        Time now = kNow) {
  const auto results = store.SettleBatch({Tenant(tenant), usage}, now);
  EXPECT_TRUE(results) << results.error().reason << ": " << results.error().message;
  std::vector<std::string> out;
  for (const auto& result : results.value_or(std::vector<Result<SettledUsage>>())) {
    out.push_back(result ? result->cost.ToPicoString() : result.error().reason);
  }
  return out;
}

// The books of one tenant agree with themselves and sum to zero. Returns what is owed.
inline Amount ExpectSoundBooks(Store& store, const std::string& tenant) {
  const TenantAudit audit = store.AuditTenant(Tenant(tenant), kNow, kAllUsage).value();
  EXPECT_EQ(audit.usage.usage_record_count, audit.usage_record_count);
  EXPECT_EQ(audit.recent_usage.usage_record_count, audit.usage_record_count);
  Amount sum;
  for (const TenantAudit::Account& account : audit.accounts) {
    EXPECT_EQ(account.kept_balance, account.balance) << account.code;
    EXPECT_EQ(account.kept_held, account.held) << account.code;
    sum = Add(sum, account.kept_balance).value();
  }
  EXPECT_EQ(sum, Amount());
  EXPECT_EQ(audit.open_hold_count, audit.open_reservation_count);
  EXPECT_EQ(audit.posted_usage, audit.recorded_usage);
  EXPECT_EQ(audit.invoiced_usage, audit.recorded_usage);
  EXPECT_EQ(audit.invoice_fault_count, 0);
  EXPECT_EQ(audit.rollup_fault_count, 0);
  EXPECT_EQ(audit.transfer_fault_count, 0);
  EXPECT_EQ(audit.payment_fault_count, 0);
  EXPECT_EQ(audit.budget_fault_count, 0);
  EXPECT_TRUE(audit.mismatched_leases.empty());
  return audit.recorded_usage;
}

}  // namespace allod::billing
