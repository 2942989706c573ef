// Leases under concurrency and at random, on both stores: what gateways admit together never passes the limit, and both
// stores keep the books of a small reference.
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/contract/billing_store_harness.h"

namespace allod::billing::billing_lease_races_test {
namespace {

using namespace std::chrono_literals;

template <typename Harness>
class BillingLeaseRaces : public testing::Test {
 protected:
  Harness harness_;
};

using Harnesses = testing::Types<FakeHarness, PgHarness>;
TYPED_TEST_SUITE(BillingLeaseRaces, Harnesses);

// A gateway that admits requests of kHold each from one lease.
class Admitter {
 public:
  explicit Admitter(Store& store) : store_(store) {}
  // By compare-and-subtract, with another slice when there is too little.
  bool Admit() {
    for (int i = 0; i < 3 && free_ < kHold; ++i) Refill();
    if (free_ < kHold) return false;
    free_ -= kHold;
    ++admitted_;
    return true;
  }
  // What does not suffice for a request is no use to it.
  void GiveBack() {
    if (epoch_ == 0) return;
    Adjusted(store_, Command(0, 0, free_));
    ++epoch_;
    free_ = 0;
  }
  int admitted() const { return admitted_; }
  Uuid lease() const { return lease_; }

 private:
  AdjustLeaseCommand Command(std::int64_t need, std::int64_t want, std::int64_t give_back) const {
    return Adjustment("ke", lease_, epoch_ + 1, need, want, give_back);
  }
  void Refill() {
    const auto answer = store_.AdjustLease(Command(kHold, 4 * kHold + 17, free_));
    ASSERT_TRUE(answer) << answer.error().message;
    if (!answer->lease) return;
    ++epoch_;
    free_ = static_cast<std::int64_t>(answer->lease->lease.added.pico());
  }

  Store& store_;
  const Uuid lease_ = Uuid::V7();
  std::int64_t epoch_ = 0;
  std::int64_t free_ = 0;
  int admitted_ = 0;
};

TYPED_TEST(BillingLeaseRaces, EightGatewaysAdmitThirtySevenRequestsAndNoMore) {
  Store& store = this->harness_.store();
  OpenKenya(store, 37);
  std::vector<std::unique_ptr<Admitter>> gateways;
  for (int i = 0; i < 8; ++i) gateways.push_back(std::make_unique<Admitter>(store));
  {
    std::atomic<bool> go = false;
    std::vector<std::jthread> threads;
    for (const auto& gateway : gateways) {
      threads.emplace_back([&] {
        go.wait(false);
        for (int i = 0; i < 20; ++i) gateway->Admit();
        gateway->GiveBack();
      });
    }
    go = true;
    go.notify_all();
  }
  const auto admitted = [&] {
    int sum = 0;
    for (const auto& gateway : gateways) sum += gateway->admitted();
    return sum;
  };
  EXPECT_LE(admitted(), 37);
  while (gateways[0]->Admit()) continue;
  EXPECT_EQ(admitted(), 37) << "all was given back that was not used";
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Pico(37 * kHold));
  for (const auto& gateway : gateways) {
    std::vector<LeasedUsage> usage;
    for (int i = 0; i < gateway->admitted(); ++i) usage.push_back(Leased("ke", gateway->lease(), 10, 100));
    for (const std::string& cost : Settled(store, "ke", usage)) EXPECT_EQ(cost, std::to_string(kHold));
  }
  const TenantAudit audit = store.AuditTenant(Tenant("ke"), kNow, {}).value();
  EXPECT_EQ(audit.short_record_count, 0);
  EXPECT_EQ(audit.usage_record_count, 37);
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(37 * kHold));
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Amount());
}

TYPED_TEST(BillingLeaseRaces, TheSameBatchesAtOnceCountOnce) {
  Store& store = this->harness_.store();
  OpenKenya(store, 100);
  const Uuid lease = Uuid::V7();
  Adjusted(store, Adjustment("ke", lease, 1, 100 * kHold, 100 * kHold));
  std::vector<LeasedUsage> usage;
  for (int i = 0; i < 64; ++i) usage.push_back(Leased("ke", lease, i % 11, i));
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<unsigned>(t));
        for (int i = 0; i < 8; ++i) {
          std::vector<LeasedUsage> some = usage;
          std::ranges::shuffle(some, random);
          some.resize(16);
          const auto results = store.SettleBatch({Tenant("ke"), some}, kNow);
          if (!results) ++failures;
          for (const auto& result : results.value_or(std::vector<Result<SettledUsage>>())) failures += result ? 0 : 1;
        }
        if (!store.SettleBatch({Tenant("ke"), usage}, kNow)) ++failures;
      });
    }
  }
  EXPECT_EQ(failures, 0);
  std::int64_t owed = 0;
  for (const LeasedUsage& each : usage) owed += each.prompt_tokens * kPrompt + each.completion_tokens * kCompletion;
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(owed));
  EXPECT_EQ(store.AuditTenant(Tenant("ke"), kNow, {})->usage_record_count, 64);
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Pico(100 * kHold - owed));
}

TYPED_TEST(BillingLeaseRaces, SettlingAndExpiringAtOnceLosesNothing) {
  Store& store = this->harness_.store();
  OpenKenya(store, 100);
  std::vector<Uuid> leases;
  for (int i = 0; i < 8; ++i) {
    leases.push_back(Uuid::V7());
    Adjusted(store, Adjustment("ke", leases.back(), 1, 0, 5 * kHold));
  }
  this->harness_.Elapse(10min);
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 5; ++i) {
          if (t % 4 == 0) {
            failures += store.ExpireLeases(Tenant("ke"), 1) ? 0 : 1;
            continue;
          }
          const auto results =
              store.SettleBatch({Tenant("ke"), {Leased("ke", leases[static_cast<std::size_t>(t)], 2, 5)}}, kNow);
          failures += results && results->at(0) ? 0 : 1;
        }
      });
    }
  }
  EXPECT_EQ(failures, 0);
  while (store.ExpireLeases(Tenant("ke"), 10).value_or(0) > 0) continue;
  EXPECT_EQ(store.GetBillingAccount(Tenant("ke"))->held, Amount());
  EXPECT_EQ(ExpectSoundBooks(store, "ke"), Pico(6 * 5 * (2 * kPrompt + 5 * kCompletion)));
}

// What the stores are compared with: numbers, and the rules in their shortest form.
class Reference {
 public:
  static constexpr std::int64_t kLimit = 20 * kHold;
  struct Slice {
    std::int64_t remaining = 0;
    std::int64_t epoch = 0;
    std::chrono::seconds end{0};
    bool ended = false;
  };
  std::int64_t held() const {
    std::int64_t sum = 0;
    for (const auto& [id, slice] : slices) sum += slice.remaining;
    return sum;
  }
  // Nothing: refused.
  std::optional<std::int64_t> Adjust(Uuid lease, std::int64_t need, std::int64_t want, std::int64_t give_back) {
    const std::int64_t available = kLimit - posted - held() + give_back;
    if (need > 0 && available < need) return std::nullopt;
    Slice& slice = slices[lease];
    const std::int64_t added = std::min(want, std::max(need, available / 4));
    slice.remaining += added - give_back;
    ++slice.epoch;
    slice.end = now + kLeaseEndsAfter;
    return added;
  }
  void Settle(Uuid request, Uuid lease, std::int64_t cost) {
    if (!settled.insert(request).second) return;
    posted += cost;
    Slice& slice = slices[lease];
    const bool is_covered = !slice.ended && slice.remaining >= cost;
    if (is_covered) slice.remaining -= cost;
    if (!is_covered) direct += cost;
  }
  void End(Uuid lease) {
    slices[lease].ended = true;
    slices[lease].remaining = 0;
  }

  std::map<Uuid, Slice> slices;
  std::set<Uuid> settled;
  std::int64_t posted = 0;
  std::int64_t direct = 0;  // of that what no lease paid for: delivered all the same
  std::chrono::seconds now{0};
};

// One sequence of adjustments, settlements, repetitions, ends and time, by several gateways.
class Walk {
 public:
  Walk(StoreHarness& harness, unsigned seed) : harness_(harness), store_(harness.store()), random_(seed) {
    OpenKenya(store_, 20);
    for (int i = 0; i < 6; ++i) leases_.push_back(Uuid::V7());
  }
  void Step() {
    switch (Below(10)) {
      case 0:
        return Pass();
      case 1:
        return End();
      case 2:
      case 3:
      case 4:
        return Adjust();
      case 5:
        return Repeat();
      default:
        return Settle();
    }
  }
  void Compare() {
    const BillingAccount account = store_.GetBillingAccount(Tenant("ke")).value();
    ASSERT_EQ(account.posted, Pico(reference_.posted));
    ASSERT_EQ(account.held, Pico(reference_.held()));
    ASSERT_LE(reference_.posted - reference_.direct + reference_.held(), Reference::kLimit);
  }
  void CompareBooks() {
    const TenantAudit audit = store_.AuditTenant(Tenant("ke"), kNow, {}).value();
    EXPECT_EQ(ExpectSoundBooks(store_, "ke"), Pico(reference_.posted));
    EXPECT_EQ(audit.usage_record_count, static_cast<std::int64_t>(reference_.settled.size()));
  }

 private:
  std::int64_t Below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random_); }
  Uuid& Any() { return leases_[static_cast<std::size_t>(Below(static_cast<std::int64_t>(leases_.size())))]; }
  static AdjustLeaseCommand Of(std::size_t gateway, AdjustLeaseCommand command) {
    command.gateway = Uuid::FromName("gateways/" + std::to_string(gateway % 3));
    return command;
  }
  std::size_t GatewayOf(Uuid lease) {
    return static_cast<std::size_t>(std::ranges::find(leases_, lease) - leases_.begin());
  }

  void Adjust() {
    Uuid& lease = Any();
    Reference::Slice& slice = reference_.slices[lease];
    const std::size_t gateway = GatewayOf(lease);
    if (slice.ended || (slice.epoch > 0 && slice.end <= reference_.now)) {
      const auto answer = store_.AdjustLease(Of(gateway, Adjustment("ke", lease, slice.epoch + 1, 0, kHold)));
      ASSERT_EQ(answer.error().reason, "LEASE_ENDED");
      lease = Uuid::V7();
      return;
    }
    const std::int64_t need = Below(3) == 0 ? 0 : Below(3 * kHold), want = need + Below(5 * kHold);
    const std::int64_t back = Below(2) == 0 ? 0 : Below(slice.remaining + 1);
    const AdjustLeaseCommand command = Of(gateway, Adjustment("ke", lease, slice.epoch + 1, need, want, back));
    const auto expected = reference_.Adjust(lease, need, want, back);
    for (int i = Below(3) == 0 ? 0 : 1; i < 2; ++i) {  // now and then twice
      const auto answer = store_.AdjustLease(command);
      ASSERT_TRUE(answer) << answer.error().message;
      ASSERT_EQ(answer->lease.has_value(), expected.has_value());
      if (!expected) continue;
      ASSERT_EQ(answer->lease->lease.added, Pico(*expected));
      ASSERT_EQ(answer->lease->lease.remaining, Pico(slice.remaining));
    }
  }
  void Settle() {
    std::vector<LeasedUsage> usage;
    for (std::int64_t i = Below(6); i >= 0; --i) {
      const Outcome outcome = static_cast<Outcome>(1 + Below(4));
      usage.push_back(Leased("ke", Any(), Below(13), Below(110), outcome));
    }
    Send(usage);
    batches_.push_back(std::move(usage));
  }
  void Repeat() {
    if (!batches_.empty()) Send(batches_[static_cast<std::size_t>(Below(static_cast<std::int64_t>(batches_.size())))]);
  }
  void Send(const std::vector<LeasedUsage>& usage) {
    std::vector<std::string> expected;
    for (const LeasedUsage& each : usage) {
      const std::int64_t cost = IsBilled(each.outcome, each.prompt_tokens, each.completion_tokens)
                                    ? std::min<std::int64_t>(10, each.prompt_tokens) * kPrompt +
                                          std::min<std::int64_t>(100, each.completion_tokens) * kCompletion
                                    : 0;
      expected.push_back(std::to_string(cost));
      reference_.Settle(each.request_id, each.lease_id, cost);
    }
    ASSERT_EQ(Settled(store_, "ke", usage), expected);
  }
  void End() {
    Uuid& lease = Any();
    Reference::Slice& slice = reference_.slices[lease];
    if (slice.epoch == 0 || slice.ended) return;
    if (Below(2) == 0 && slice.end > reference_.now) {
      ASSERT_TRUE(Adjusted(store_, Of(GatewayOf(lease), Ending("ke", lease, slice.epoch + 1))).ended);
      ++slice.epoch;
    } else {
      ASSERT_EQ(store_.EndLeases(Tenant("ke"), {lease}).value(), 1);
    }
    reference_.End(lease);
    if (Below(2) == 0) lease = Uuid::V7();
  }
  void Pass() {
    const std::chrono::seconds time(60 * Below(6));
    harness_.Elapse(time);
    reference_.now += time;
    int due = 0;
    for (auto& [id, slice] : reference_.slices) {
      if (slice.epoch == 0 || slice.ended || slice.end > reference_.now) continue;
      reference_.End(id);
      ++due;
    }
    ASSERT_EQ(store_.ExpireLeases(Tenant("ke"), 100).value(), due);
  }

  StoreHarness& harness_;
  Store& store_;
  std::mt19937 random_;
  Reference reference_;
  std::vector<Uuid> leases_;
  std::vector<std::vector<LeasedUsage>> batches_;
};

TYPED_TEST(BillingLeaseRaces, BothStoresDoWhatTheReferenceDoes) {
  // 1,000,000 and 20 for the long form.
  const auto setting = [](const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoi(text);
  };
  const int steps = setting("ALLOD_FAULT_LEDGER_OPERATIONS", 80);
  const auto seeds = static_cast<unsigned>(setting("ALLOD_FAULT_LEDGER_SEEDS", 6));
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(seed);
    TypeParam harness;
    Walk walk(harness, seed);
    for (int i = 0; i < steps && !this->HasFatalFailure(); ++i) {
      SCOPED_TRACE(i);
      walk.Step();
      walk.Compare();
    }
    walk.CompareBooks();
    if (this->HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace allod::billing::billing_lease_races_test
