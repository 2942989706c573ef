// A mapped usage ring file. Moves; unmaps on destruction. The slots are shared with another process.
#pragma once

#include <filesystem>
#include <string>

#include "inference/usage/ring_slot.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::inference::usage {

class RingMapping {
 public:
  // A new file (mode 0600) that must not exist yet, every block reserved on the disk. RESOURCE_EXHAUSTED / DISK_FULL,
  // INTERNAL / USAGE_RING_FAILED.
  static Result<RingMapping> CreateFile(const std::filesystem::path& path, const std::string& replica_uid,
                                        std::uint32_t slots = kSlotsDefault);
  // An existing one. The head is checked. INVALID_ARGUMENT / USAGE_RING_DAMAGED.
  static Result<RingMapping> OpenFile(const std::filesystem::path& path);
  static Result<RingMapping> FromFd(int fd);
  ~RingMapping();
  RingMapping(RingMapping&& other) noexcept;
  RingMapping& operator=(RingMapping&& other) noexcept;

  RingHead& head() const { return *static_cast<RingHead*>(base_); }
  RingSlot& slot(std::uint32_t index) const;
  // As checked when it was mapped; what the file says later does not count.
  std::uint32_t slot_count() const { return slots_; }
  Uuid ring_id() const { return ring_id_; }
  const std::string& replica_uid() const { return replica_uid_; }

 private:
  RingMapping() = default;

  void* base_ = nullptr;
  std::uint32_t slots_ = 0;
  Uuid ring_id_;
  std::string replica_uid_;
};

}  // namespace allod::inference::usage
