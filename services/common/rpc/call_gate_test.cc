#include "services/common/rpc/call_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "services/common/call_scope.h"

namespace allod::call_gate_test {
namespace {

using namespace std::chrono_literals;

TEST(CallGate, GivesEachKeyItsShareAndAllTogetherTheirs) {
  CallGate gate({.what = "reports", .per_key_max = 2, .total_max = 3});
  std::optional<CallGate::Pass> first = gate.Enter("tenants/ke").value();
  const CallGate::Pass second = gate.Enter("tenants/ke").value();
  const auto third = gate.Enter("tenants/ke");
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::kResourceExhausted);
  EXPECT_EQ(third.error().reason, "TOO_MANY_CALLS");
  EXPECT_TRUE(third.error().retry_after.has_value());

  const CallGate::Pass other = gate.Enter("tenants/tz").value();
  const auto full = gate.Enter("tenants/ug");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kUnavailable) << "it is not ug's doing";
  first.reset();
  EXPECT_TRUE(gate.Enter("tenants/ug"));
}

TEST(CallGate, CountsAllKeysOfATenantTogetherAndNeitherNodesNorServices) {
  CallGate gate({.what = "calls", .per_key_max = 1, .total_max = 1});
  const CallGate::Pass running = gate.Enter(Caller::Key("ke", "a", {"portal"})).value();
  EXPECT_EQ(gate.Enter(Caller::Key("ke", "b", {"portal"})).error().code, Code::kResourceExhausted);
  EXPECT_EQ(gate.Enter(Caller::Operator()).error().code, Code::kUnavailable);
  std::vector<CallGate::Pass> passes;
  for (int i = 0; i < 3; ++i) {
    passes.push_back(gate.Enter(Caller::Node("n")).value());
    passes.push_back(gate.Enter(Caller::Service("gateway")).value());
  }
}

TEST(CallGate, LetsSoManyWaitAndNoneLongerThanItsTime) {
  CallGate gate({.what = "calls",
                 .per_key_max = 1,
                 .total_max = 8,
                 .waiting_per_key_max = 1,
                 .waiting_max = 8,
                 .wait_max = 50ms});
  const CallGate::Pass running = gate.Enter("ke").value();
  EXPECT_EQ(gate.Enter("ke").error().reason, "TOO_MANY_CALLS") << "after its time";
  EXPECT_TRUE(gate.Enter("tz")) << "another key does not wait";
}

TEST(CallGate, AWaitingCallGoesOnWhenItsTurnComes) {
  CallGate gate(
      {.what = "calls", .per_key_max = 1, .total_max = 8, .waiting_per_key_max = 8, .waiting_max = 8, .wait_max = 60s});
  int in_turn = 0;
  int most = 0;
  int done = 0;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto pass = gate.Enter("ke");
        ASSERT_TRUE(pass);
        {
          const std::lock_guard lock(mutex);
          most = std::max(most, ++in_turn);
        }
        std::this_thread::sleep_for(1ms);
        const std::lock_guard lock(mutex);
        --in_turn;
        ++done;
      });
    }
  }
  EXPECT_EQ(done, 8);
  EXPECT_EQ(most, 1);
}

// Until so many of the key's calls wait or run.
void AwaitCalls(const CallGate& gate, const std::string& key, int waiting) {
  while (gate.waiting(key) < waiting) std::this_thread::sleep_for(1ms);
}

TEST(CallGate, AKeyWithOneCallWaitsForOneOfAnotherAndNotForAllThatWait) {
  CallGate gate({.what = "reads",
                 .per_key_max = 2,
                 .total_max = 2,
                 .waiting_per_key_max = 32,
                 .waiting_max = 64,
                 .wait_max = 60s});
  std::vector<std::string> order;
  std::mutex mutex;
  {
    std::vector<CallGate::Pass> running;
    for (int i = 0; i < 2; ++i) running.push_back(gate.Enter("ke").value());
    std::vector<std::jthread> threads;
    const auto start = [&](const std::string& key, int waiting) {
      threads.emplace_back([&, key] {
        const auto pass = gate.Enter(key);
        ASSERT_TRUE(pass);
        const std::lock_guard lock(mutex);
        order.push_back(key);
      });
      AwaitCalls(gate, key, waiting);
    };
    for (int i = 1; i <= 20; ++i) start("ke", i);
    start("tz", 1);
    running.pop_back();
    for (auto& thread : threads) thread.join();
  }
  ASSERT_EQ(order.size(), 21u);
  EXPECT_EQ(order.front(), "tz") << "it came last and has nothing running";
}

TEST(CallGate, AFullWaitingRoomTurnsAwayWhoHasMostThereAndNobodyWhoHasNothing) {
  CallGate gate(
      {.what = "reads", .per_key_max = 1, .total_max = 1, .waiting_per_key_max = 4, .waiting_max = 4, .wait_max = 60s});
  std::optional<CallGate::Pass> running = gate.Enter("ke").value();
  std::atomic<int> refused = 0;
  std::atomic<bool> served = false;
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i <= 4; ++i) {
      threads.emplace_back([&] {
        const auto pass = gate.Enter("ke");
        if (pass) return;
        EXPECT_EQ(pass.error().code, Code::kResourceExhausted);
        EXPECT_EQ(pass.error().reason, "TOO_MANY_CALLS");
        ++refused;
      });
      AwaitCalls(gate, "ke", i);
    }
    threads.emplace_back([&] { served = gate.Enter("tz").has_value(); });
    AwaitCalls(gate, "tz", 1);
    running.reset();
  }
  EXPECT_TRUE(served);
  EXPECT_EQ(refused, 1);
}

TEST(CallGate, TheOperatorHasPlacesOfItsOwn) {
  CallGate gate({.what = "reads", .per_key_max = 1, .total_max = 1, .operator_max = 1});
  const CallGate::Pass tenant = gate.Enter(Caller::Tenant("ke")).value();
  const auto first = gate.Enter(Caller::Operator());
  EXPECT_TRUE(first);
  EXPECT_EQ(gate.Enter(Caller::Operator()).error().reason, "TOO_MANY_CALLS");
}

TEST(CallGate, NobodyWaitsBeyondTheDeadlineOfTheCall) {
  CallGate gate(
      {.what = "reads", .per_key_max = 1, .total_max = 1, .waiting_per_key_max = 1, .waiting_max = 1, .wait_max = 60s});
  const CallGate::Pass running = gate.Enter("ke").value();
  const CallScope scope(Deadline::In(30ms), Trace::New());
  EXPECT_EQ(gate.Enter("ke").error().code, Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace allod::call_gate_test
