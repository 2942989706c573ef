// The bytes of one journal slot and of the file's head. Shared by the journal and its tests.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace allod::gateway {

inline constexpr std::uint64_t kJournalMagic = 0x314c4e524a444c41;  // "ALDJRNL1", little-endian
inline constexpr std::size_t kJournalSlotBytes = 512;               // one disk sector, so a slot is never half written

enum class SlotState : std::uint32_t {
  kFree = 0,
  kTaken = 1,      // admitted; the immutable part is valid
  kFinalised = 2,  // outcome and counts are fixed
};

struct JournalFileHead {
  std::uint64_t magic;
  std::uint32_t slot_bytes;
  std::uint32_t slot_count;
};

struct JournalSlot {
  std::atomic<SlotState> state;
  std::uint32_t checksum;  // CRC-32 of `fixed`
  struct Fixed {
    std::uint8_t request_id[16];
    std::int64_t admit_time_ms;  // since the Unix epoch
    char tenant[80];             // NUL-terminated
    char instance[288];          // NUL-terminated
  } fixed;
  std::atomic<std::uint32_t> reserved;
  std::atomic<std::uint32_t> outcome;
  std::atomic<std::int64_t> prompt_tokens;
  std::atomic<std::int64_t> completion_tokens;
};

static_assert(sizeof(JournalSlot) <= kJournalSlotBytes);
static_assert(sizeof(JournalFileHead) <= kJournalSlotBytes);
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<SlotState>::is_always_lock_free);

// CRC-32 (ISO-HDLC).
std::uint32_t JournalChecksum(const JournalSlot::Fixed& fixed);

}  // namespace allod::gateway
