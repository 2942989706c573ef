#include "gateway/metering/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>

#include "gateway/metering/journal_slot.h"
#include "gateway/metering/journal_upgrade.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"

namespace allod::gateway::metering {
namespace {

// An upgrade may put another file in the place of the one that was opened.
constexpr int kOpensMax = 16;

std::uint32_t Crc(std::uint32_t crc, const void* data, std::size_t size) {
  return static_cast<std::uint32_t>(::crc32(crc, static_cast<const Bytef*>(data), static_cast<uInt>(size)));
}

template <std::size_t size>
bool Terminated(const char (&text)[size]) {
  return std::memchr(text, '\0', size) != nullptr;
}

bool Intact(const JournalSlot& slot) {
  const auto state = static_cast<std::uint32_t>(slot.state.load());
  return state <= static_cast<std::uint32_t>(SlotState::kFinalised) &&
         slot.checksum == JournalChecksum(slot.fixed, slot.version) && Terminated(slot.fixed.tenant) &&
         Terminated(slot.fixed.instance) && slot.prompt_tokens.load() >= 0 && slot.completion_tokens.load() >= 0;
}

bool HasWholeTerms(const JournalSlot& slot) {
  const JournalSlot::Terms& terms = slot.terms;
  return slot.terms_checksum == TermsChecksum(slot.fixed, terms) && Terminated(terms.variant) &&
         Terminated(terms.price_book) && Terminated(terms.isolation_class) && Terminated(terms.api_key);
}

// Of the file that has this name when it is locked.
Result<OwnedFd> OpenLocked(const std::filesystem::path& file) {
  for (int i = 0; i < kOpensMax; ++i) {
    OwnedFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return JournalIoFailure(file, "open");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) break;
    struct stat opened {};
    struct stat named {};
    if (::fstat(fd.get(), &opened) != 0) return JournalIoFailure(file, "stat");
    if (::stat(file.c_str(), &named) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev) return fd;
  }
  return FailedPrecondition("JOURNAL_IN_USE", fmt::format("{} is in use by another gateway", file.string()));
}

std::unexpected<Error> Unreadable(const std::filesystem::path& file) {
  return FailedPrecondition(
      "JOURNAL_UNREADABLE",
      fmt::format("{} is not a journal, or not a whole one; move it away to start with an empty one (what waits in it "
                  "for billing is then lost)",
                  file.string()));
}

template <std::size_t size>
bool Put(char (&field)[size], const std::string& text) {
  if (text.size() >= size) return false;
  std::memcpy(field, text.data(), text.size());
  return true;
}

void Put(std::uint8_t (&field)[16], Amount amount) {
  const Int128 pico = amount.pico();
  std::memcpy(field, &pico, sizeof(pico));
}

Amount AmountOf(const std::uint8_t (&field)[16]) {
  Int128 pico = 0;
  std::memcpy(&pico, field, sizeof(pico));
  return Amount::FromPico(pico);
}

Uuid UuidOf(const std::uint8_t (&field)[16]) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), field, bytes.size());
  return Uuid::FromBytes(bytes);
}

static_assert(std::endian::native == std::endian::little && sizeof(Int128) == 16);

}  // namespace

std::uint32_t JournalChecksum(const JournalSlot::Fixed& fixed, std::uint32_t version) {
  const std::uint32_t crc = Crc(0, &fixed, sizeof(fixed));
  return version == 0 ? crc : Crc(crc, &version, sizeof(version));
}

std::uint32_t TermsChecksum(const JournalSlot::Fixed& fixed, const JournalSlot::Terms& terms) {
  return Crc(Crc(0, fixed.request_id, sizeof(fixed.request_id)), &terms, sizeof(terms));
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
  ALLOD_TRY(fd_, OpenLocked(file));
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return JournalIoFailure(file, "stat");
  const auto size = static_cast<std::size_t>(info.st_size);
  JournalFileHead head{};
  const bool has_head = size >= kOldSlotBytes &&
                        ::pread(fd_.get(), &head, sizeof(head), 0) == static_cast<ssize_t>(sizeof(head)) &&
                        head.magic != 0;
  if (!has_head) {
    head = {kJournalMagic, kJournalSlotBytes, static_cast<std::uint32_t>(slot_count), kJournalVersion, {}};
    const Uuid id = Uuid::V7();
    std::memcpy(head.gateway_id, id.bytes().data(), sizeof(head.gateway_id));
    return MapWhole(file, head, true);
  }
  if (head.magic != kJournalMagic) return Unreadable(file);
  if (head.version > kJournalVersion) return JournalTooNew(file.string(), head.version);
  const std::size_t slot_bytes = head.version > kOldVersionMax ? kJournalSlotBytes : kOldSlotBytes;
  if (head.slot_bytes != slot_bytes || head.slot_count == 0 || head.slot_count > kSlotsMax ||
      size < slot_bytes * (std::size_t{head.slot_count} + 1)) {
    return Unreadable(file);
  }
  if (head.version <= kOldVersionMax) {
    ALLOD_TRY(fd_, UpgradeJournal(fd_.get(), head, file));
    if (::pread(fd_.get(), &head, sizeof(head), 0) != static_cast<ssize_t>(sizeof(head))) {
      return JournalIoFailure(file, "read");
    }
  }
  return MapWhole(file, head, false);
}

Status Journal::MapWhole(const std::filesystem::path& file, const JournalFileHead& head, bool is_new) {
  bytes_ = kJournalSlotBytes * (std::size_t{head.slot_count} + 1);
  // Allocated up front: a full disk must not become SIGBUS at a store.
  if (const int error = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(bytes_)); error != 0) {
    errno = error;
    return JournalIoFailure(file, "allocate");
  }
  memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    return JournalIoFailure(file, "map");
  }
  if (is_new) {
    PassFaultPoint(FaultPoint::kJournalSized);
    // The head is there when it begins as one.
    std::memcpy(static_cast<char*>(memory_) + sizeof(head.magic),
                reinterpret_cast<const char*>(&head) + sizeof(head.magic), sizeof(head) - sizeof(head.magic));
    std::atomic_ref<std::uint64_t>(*static_cast<std::uint64_t*>(memory_)).store(head.magic);
  }
  gateway_id_ = UuidOf(head.gateway_id);
  slot_count_ = static_cast<int>(head.slot_count);
  return {};
}

Journal::~Journal() {
  if (memory_) ::munmap(memory_, bytes_);
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
    if (slot.version > kJournalVersion) return JournalTooNew(fmt::format("slot {} of the journal", i), slot.version);
    if (!Intact(slot)) {
      ++torn_count_;
      Log(LogLevel::kError, "dropped a torn journal slot", {{"slot", std::to_string(i)}});
      slot.state.store(SlotState::kFree);
      free_.push_back(i);
      continue;
    }
    if (!IsOld(i) && !HasWholeTerms(slot)) {  // it never ran
      slot.state.store(SlotState::kFree);
      free_.push_back(i);
      continue;
    }
    if (slot.state.load() == SlotState::kTaken) {
      const std::uint32_t ending = slot.outcome.load();
      // Nothing was delivered: the client got nothing for its prompt from us.
      if (ending == 0 && slot.completion_tokens.load() == 0) slot.prompt_tokens.store(0);
      Finalise(i, ending == 0 ? lost_outcome : ending);
      PassFaultPoint(FaultPoint::kJournalRecovering);
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
  slot.completion_tokens_max.store(0, std::memory_order_relaxed);
  slot.terms_checksum = 0;
  PassFaultPoint(FaultPoint::kJournalFilled);
  slot.state.store(SlotState::kTaken, std::memory_order_release);
  PassFaultPoint(FaultPoint::kJournalTaken);
  return index;
}

Status Journal::CheckNames(const PriceKey& price, const std::string& api_key) {
  JournalSlot::Terms bytes{};
  if (Put(bytes.variant, price.variant) && Put(bytes.price_book, price.price_book) &&
      Put(bytes.isolation_class, price.isolation_class) && Put(bytes.api_key, api_key)) {
    return {};
  }
  return InvalidArgument("INVALID_NAME", "the name of the variant, its price book, class or key is too long");
}

void Journal::SetTerms(int index, const LeaseTerms& terms) {
  JournalSlot::Terms bytes{};
  std::memcpy(bytes.lease_id, terms.lease_id.bytes().data(), sizeof(bytes.lease_id));
  Put(bytes.prompt_price, terms.prices.prompt);
  Put(bytes.completion_price, terms.prices.completion);
  bytes.prompt_tokens_max = terms.bounds.prompt;
  Put(bytes.variant, terms.price.variant);
  Put(bytes.price_book, terms.price.price_book);
  Put(bytes.isolation_class, terms.price.isolation_class);
  Put(bytes.api_key, terms.api_key);
  JournalSlot& slot = At(index);
  slot.terms = bytes;
  slot.completion_tokens_max.store(terms.bounds.completion, std::memory_order_relaxed);
  PassFaultPoint(FaultPoint::kJournalTermsHalf);
  std::atomic_ref<std::uint32_t>(slot.terms_checksum)
      .store(TermsChecksum(slot.fixed, bytes), std::memory_order_release);
  PassFaultPoint(FaultPoint::kJournalTerms);
}

void Journal::SetCompletionTokensMax(int slot, std::int64_t tokens) {
  At(slot).completion_tokens_max.store(tokens, std::memory_order_release);
  PassFaultPoint(FaultPoint::kJournalExtended);
}

void Journal::SetPromptTokens(int slot, std::int64_t tokens) {
  At(slot).prompt_tokens.store(tokens, std::memory_order_release);
}

void Journal::AddCompletionTokens(int slot, std::int64_t tokens) {
  At(slot).completion_tokens.fetch_add(tokens, std::memory_order_release);
  PassFaultPoint(FaultPoint::kJournalCounted);
}

void Journal::SetOutcomeIfLost(int slot, std::uint32_t outcome) {
  At(slot).outcome.store(outcome, std::memory_order_release);
}

std::int64_t Journal::CompletionTokens(int slot) const { return At(slot).completion_tokens.load(); }

void Journal::Finalise(int slot, std::uint32_t outcome) {
  At(slot).outcome.store(outcome, std::memory_order_relaxed);
  PassFaultPoint(FaultPoint::kJournalOutcome);
  At(slot).state.store(SlotState::kFinalised, std::memory_order_release);
  PassFaultPoint(FaultPoint::kJournalFinalised);
}

Settlement Journal::Read(int index) const {
  const JournalSlot& slot = At(index);
  Settlement out;
  out.entry.request_id = UuidOf(slot.fixed.request_id);
  out.entry.tenant = slot.fixed.tenant;
  out.entry.instance = slot.fixed.instance;
  out.entry.admit_time = Time(std::chrono::milliseconds(slot.fixed.admit_time_ms));
  out.outcome = slot.outcome.load(std::memory_order_acquire);
  out.prompt_tokens = slot.prompt_tokens.load(std::memory_order_acquire);
  out.completion_tokens = slot.completion_tokens.load(std::memory_order_acquire);
  out.reserved = slot.reserved.load(std::memory_order_acquire) != 0;
  if (IsOld(index)) return out;
  const JournalSlot::Terms& terms = slot.terms;
  out.terms = LeaseTerms{UuidOf(terms.lease_id),
                         {terms.variant, terms.price_book, terms.isolation_class},
                         {AmountOf(terms.prompt_price), AmountOf(terms.completion_price)},
                         {terms.prompt_tokens_max, slot.completion_tokens_max.load(std::memory_order_acquire)},
                         terms.api_key};
  return out;
}

std::string Journal::TenantOf(int slot) const { return At(slot).fixed.tenant; }

bool Journal::IsOld(int slot) const { return At(slot).version <= kOldVersionMax; }

void Journal::Free(int slot) {
  PassFaultPoint(FaultPoint::kJournalFreeing);
  At(slot).state.store(SlotState::kFree, std::memory_order_release);
  PassFaultPoint(FaultPoint::kJournalFreed);
  const std::lock_guard lock(mutex_);
  free_.push_back(slot);
}

int Journal::used_count() const {
  const std::lock_guard lock(mutex_);
  return slot_count_ - static_cast<int>(free_.size());
}

}  // namespace allod::gateway::metering
