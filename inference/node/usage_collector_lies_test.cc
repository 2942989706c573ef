// Rings of workers that were taken over: nothing of them gets into another's books, and they hold nobody up.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "inference/node/usage_collector_fixture.h"
#include "tests/support/instrumented.h"

namespace allod::inference::node::usage_collector_lies_test {
namespace {

// A worker that was taken over writes what it likes, and its agent may be killed at any time.
class LyingRing : public UsageCollectorTest {
 protected:
  void Lie(usage::RingMapping& ring, const std::function<void(usage::RingSlot&)>& spoil) {
    usage::RingSlot& slot = ring.slot(0);
    const Uuid request = *Uuid::Parse(RequestId(1));
    const Uuid tenant = *Uuid::Parse(kTenant);
    std::ranges::copy(request.bytes(), slot.request_id);
    std::ranges::copy(tenant.bytes(), slot.tenant_uid);
    kInstance.copy(slot.instance, sizeof(slot.instance) - 1);
    slot.sequence = 1;
    slot.prompt_tokens = 1;
    slot.outcome = 1;
    spoil(slot);
    slot.state = usage::SlotState::kClosed;
    ring.head().closed_total.fetch_add(1);
  }
  usage::RingMapping OpenRing(std::uint64_t id) {
    ring_fd_ = *collector_->Open(id, kReplica,
                                 {{.instance = kInstance, .tenant = *Uuid::Parse(kTenant), .context_tokens = 64}});
    return *usage::RingMapping::FromFd(ring_fd_.get());
  }
  std::string WaitForLie(std::uint64_t id) {
    std::string what;
    Eventually([&] {
      for (const auto& lie : collector_->TakeLies()) {
        if (lie.worker_id == id) what = lie.what;
      }
      return !what.empty();
    });
    return what;
  }
  // Whenever billing is told something, what was freed before is closed again, each time as another request.
  void FillWithoutEnd() {
    const auto ring = std::make_shared<usage::RingMapping>(OpenRing(1));
    const auto fill = [ring, sequence = std::uint64_t{0}]() mutable {
      for (std::uint32_t i = 0; i < ring->slot_count(); ++i) {
        usage::RingSlot& slot = ring->slot(i);
        if (slot.state == usage::SlotState::kClosed) continue;
        std::ranges::copy(Uuid::Parse(kTenant)->bytes(), slot.tenant_uid);
        kInstance.copy(slot.instance, sizeof(slot.instance) - 1);
        slot.outcome = 1;
        slot.sequence = ++sequence;
        slot.state = usage::SlotState::kClosed;
        ring->head().closed_total.fetch_add(1);
      }
    };
    began_ = std::chrono::steady_clock::now();
    billing_.SetMeanwhile(fill);
    Do(*Worker(3), 3);  // the first call
  }
  std::chrono::steady_clock::time_point began_;
  static void NameAnotherTenant(usage::RingSlot& slot) { slot.tenant_uid[15] ^= 1; }
  OwnedFd ring_fd_;
};

TEST_F(LyingRing, NeverReachesAnotherTenantsBooks) {
  Start();
  auto ring = OpenRing(1);
  const auto honest = Worker(2);
  Lie(ring, NameAnotherTenant);
  EXPECT_NE(WaitForLie(1).find("does not answer"), std::string::npos);
  Do(*honest, 7);
  ASSERT_TRUE(Eventually([&] { return !billing_.events().empty(); }));
  for (const auto& event : billing_.events()) EXPECT_EQ(event.tenant_uid(), kTenant);
  EXPECT_EQ(billing_.events().size(), 1U);
  EXPECT_TRUE(collector_->TakeLies().empty());  // the honest one is not accused
  collector_->WorkerEnded(1);
  collector_->WorkerEnded(2);
  EXPECT_TRUE(Eventually([&] { return Files() == 0 && Files(".deed") == 0; }));
}

TEST_F(LyingRing, NorWhenAnotherAgentTakesTheRingOver) {
  Start();
  auto ring = OpenRing(1);
  server_->Stop(milliseconds(0));
  Lie(ring, NameAnotherTenant);
  std::memset(ring.head().ring_id, 7, sizeof(ring.head().ring_id));  // to pass for another ring
  collector_.reset();
  StartServer();
  Start();
  EXPECT_TRUE(Eventually([&] { return Files() == 0; }));
  EXPECT_TRUE(billing_.events().empty());
}

TEST_F(LyingRing, CountsAtMostWhatTheRequestCouldHaveCost) {
  Start();
  auto ring = OpenRing(1);
  Lie(ring, [](usage::RingSlot& slot) {
    slot.prompt_tokens = INT64_MIN;
    slot.sampled_tokens = INT64_MAX;
  });
  EXPECT_NE(WaitForLie(1), "");
  ASSERT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
  EXPECT_EQ(billing_.events()[0].prompt_tokens_computed(), 0);
  EXPECT_EQ(billing_.events()[0].sampled_tokens(), 64);
  EXPECT_EQ(billing_.events()[0].outcome(), billing::v1::COMPUTED_OUTCOME_FAILED);
}

TEST_F(LyingRing, CannotEndTheAgentByCuttingItsFile) {
  Start();
  (void)OpenRing(1);
  const auto honest = Worker(2);
  ASSERT_EQ(ftruncate(ring_fd_.get(), 0), 0);
  EXPECT_NE(WaitForLie(1).find("size"), std::string::npos);
  ASSERT_EQ(ftruncate(ring_fd_.get(), 1 << 30), 0);
  collector_->WorkerEnded(1);
  Do(*honest, 7);
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
  EXPECT_TRUE(Eventually([&] { return Files() == 1; }));
}

TEST_F(LyingRing, ThatIsFilledWithoutEndKeepsNobodyFromBillingAndIsAccused) {
  Start();
  FillWithoutEnd();
  ASSERT_TRUE(Eventually([&] { return billing_.calls() >= 3; }));
  const auto honest = Worker(2);
  Do(*honest, 7);
  EXPECT_TRUE(Eventually([&] {
    return std::ranges::any_of(billing_.events(), [](const auto& e) { return e.request_id() == RequestId(7); });
  }));
  if (test::kInstrumented) GTEST_SKIP() << "too slow to flood from here on";
  EXPECT_NE(WaitForLie(1).find("requests a second"), std::string::npos);
  // A second's worth in a second, and what of the last batch is beyond it.
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - began_).count() + 1;
  EXPECT_LE(std::ssize(billing_.events()), seconds * (UsageCollector::kClosedPerSecondMax + 500));
}

TEST_F(LyingRing, ThatIsFilledWithoutEndDoesNotKeepTheAgentFromEnding) {
  Start();
  FillWithoutEnd();
  ASSERT_TRUE(Eventually([&] { return billing_.calls() >= 3; }));
  const auto start = std::chrono::steady_clock::now();
  collector_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, test::kSlowness * std::chrono::seconds(8));
}

}  // namespace
}  // namespace allod::inference::node::usage_collector_lies_test
