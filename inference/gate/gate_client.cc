#include "inference/gate/gate_client.h"

#include <unistd.h>

#include <algorithm>

#include "inference/gate/futex.h"

namespace allod::inference::gate {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

// The agent may have died; then the process ends anyway, but the thread must see Interrupt() until then.
constexpr std::chrono::milliseconds kLookAgain{200};

}  // namespace

void GateClient::TellAgent() const {
  const std::uint64_t one = 1;
  (void)!write(agent_fd_, &one, sizeof(one));
}

std::chrono::microseconds GateClient::Budget() const {
  return std::chrono::microseconds(page_.budget_us.load(std::memory_order_relaxed));
}

// Not for a rest in which hardly anything could be computed.
bool GateClient::ClaimGoesOn() const { return claim_ && steady_clock::now() - granted_ < Budget() * 3 / 4; }

ports::TurnGate::Turn GateClient::Begin() {
  std::uint32_t turn = page_.turn.load(std::memory_order_acquire);
  const bool somebody_waits = page_.yield.load(std::memory_order_acquire) != 0;
  if (!somebody_waits) claim_ = false;  // there is nothing to claim
  const bool holds = turn == kHeld && (!somebody_waits || ClaimGoesOn());
  if (!holds && turn != kWaiting) {
    // One move, so that the agent compares this worker with those that wait already.
    page_.turn.store(kWaiting, std::memory_order_release);
    TellAgent();
  }
  while (!interrupted_.load(std::memory_order_acquire)) {
    turn = page_.turn.load(std::memory_order_acquire);
    if (turn == kHeld) break;
    FutexWait(page_.turn, turn, kLookAgain);
  }
  began_ = steady_clock::now();
  if (!holds) {
    granted_ = began_;
    claim_ = page_.is_claim.load(std::memory_order_relaxed) != 0;
  }
  auto budget = Budget();
  if (claim_) budget -= duration_cast<microseconds>(began_ - granted_);
  return {std::max(budget, microseconds(0)), page_.crowded.load(std::memory_order_relaxed) != 0};
}

void GateClient::End(std::int32_t /*prompt_tokens*/, std::int32_t decode_tokens) {
  const auto took = duration_cast<microseconds>(steady_clock::now() - began_);
  if (decode_tokens > 0) claim_ = false;
  page_.compute_us.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
  page_.turns.fetch_add(1, std::memory_order_release);
}

void GateClient::SpentAside(std::chrono::nanoseconds processor_time) {
  page_.aside_us.fetch_add(static_cast<std::uint64_t>(duration_cast<microseconds>(processor_time).count()),
                           std::memory_order_relaxed);
}

void GateClient::Rest() {
  if (page_.turn.exchange(kResting, std::memory_order_acq_rel) != kResting) TellAgent();
}

void GateClient::Interrupt() {
  interrupted_.store(true, std::memory_order_release);
  FutexWake(page_.turn);
}

}  // namespace allod::inference::gate
