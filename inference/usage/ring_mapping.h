// A usage ring as its worker has it: mapped, because counting must be no more than a store. Moves; unmaps on
// destruction. The agent never maps it: see RingFile.
#pragma once

#include "inference/usage/ring_slot.h"
#include "services/common/result.h"

namespace allod::inference::usage {

class RingMapping {
 public:
  // The ring whose descriptor the agent gave (RingFile). The head is checked. INVALID_ARGUMENT / USAGE_RING_DAMAGED.
  static Result<RingMapping> FromFd(int fd);
  ~RingMapping();
  RingMapping(RingMapping&& other) noexcept;
  RingMapping& operator=(RingMapping&& other) noexcept;

  RingHead& head() const { return *static_cast<RingHead*>(base_); }
  RingSlot& slot(std::uint32_t index) const;
  // As checked when it was mapped; what the file says later does not count.
  std::uint32_t slot_count() const { return slots_; }

 private:
  RingMapping() = default;

  void* base_ = nullptr;
  std::uint32_t slots_ = 0;
};

}  // namespace allod::inference::usage
