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
};

class FakeHarness final : public StoreHarness {
 public:
  Store& store() override { return store_; }

 private:
  FakeStore store_;
};

class PgHarness final : public StoreHarness {
 public:
  PgHarness() : database_("billing"), pool_(Config()), store_(pool_) {}
  Store& store() override { return store_; }
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

inline const Time kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + std::chrono::hours(18);
inline const Time kMonth = std::chrono::sys_days(std::chrono::year(2026) / 11 / 1);
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
  return audit.recorded_usage;
}

}  // namespace allod::billing
