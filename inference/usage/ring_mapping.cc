#include "inference/usage/ring_mapping.h"

#include <fcntl.h>
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

std::unexpected<Error> Failed(const std::string& what) {
  if (errno == ENOSPC || errno == EDQUOT) {
    return Fail(Code::kResourceExhausted, "DISK_FULL", fmt::format("{}: {}", what, std::strerror(errno)));
  }
  return Fail(Code::kInternal, "USAGE_RING_FAILED", fmt::format("{}: {}", what, std::strerror(errno)));
}

std::unexpected<Error> Damaged(const std::string& why) {
  return InvalidArgument("USAGE_RING_DAMAGED", "this is no usage ring: " + why);
}

}  // namespace

Result<RingMapping> RingMapping::CreateFile(const std::filesystem::path& path, const std::string& replica_uid,
                                            std::uint32_t slots) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Failed(path.string());
  // Reserved now: a store to a mapped page that finds the disk full would kill the process.
  if (const int error = posix_fallocate(fd, 0, static_cast<off_t>(RingFileBytes(slots))); error != 0) {
    errno = error;
    const auto failed = Failed(path.string());
    close(fd);
    unlink(path.c_str());
    return failed;
  }
  RingHead head{};
  head.magic = kRingMagic;
  head.slot_bytes = kSlotBytes;
  head.slot_count = slots;
  const Uuid id = Uuid::V7();
  std::memcpy(head.ring_id, id.bytes().data(), sizeof(head.ring_id));
  replica_uid.copy(head.replica_uid, sizeof(head.replica_uid) - 1);
  const bool written = pwrite(fd, &head, sizeof(head), 0) == static_cast<ssize_t>(sizeof(head));
  auto mapping = written ? FromFd(fd) : Result<RingMapping>(Failed(path.string()));
  close(fd);
  return mapping;
}

Result<RingMapping> RingMapping::OpenFile(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return Failed(path.string());
  auto mapping = FromFd(fd);
  close(fd);
  return mapping;
}

Result<RingMapping> RingMapping::FromFd(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return Failed("usage ring");
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
  if (base == MAP_FAILED) return Failed("usage ring");
  out.base_ = base;
  out.slots_ = head.slot_count;
  std::array<std::uint8_t, 16> id{};
  std::memcpy(id.data(), head.ring_id, id.size());
  out.ring_id_ = Uuid::FromBytes(id);
  out.replica_uid_.assign(head.replica_uid, strnlen(head.replica_uid, sizeof(head.replica_uid)));
  return out;
}

RingMapping::~RingMapping() {
  if (base_ != nullptr) munmap(base_, RingFileBytes(slots_));
}

RingMapping::RingMapping(RingMapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      slots_(other.slots_),
      ring_id_(other.ring_id_),
      replica_uid_(std::move(other.replica_uid_)) {}

RingMapping& RingMapping::operator=(RingMapping&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(slots_, other.slots_);
  std::swap(ring_id_, other.ring_id_);
  std::swap(replica_uid_, other.replica_uid_);
  return *this;
}

RingSlot& RingMapping::slot(std::uint32_t index) const {
  auto* bytes = static_cast<std::byte*>(base_) + (std::size_t{index} + 1) * kSlotBytes;
  return *std::launder(reinterpret_cast<RingSlot*>(bytes));
}

}  // namespace allod::inference::usage
