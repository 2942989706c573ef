#include "gateway/metering/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gateway/metering/journal_slot.h"
#include "services/common/log.h"

namespace allod::gateway::metering {
namespace {

std::unexpected<Error> IoFailure(const std::filesystem::path& file, const char* what) {
  return Fail(Code::kInternal, "JOURNAL_IO",
              fmt::format("cannot {} {}: {}", what, file.string(), std::strerror(errno)));
}

std::unexpected<Error> TooNew(const std::string& what, std::uint32_t version) {
  return FailedPrecondition(
      "JOURNAL_TOO_NEW", fmt::format("{} has format {}, and this version reads formats up to {}; run the version that "
                                     "wrote it until billing has everything, or move it away",
                                     what, version, kJournalVersion));
}

std::uint32_t AddToCrc(std::uint32_t crc, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xedb88320 & (0 - (crc & 1)));
  }
  return crc;
}

bool Terminated(const char* text, std::size_t size) { return std::memchr(text, '\0', size) != nullptr; }

bool Intact(const JournalSlot& slot) {
  const auto state = static_cast<std::uint32_t>(slot.state.load());
  return state <= static_cast<std::uint32_t>(SlotState::kFinalised) &&
         slot.checksum == JournalChecksum(slot.fixed, slot.version) &&
         Terminated(slot.fixed.tenant, sizeof(slot.fixed.tenant)) &&
         Terminated(slot.fixed.instance, sizeof(slot.fixed.instance)) && slot.prompt_tokens.load() >= 0 &&
         slot.completion_tokens.load() >= 0;
}

}  // namespace

std::uint32_t JournalChecksum(const JournalSlot::Fixed& fixed, std::uint32_t version) {
  const std::uint32_t crc = AddToCrc(0xffffffff, &fixed, sizeof(fixed));
  return ~(version == 0 ? crc : AddToCrc(crc, &version, sizeof(version)));
}

Result<std::unique_ptr<Journal>> Journal::Open(const std::filesystem::path& directory, int slot_count,
                                               std::uint32_t lost_outcome) {
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  std::unique_ptr<Journal> out(new Journal());
  ALLOD_CHECK_OK(out->Map(directory / "requests.journal", slot_count));
  ALLOD_CHECK_OK(out->Recover(lost_outcome));
  return out;
}

Status Journal::Map(const std::filesystem::path& file, int slot_count) {
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return IoFailure(file, "open");
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition("JOURNAL_IN_USE", fmt::format("{} is in use by another gateway", file.string()));
  }
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return IoFailure(file, "stat");
  JournalFileHead head{};
  const bool has_head = info.st_size >= static_cast<off_t>(kJournalSlotBytes) &&
                        ::pread(fd_, &head, sizeof(head), 0) == static_cast<ssize_t>(sizeof(head)) && head.magic != 0;
  if (!has_head) {
    head = {kJournalMagic, kJournalSlotBytes, static_cast<std::uint32_t>(slot_count), kJournalVersion};
  }
  if (head.magic == kJournalMagic && head.version > kJournalVersion) return TooNew(file.string(), head.version);
  bytes_ = kJournalSlotBytes * (static_cast<std::size_t>(head.slot_count) + 1);
  if (head.magic != kJournalMagic || head.slot_bytes != kJournalSlotBytes || head.slot_count == 0 ||
      head.slot_count > (1U << 20) || (has_head && info.st_size < static_cast<off_t>(bytes_))) {
    return FailedPrecondition(
        "JOURNAL_UNREADABLE",
        fmt::format(
            "{} is not a journal, or not a whole one; move it away to start with an empty one (what waits in it "
            "for billing is then lost)",
            file.string()));
  }
  // Allocated up front: a full disk must not become SIGBUS at a store.
  if (const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(bytes_)); error != 0) {
    errno = error;
    return IoFailure(file, "allocate");
  }
  memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    return IoFailure(file, "map");
  }
  // Before any slot of this version is written.
  head.version = kJournalVersion;
  std::memcpy(memory_, &head, sizeof(head));
  slot_count_ = static_cast<int>(head.slot_count);
  return {};
}

Journal::~Journal() {
  if (memory_) ::munmap(memory_, bytes_);
  if (fd_ >= 0) ::close(fd_);
}

JournalSlot& Journal::At(int slot) const {
  return *reinterpret_cast<JournalSlot*>(static_cast<char*>(memory_) +
                                         kJournalSlotBytes * (static_cast<std::size_t>(slot) + 1));
}

Status Journal::Recover(std::uint32_t lost_outcome) {
  for (int i = slot_count_ - 1; i >= 0; --i) {
    JournalSlot& slot = At(i);
    if (slot.state.load() == SlotState::kFree) {
      free_.push_back(i);
      continue;
    }
    if (slot.version > kJournalVersion) return TooNew(fmt::format("slot {} of the journal", i), slot.version);
    if (!Intact(slot)) {
      ++torn_count_;
      Log(LogLevel::kError, "dropped a torn journal slot", {{"slot", std::to_string(i)}});
      slot.state.store(SlotState::kFree);
      free_.push_back(i);
      continue;
    }
    if (slot.state.load() == SlotState::kTaken) {
      const std::uint32_t ending = slot.outcome.load();
      // Nothing was delivered: the client got nothing for its prompt from us.
      if (ending == 0 && slot.completion_tokens.load() == 0) slot.prompt_tokens.store(0);
      Finalise(i, ending == 0 ? lost_outcome : ending);
    }
    recovered_.push_back(i);
  }
  return {};
}

Result<int> Journal::Take(const JournalEntry& entry) {
  JournalSlot::Fixed fixed{};
  if (entry.tenant.size() >= sizeof(fixed.tenant) || entry.instance.size() >= sizeof(fixed.instance)) {
    return InvalidArgument("INVALID_NAME", "the instance's name is too long for the journal");
  }
  int index = 0;
  {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      return Fail(Code::kUnavailable, "JOURNAL_FULL",
                  "too many requests wait for billing to confirm them; try again in a few seconds");
    }
    index = free_.back();
    free_.pop_back();
  }
  std::memcpy(fixed.request_id, entry.request_id.bytes().data(), sizeof(fixed.request_id));
  fixed.admit_time_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(entry.admit_time.time_since_epoch()).count();
  std::memcpy(fixed.tenant, entry.tenant.data(), entry.tenant.size());
  std::memcpy(fixed.instance, entry.instance.data(), entry.instance.size());
  JournalSlot& slot = At(index);
  slot.fixed = fixed;
  slot.version = kJournalVersion;
  slot.checksum = JournalChecksum(fixed, kJournalVersion);
  slot.reserved.store(0, std::memory_order_relaxed);
  slot.outcome.store(0, std::memory_order_relaxed);
  slot.prompt_tokens.store(0, std::memory_order_relaxed);
  slot.completion_tokens.store(0, std::memory_order_relaxed);
  slot.state.store(SlotState::kTaken, std::memory_order_release);
  return index;
}

void Journal::MarkReserved(int slot) { At(slot).reserved.store(1, std::memory_order_release); }

void Journal::SetPromptTokens(int slot, std::int64_t tokens) {
  At(slot).prompt_tokens.store(tokens, std::memory_order_release);
}

void Journal::AddCompletionTokens(int slot, std::int64_t tokens) {
  At(slot).completion_tokens.fetch_add(tokens, std::memory_order_release);
}

void Journal::SetOutcomeIfLost(int slot, std::uint32_t outcome) {
  At(slot).outcome.store(outcome, std::memory_order_release);
}

std::int64_t Journal::CompletionTokens(int slot) const { return At(slot).completion_tokens.load(); }

void Journal::Finalise(int slot, std::uint32_t outcome) {
  At(slot).outcome.store(outcome, std::memory_order_relaxed);
  At(slot).state.store(SlotState::kFinalised, std::memory_order_release);
}

Settlement Journal::Read(int index) const {
  const JournalSlot& slot = At(index);
  Settlement out;
  std::array<std::uint8_t, 16> id{};
  std::memcpy(id.data(), slot.fixed.request_id, id.size());
  out.entry.request_id = Uuid::FromBytes(id);
  out.entry.tenant = slot.fixed.tenant;
  out.entry.instance = slot.fixed.instance;
  out.entry.admit_time = Time(std::chrono::milliseconds(slot.fixed.admit_time_ms));
  out.outcome = slot.outcome.load(std::memory_order_acquire);
  out.prompt_tokens = slot.prompt_tokens.load(std::memory_order_acquire);
  out.completion_tokens = slot.completion_tokens.load(std::memory_order_acquire);
  out.reserved = slot.reserved.load(std::memory_order_acquire) != 0;
  return out;
}

void Journal::Free(int slot) {
  At(slot).state.store(SlotState::kFree, std::memory_order_release);
  const std::lock_guard lock(mutex_);
  free_.push_back(slot);
}

int Journal::used_count() const {
  const std::lock_guard lock(mutex_);
  return slot_count_ - static_cast<int>(free_.size());
}

}  // namespace allod::gateway::metering
