#include "inference/usage/ring_mapping.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace allod::inference::usage {
namespace {

std::unexpected<Error> MappingFailed(const std::string& what) {
  return Fail(Code::kInternal, "USAGE_RING_FAILED", fmt::format("{}: {}", what, std::strerror(errno)));
}

std::unexpected<Error> Damaged(const std::string& why) {
  return InvalidArgument("USAGE_RING_DAMAGED", "this is no usage ring: " + why);
}

}  // namespace

Result<RingMapping> RingMapping::FromFd(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return MappingFailed("usage ring");
  RingHead head{};
  if (info.st_size < static_cast<off_t>(kSlotBytes) || pread(fd, &head, sizeof(head), 0) != sizeof(head)) {
    return Damaged("it is too short");
  }
  if (head.magic != kRingMagic || head.slot_bytes != kSlotBytes) return Damaged("it has another magic or slot size");
  if (head.slot_count == 0 || head.slot_count > kSlotsMax ||
      static_cast<std::size_t>(info.st_size) != RingFileBytes(head.slot_count)) {
    return Damaged(fmt::format("{} bytes are not {} slots", info.st_size, head.slot_count));
  }
  RingMapping out;
  void* base = mmap(nullptr, RingFileBytes(head.slot_count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return MappingFailed("usage ring");
  out.base_ = base;
  out.slots_ = head.slot_count;
  return out;
}

RingMapping::~RingMapping() {
  if (base_ != nullptr) munmap(base_, RingFileBytes(slots_));
}

RingMapping::RingMapping(RingMapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), slots_(other.slots_) {}

RingMapping& RingMapping::operator=(RingMapping&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(slots_, other.slots_);
  return *this;
}

RingSlot& RingMapping::slot(std::uint32_t index) const {
  auto* bytes = static_cast<std::byte*>(base_) + (std::size_t{index} + 1) * kSlotBytes;
  return *std::launder(reinterpret_cast<RingSlot*>(bytes));
}

}  // namespace allod::inference::usage
