#include "inference/gate/gate_client.h"

#include <unistd.h>

#include "inference/gate/futex.h"

namespace allod::inference::gate {
namespace {

// The agent may have died; then the process ends anyway, but the thread must see Interrupt() until then.
constexpr std::chrono::milliseconds kLookAgain{200};

}  // namespace

void GateClient::TellAgent() const {
  const std::uint64_t one = 1;
  (void)!write(agent_fd_, &one, sizeof(one));
}

TurnGate::Turn GateClient::Begin() {
  std::uint32_t turn = page_.turn.load(std::memory_order_acquire);
  if (turn == kHeld && page_.yield.load(std::memory_order_acquire) != 0) {
    // One move, so that the agent compares this worker with those that wait already.
    page_.turn.store(kWaiting, std::memory_order_release);
    TellAgent();
  } else if (turn == kResting) {
    page_.turn.store(kWaiting, std::memory_order_release);
    TellAgent();
  }
  while (!interrupted_.load(std::memory_order_acquire)) {
    turn = page_.turn.load(std::memory_order_acquire);
    if (turn == kHeld) break;
    FutexWait(page_.turn, turn, kLookAgain);
  }
  began_ = std::chrono::steady_clock::now();
  return {std::chrono::microseconds(page_.budget_us.load(std::memory_order_relaxed)),
          page_.yield.load(std::memory_order_relaxed) != 0};
}

void GateClient::End(std::int32_t prompt_tokens, std::int32_t decode_tokens) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began_);
  page_.prompt_tokens.fetch_add(static_cast<std::uint64_t>(prompt_tokens), std::memory_order_relaxed);
  page_.decode_tokens.fetch_add(static_cast<std::uint64_t>(decode_tokens), std::memory_order_relaxed);
  page_.compute_us.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
  page_.turns.fetch_add(1, std::memory_order_release);
}

void GateClient::Rest() {
  if (page_.turn.exchange(kResting, std::memory_order_acq_rel) != kResting) TellAgent();
}

void GateClient::Interrupt() {
  interrupted_.store(true, std::memory_order_release);
  FutexWake(page_.turn);
}

}  // namespace allod::inference::gate
