// The node agent's hold on a usage ring: a file that it reads and writes by calls and never maps.
//
// The worker that fills the ring maps it, may be taken over, and can then do to the file what it likes: cut it short as
// well, and a mapping of ours would be a bus error in the agent. A call only comes back short. What the file has to be
// is known from elsewhere (RingDeed), never from the file. Calls and the worker's mapping meet in the kernel's page
// cache, so the ring must lie on a file system of this machine. For one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "inference/usage/ring_slot.h"
#include "services/common/ids.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::usage {

class RingFile {
 public:
  // A new file (mode 0600) that must not exist yet, every block reserved on the disk. RESOURCE_EXHAUSTED / DISK_FULL,
  // INTERNAL / USAGE_RING_FAILED.
  static Result<RingFile> Create(const std::filesystem::path& path, const Uuid& ring_id, const std::string& replica_uid,
                                 std::uint32_t slots = kSlotsDefault);
  // An existing one of `slots`. Links are not followed. INTERNAL / USAGE_RING_FAILED.
  static Result<RingFile> Open(const std::filesystem::path& path, std::uint32_t slots);

  // For the worker.
  int fd() const { return fd_.get(); }
  std::uint32_t slot_count() const { return slots_; }

  // Gives the file its size back when somebody changed it; what was cut off is free slots. Whether it had to.
  Result<bool> Restore();
  // How many slots were closed so far, as the worker says.
  Result<std::uint64_t> ClosedTotal() const;
  // All slots, as they stand: whatever its worker wrote. INTERNAL / USAGE_RING_FAILED when they cannot be read whole.
  class Slots {
   public:
    const RingSlot& operator[](std::uint32_t index) const;
    std::uint32_t size() const {
      return static_cast<std::uint32_t>(words_.size() * sizeof(std::uint64_t) / kSlotBytes);
    }

   private:
    friend class RingFile;
    std::vector<std::uint64_t> words_;
  };
  Result<Slots> ReadSlots() const;
  Result<SlotState> ReadState(std::uint32_t index) const;
  Status WriteState(std::uint32_t index, SlotState state);
  Status WriteOutcome(std::uint32_t index, std::uint32_t outcome);

 private:
  RingFile(OwnedFd fd, std::uint32_t slots) : fd_(std::move(fd)), slots_(slots) {}
  Status WriteWord(std::uint32_t index, std::size_t at, std::uint32_t value);

  OwnedFd fd_;
  std::uint32_t slots_;
};

}  // namespace allod::inference::usage
