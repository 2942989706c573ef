// The page of memory that one worker shares with its node agent: its turn at the gate, and what it tells of itself.
//
// One page per worker and no memory between workers: a worker that was taken over can spoil its own page only, and the
// agent takes nothing in it for granted. All fields are lock-free atomics, valid in a process whose peer was killed at
// any point.
//
// The turn word:
//
//   resting --(worker wants)--> waiting --(agent grants)--> held --(worker is done, or somebody waits)--> ...
//
// A worker keeps `held` over many steps while `yield` is 0: alone it makes no system call at all. When others wait the
// agent sets `yield`; at the end of its step the worker goes back to `waiting` in one move, so that the agent sees all
// who want the cores when it decides. A worker sleeps on the turn word with a futex; the agent is told by an eventfd.
#pragma once

#include <atomic>
#include <cstdint>

namespace allod::inference::gate {

inline constexpr std::uint32_t kPageMagic = 0x32504741;  // "AGP2"
inline constexpr std::size_t kPageBytes = 4096;

enum Turn : std::uint32_t { kResting = 0, kWaiting = 1, kHeld = 2 };

struct WorkerPage {
  std::atomic<std::uint32_t> magic;
  // The gate.
  std::atomic<std::uint32_t> turn;
  std::atomic<std::uint32_t> yield;      // written by the agent: somebody else waits
  std::atomic<std::uint32_t> budget_us;  // written by the agent: what a step should take at most
  std::atomic<std::uint32_t> crowded;    // written by the agent: the budget counts for all that a step computes
  std::atomic<std::uint32_t> is_claim;   // written by the agent: the budget may be used for several steps of prompt
  std::atomic<std::uint64_t> turns;
  std::atomic<std::uint64_t> compute_us;  // in steps
  std::atomic<std::uint64_t> aside_us;    // of the processor, outside of turns
  // What is shown to people, written by the worker a few times a second.
  std::atomic<std::uint32_t> active_requests;
  std::atomic<std::uint32_t> queued_requests;
  std::atomic<std::uint64_t> requests_total;       // ended
  std::atomic<std::uint64_t> prompt_tokens_total;  // computed, without the cached
  std::atomic<std::uint64_t> cached_prompt_tokens_total;
  std::atomic<std::uint64_t> completion_tokens_total;  // sampled
  std::atomic<std::uint64_t> ttft_count;
  std::atomic<std::uint64_t> ttft_us_sum;
  std::atomic<std::uint64_t> gate_wait_us;
};
static_assert(sizeof(WorkerPage) <= kPageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace allod::inference::gate
