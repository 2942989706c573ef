#include "gateway/metering/journal_upgrade.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "services/common/fault_point.h"
#include "services/common/ids.h"
#include "services/common/log.h"

namespace allod::gateway::metering {
namespace {

template <typename T>
T ReadAt(const char* bytes, std::size_t offset) {
  T out;
  std::memcpy(&out, bytes + offset, sizeof(out));
  return out;
}

bool WriteAll(int fd, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

// The file of the new format, as bytes.
Result<std::string> Convert(int old_fd, const JournalFileHead& head, const std::filesystem::path& file) {
  std::string out((std::size_t{head.slot_count} + 1) * kJournalSlotBytes, '\0');
  JournalFileHead new_head{kJournalMagic, kJournalSlotBytes, head.slot_count, kJournalVersion, {}};
  const Uuid gateway_id = Uuid::V7();
  std::memcpy(new_head.gateway_id, gateway_id.bytes().data(), sizeof(new_head.gateway_id));
  std::memcpy(out.data(), &new_head, sizeof(new_head));
  std::array<char, kOldSlotBytes> slot{};
  for (std::uint32_t i = 0; i < head.slot_count; ++i) {
    const off_t at = static_cast<off_t>(kOldSlotBytes) * (static_cast<off_t>(i) + 1);
    if (::pread(old_fd, slot.data(), slot.size(), at) != static_cast<ssize_t>(slot.size())) {
      return JournalIoFailure(file, "read");
    }
    if (ReadAt<SlotState>(slot.data(), offsetof(JournalSlot, state)) == SlotState::kFree) continue;
    const auto version = ReadAt<std::uint32_t>(slot.data(), offsetof(JournalSlot, version));
    if (version > kOldVersionMax) return JournalTooNew(fmt::format("slot {} of the journal", i), version);
    constexpr std::size_t kKept = offsetof(JournalSlot, terms_checksum);
    std::memcpy(out.data() + kJournalSlotBytes * (std::size_t{i} + 1), slot.data(), kKept);
  }
  return out;
}

}  // namespace

std::unexpected<Error> JournalIoFailure(const std::filesystem::path& file, const char* what) {
  return Fail(Code::kInternal, "JOURNAL_IO",
              fmt::format("cannot {} {}: {}", what, file.string(), std::strerror(errno)));
}

std::unexpected<Error> JournalTooNew(const std::string& what, std::uint32_t version) {
  return FailedPrecondition(
      "JOURNAL_TOO_NEW", fmt::format("{} has format {}, and this version reads formats up to {}; run the version that "
                                     "wrote it until billing has everything, or move it away",
                                     what, version, kJournalVersion));
}

Result<OwnedFd> UpgradeJournal(int old_fd, const JournalFileHead& head, const std::filesystem::path& file) {
  ALLOD_TRY(const std::string bytes, Convert(old_fd, head, file));
  const std::filesystem::path beside = file.string() + ".new";
  // Whoever began it before is dead: the old file is locked by us.
  OwnedFd out(::open(beside.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return JournalIoFailure(beside, "open");
  if (::flock(out.get(), LOCK_EX | LOCK_NB) != 0) return JournalIoFailure(beside, "lock");
  if (!WriteAll(out.get(), bytes) || ::fsync(out.get()) != 0) return JournalIoFailure(beside, "write");
  PassFaultPoint(FaultPoint::kJournalUpgradeWritten);
  if (::rename(beside.c_str(), file.c_str()) != 0) return JournalIoFailure(beside, "rename");
  PassFaultPoint(FaultPoint::kJournalUpgradeRenamed);
  const OwnedFd directory(::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return JournalIoFailure(file.parent_path(), "write");
  Log(LogLevel::kInfo, "took over a journal of an earlier format",
      {{"file", file.string()}, {"from", std::to_string(head.version)}, {"to", std::to_string(kJournalVersion)}});
  return out;
}

}  // namespace allod::gateway::metering
