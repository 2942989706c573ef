#include "inference/usage/ring_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>

namespace allod::inference::usage {
namespace {

std::unexpected<Error> Failed(const std::string& what) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  return Fail(full ? Code::kResourceExhausted : Code::kInternal, full ? "DISK_FULL" : "USAGE_RING_FAILED",
              fmt::format("{}: {}", what, std::strerror(error)));
}

off_t SlotAt(std::uint32_t index) { return static_cast<off_t>((std::size_t{index} + 1) * kSlotBytes); }

Status ReadWhole(int fd, void* out, std::size_t bytes, off_t at) {
  const ssize_t got = pread(fd, out, bytes, at);
  if (got == static_cast<ssize_t>(bytes)) return {};
  if (got < 0) return Failed("usage ring");
  return Fail(Code::kInternal, "USAGE_RING_FAILED", "usage ring: it is shorter than it was made");
}

}  // namespace

Result<RingFile> RingFile::Create(const std::filesystem::path& path, const Uuid& ring_id,
                                  const std::string& replica_uid, std::uint32_t slots) {
  OwnedFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Failed(path.string());
  const auto failed = [&] {
    const auto error = Failed(path.string());
    unlink(path.c_str());
    return error;
  };
  // Reserved now: a store to a mapped page that finds the disk full would kill the worker.
  if (const int error = posix_fallocate(fd.get(), 0, static_cast<off_t>(RingFileBytes(slots))); error != 0) {
    errno = error;
    return failed();
  }
  RingHead head{};
  head.magic = kRingMagic;
  head.slot_bytes = kSlotBytes;
  head.slot_count = slots;
  std::memcpy(head.ring_id, ring_id.bytes().data(), sizeof(head.ring_id));
  replica_uid.copy(head.replica_uid, sizeof(head.replica_uid) - 1);
  if (pwrite(fd.get(), &head, sizeof(head), 0) != static_cast<ssize_t>(sizeof(head))) return failed();
  return RingFile(std::move(fd), slots);
}

Result<RingFile> RingFile::Open(const std::filesystem::path& path, std::uint32_t slots) {
  OwnedFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return Failed(path.string());
  return RingFile(std::move(fd), slots);
}

Result<bool> RingFile::Restore() {
  const auto bytes = static_cast<off_t>(RingFileBytes(slots_));
  struct stat info {};
  if (fstat(fd_.get(), &info) != 0) return Failed("usage ring");
  if (info.st_size == bytes) return false;
  if (ftruncate(fd_.get(), bytes) != 0) return Failed("usage ring");
  return true;
}

Result<std::uint64_t> RingFile::ClosedTotal() const {
  std::uint64_t total = 0;
  ALLOD_CHECK_OK(ReadWhole(fd_.get(), &total, sizeof(total), offsetof(RingHead, closed_total)));
  return total;
}

const RingSlot& RingFile::Slots::operator[](std::uint32_t index) const {
  return *std::launder(reinterpret_cast<const RingSlot*>(words_.data() + index * (kSlotBytes / sizeof(std::uint64_t))));
}

Result<RingFile::Slots> RingFile::ReadSlots() const {
  Slots out;
  out.words_.resize(std::size_t{slots_} * kSlotBytes / sizeof(std::uint64_t));
  ALLOD_CHECK_OK(ReadWhole(fd_.get(), out.words_.data(), std::size_t{slots_} * kSlotBytes, SlotAt(0)));
  return out;
}

Result<SlotState> RingFile::ReadState(std::uint32_t index) const {
  std::uint32_t state = 0;
  ALLOD_CHECK_OK(ReadWhole(fd_.get(), &state, sizeof(state), SlotAt(index) + offsetof(RingSlot, state)));
  return static_cast<SlotState>(state);
}

Status RingFile::WriteWord(std::uint32_t index, std::size_t at, std::uint32_t value) {
  const off_t where = SlotAt(index) + static_cast<off_t>(at);
  if (pwrite(fd_.get(), &value, sizeof(value), where) == static_cast<ssize_t>(sizeof(value))) return {};
  return Failed("usage ring");
}

Status RingFile::WriteState(std::uint32_t index, SlotState state) {
  return WriteWord(index, offsetof(RingSlot, state), static_cast<std::uint32_t>(state));
}

Status RingFile::WriteOutcome(std::uint32_t index, std::uint32_t outcome) {
  return WriteWord(index, offsetof(RingSlot, outcome), outcome);
}

}  // namespace allod::inference::usage
