// The node agent's side of a usage ring: reads what was closed, and closes what a dead worker left open. For one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inference/usage/ring_mapping.h"
#include "inference/usage_recorder.h"

namespace allod::inference::usage {

// What one request cost: the terminal event of a slot.
struct UsageEvent {
  Uuid event_id;  // of the ring and the slot's sequence: the same whenever it is read
  Uuid request_id;
  Uuid tenant;
  std::string instance;
  std::string replica_uid;
  std::int64_t prompt_tokens = 0;  // computed
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t sampled_tokens = 0;
  UsageOutcome outcome = UsageOutcome::kLost;
  std::int64_t start_us = 0;  // since the Unix epoch
  std::int64_t end_us = 0;
  std::uint32_t slot = 0;  // to free it
};

class RingReader {
 public:
  explicit RingReader(RingMapping ring) : ring_(std::move(ring)) {}

  // The worker is gone: every open slot becomes closed, as lost.
  void CloseOpen();
  // Closed slots, oldest first, at most `max`; they stay until Free. A slot that makes no sense (its worker wrote
  // rubbish) comes out with the numbers bounded: nothing is left uncounted because of it.
  std::vector<UsageEvent> Closed(std::size_t max) const;
  // After the event is safe elsewhere.
  void Free(const UsageEvent& event);
  // Nothing open and nothing closed.
  bool Empty() const;
  std::uint64_t closed_total() const { return ring_.head().closed_total.load(std::memory_order_acquire); }

 private:
  RingMapping ring_;
};

}  // namespace allod::inference::usage
