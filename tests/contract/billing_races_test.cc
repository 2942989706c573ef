// Billing under concurrency, on both stores: duplicates count once, limits hold, the ledger sums to zero after a storm.
#include <array>
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "tests/contract/billing_store_harness.h"

namespace allod::billing::billing_races_test {
namespace {

using namespace std::chrono_literals;

constexpr int kThreads = 8;

// Runs `body(thread number)` on all threads at once and waits for them.
void AtOnce(const std::function<void(int)>& body) {
  std::atomic<bool> go = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      go.wait(false);
      body(i);
    });
  }
  go = true;
  go.notify_all();
}

template <typename Harness>
class BillingRaces : public testing::Test {
 protected:
  Store& store() { return harness_.store(); }
  Harness harness_;
};

using Harnesses = testing::Types<FakeHarness, PgHarness>;
TYPED_TEST_SUITE(BillingRaces, Harnesses);

TYPED_TEST(BillingRaces, ConcurrentDuplicatesReserveAndSettleOnce) {
  Store& store = this->store();
  OpenKenya(store, 100);
  Amount owed;
  for (int round = 0; round < 10; ++round) {
    const ReserveCommand request = Request("ke");
    std::atomic<int> failures = 0;
    AtOnce([&](int) { failures += store.Reserve(request, kNow) ? 0 : 1; });
    EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Pico(kHold));
    AtOnce([&](int) { failures += store.Settle(Settlement(request, 3, round), kNow) ? 0 : 1; });
    EXPECT_EQ(failures, 0);
    owed = Add(owed, Pico(3 * kPrompt + round * kCompletion)).value();
  }
  EXPECT_EQ(store.AuditTenant(Tenant("ke"), kNow, {})->usage_record_count, 10);
  EXPECT_EQ(store.AuditTenant(Tenant("ke"), kNow, {})->transfer_count, 20);
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), owed);
}

TYPED_TEST(BillingRaces, OfConflictingSettlementsExactlyOneWins) {
  Store& store = this->store();
  OpenKenya(store, 1);
  const ReserveCommand request = Request("ke");
  ASSERT_TRUE(store.Reserve(request, kNow));
  std::atomic<int> won = 0, refused = 0;
  AtOnce([&](int i) {
    const auto record = store.Settle(Settlement(request, 1, i), kNow);
    if (record) ++won;
    if (!record && record.error().reason == "REQUEST_ID_REUSED") ++refused;
  });
  EXPECT_EQ(won, 1);
  EXPECT_EQ(refused, kThreads - 1);
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingRaces, ReplacingAndSettlingAtOnceLeavesNoHoldOpen) {
  Store& store = this->store();
  OpenKenya(store, 100);
  for (int round = 0; round < 20; ++round) {
    const ReserveCommand request = Request("ke");
    ASSERT_TRUE(store.Reserve(request, kNow));
    std::atomic<int> surprises = 0;
    AtOnce([&](int thread) {
      if (thread % 2 == 0) {
        const auto replaced = store.Reserve(Revised(request, 1, 200), kNow);
        surprises += replaced || replaced.error().reason == "HOLD_ENDED" ? 0 : 1;
      } else {
        surprises += store.Settle(Settlement(request, 3, 5), kNow) ? 0 : 1;
      }
    });
    EXPECT_EQ(surprises, 0);
    EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Amount()) << "round " << round;
  }
  EXPECT_EQ(store.AuditTenant(Tenant("ke"), kNow, {})->usage_record_count, 20);
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingRaces, ConcurrentReservationsNeverPassTheLimit) {
  Store& store = this->store();
  OpenKenya(store, 13);
  std::atomic<int> admitted = 0, refused = 0;
  AtOnce([&](int) {
    for (int i = 0; i < 10; ++i) {
      const auto reservation = store.Reserve(Request("ke"), kNow);
      if (reservation) ++admitted;
      if (!reservation && reservation.error().reason == "INSUFFICIENT_FUNDS") ++refused;
    }
  });
  EXPECT_EQ(admitted, 13);
  EXPECT_EQ(refused, kThreads * 10 - 13);
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Pico(13 * kHold));
  ExpectSoundBooks(store, "ke");
}

TYPED_TEST(BillingRaces, SettlingAndExpiringAtOnceReleasesOnceAndCountsAll) {
  Store& store = this->store();
  OpenKenya(store, 100);
  std::vector<ReserveCommand> requests;
  for (int i = 0; i < 40; ++i) {
    requests.push_back(Request("ke"));
    ASSERT_TRUE(store.Reserve(requests.back(), kNow));
  }
  std::atomic<int> failures = 0, expired = 0;
  AtOnce([&](int thread) {
    if (thread % 2 == 0) {
      for (int i = 0; i < 15; ++i) expired += store.ExpireReservations(Tenant("ke"), kNow + 1h, 1).value_or(0);
      return;
    }
    for (std::size_t i = static_cast<std::size_t>(thread) / 2; i < requests.size(); i += kThreads / 2) {
      failures += store.Settle(Settlement(requests[i], 2, 5), kNow + 1h) ? 0 : 1;
    }
  });
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Amount());
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(40 * (2 * kPrompt + 5 * kCompletion)));
  EXPECT_EQ(store.AuditTenant(Tenant("ke"), kNow, {})->usage_record_count, 40);
  this->RecordProperty("expired", expired);
}

// Random reservations, settlements, repetitions, contradictions and expiries from many threads, for three tenants. Each
// request is settled at last, so that what is owed can be told from what the threads did.
void Storm(Store& store, unsigned seed) {
  const std::vector<std::string> tenants = {"ke", "tz", "ug"};
  ASSERT_TRUE(store.CreatePriceBook(ContractPriceBook(), kNow));
  for (const std::string& tenant : tenants) ASSERT_TRUE(store.SetBillingAccount(Account(tenant, 40 * kHold), kNow));
  std::array<std::array<std::int64_t, 3>, kThreads> owed{};
  std::array<std::array<std::int64_t, 3>, kThreads> records{};
  std::atomic<int> surprises = 0;
  AtOnce([&](int thread) {
    std::mt19937 random(seed * 1000 + static_cast<unsigned>(thread));
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    for (int i = 0; i < 25; ++i) {
      const auto which = static_cast<std::size_t>(below(3));
      const ReserveCommand request = Request(tenants[which], kNow + std::chrono::milliseconds(below(60'000)));
      const auto reservation = store.Reserve(request, kNow);
      if (!reservation) {
        surprises += reservation.error().reason == "INSUFFICIENT_FUNDS" ? 0 : 1;
        continue;
      }
      if (below(3) == 0) surprises += store.Reserve(request, kNow) ? 0 : 1;
      if (below(4) == 0) surprises += store.ExpireReservations(request.tenant, kNow + 1h, below(5)) ? 0 : 1;
      const auto outcome = static_cast<Outcome>(1 + below(4));
      const SettleCommand settlement = Settlement(request, below(11), below(101), outcome);
      const auto record = store.Settle(settlement, kNow + 1min);
      if (!record) {
        ++surprises;
        continue;
      }
      if (IsBilled(outcome, settlement.prompt_tokens, settlement.completion_tokens)) {
        owed[static_cast<std::size_t>(thread)][which] +=
            settlement.prompt_tokens * kPrompt + settlement.completion_tokens * kCompletion;
      }
      ++records[static_cast<std::size_t>(thread)][which];
      if (below(3) == 0) surprises += store.Settle(settlement, kNow + 2min) ? 0 : 1;
      SettleCommand contradiction = settlement;
      contradiction.completion_tokens = (settlement.completion_tokens + 1) % 101;
      if (below(3) == 0) surprises += store.Settle(contradiction, kNow + 2min) ? 1 : 0;
    }
  });
  EXPECT_EQ(surprises, 0);
  for (std::size_t which = 0; which < tenants.size(); ++which) {
    std::int64_t expected = 0, count = 0;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      expected += owed[thread][which];
      count += records[thread][which];
    }
    EXPECT_EQ(ExpectSoundBooks(store, tenants[which]), Pico(expected));
    EXPECT_EQ(store.AuditTenant(Tenant(tenants[which]), kNow, {})->usage_record_count, count);
    EXPECT_EQ(store.GetBillingAccount(Tenant(tenants[which]))->held, Amount());
    EXPECT_EQ(store.GetBillingAccount(Tenant(tenants[which]))->posted, Pico(expected));
  }
}

TYPED_TEST(BillingRaces, TheLedgerSumsToZeroAfterAnyStorm) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(seed);
    TypeParam harness;
    Storm(harness.store(), seed);
  }
}

}  // namespace
}  // namespace allod::billing::billing_races_test
