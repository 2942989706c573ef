// The bytes of one journal slot and of the file's head. Shared by the journal and its tests.
//
// The format has a version, in the head and in each slot, because an upgrade may find slots of before that wait for
// billing. Both versions are written where the first format, which had none, left zeros: it is version 0. A gateway
// reads every version up to its own, writes its own, and refuses a newer one. To change the format: raise
// kJournalVersion, give Intact() and Read() the new case and keep the old, and let the head's size and the place of
// `state` and of `version` as they are.
//   0  as below without `version`; the checksum is that of `fixed`
//   1  the checksum is that of `fixed` and `version`
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace allod::gateway::metering {

inline constexpr std::uint64_t kJournalMagic = 0x314c4e524a444c41;  // "ALDJRNL1", little-endian
inline constexpr std::size_t kJournalSlotBytes = 512;               // one disk sector, so a slot is never half written

enum class SlotState : std::uint32_t {
  kFree = 0,
  kTaken = 1,      // admitted; the immutable part is valid
  kFinalised = 2,  // outcome and counts are fixed
};

inline constexpr std::uint32_t kJournalVersion = 1;

struct JournalFileHead {
  std::uint64_t magic;
  std::uint32_t slot_bytes;
  std::uint32_t slot_count;
  std::uint32_t version;  // the highest that a slot may have
};

struct JournalSlot {
  std::atomic<SlotState> state;
  std::uint32_t checksum;  // CRC-32
  struct Fixed {
    std::uint8_t request_id[16];
    std::int64_t admit_time_ms;  // since the Unix epoch
    char tenant[80];             // NUL-terminated
    char instance[288];          // NUL-terminated
  } fixed;
  std::atomic<std::uint32_t> reserved;
  std::atomic<std::uint32_t> outcome;  // of a taken slot: how it ends if its gateway dies now, 0: as lost
  std::atomic<std::int64_t> prompt_tokens;
  std::atomic<std::int64_t> completion_tokens;
  std::uint32_t version;
};

static_assert(sizeof(JournalSlot) <= kJournalSlotBytes);
static_assert(sizeof(JournalFileHead) <= kJournalSlotBytes);
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<SlotState>::is_always_lock_free);

static_assert(offsetof(JournalSlot, state) == 0 && offsetof(JournalSlot, version) == 424);

// CRC-32 (ISO-HDLC) as slots of that version have it.
std::uint32_t JournalChecksum(const JournalSlot::Fixed& fixed, std::uint32_t version);

}  // namespace allod::gateway::metering
