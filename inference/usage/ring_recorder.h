// UsageRecorder over a usage ring: the worker's side. Thread-safe.
#pragma once

#include <mutex>

#include "inference/ports/usage_recorder.h"
#include "inference/usage/ring_mapping.h"

namespace allod::inference::usage {

class RingRecorder final : public ports::UsageRecorder {
 public:
  explicit RingRecorder(RingMapping ring) : ring_(std::move(ring)) {}

  // Requests that ended, in whatever way.
  std::uint64_t closed_total() const { return ring_.head().closed_total.load(std::memory_order_relaxed); }

  // The slot must not outlive the recorder.
  Result<std::unique_ptr<ports::UsageSlot>> Open(std::string_view request_id, std::string_view tenant_uid,
                                                 std::string_view instance) override;

 private:
  const RingMapping ring_;
  std::mutex mutex_;
  std::uint32_t next_ = 0;
};

}  // namespace allod::inference::usage
