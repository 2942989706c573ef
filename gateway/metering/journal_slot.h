// The bytes of one journal slot and of the file's head. Shared by the journal and its tests.
//
// The format has a version, in the head and in each slot, because an upgrade may find slots of before that wait for
// billing. Both versions are written where the first format, which had none, left zeros: it is version 0. A gateway
// reads every version up to its own, writes its own, and refuses a newer one. To change the format: raise
// kJournalVersion, give Intact() and Read() the new case and keep the old, and let the places of the head's fields and
// those of `state` and of `version` be as they are.
//   0  slots of 512 bytes, as below up to `version` but without it; the checksum is that of `fixed`
//   1  the same; the checksum is that of `fixed` and `version`
//   2  slots of 1024 bytes that begin like those of 1 and go on with the terms of a lease; the head names the gateway.
//      A file of slots of 512 bytes is made anew (journal_upgrade.h); slots of 0 and 1 stay what they are in it
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace allod::gateway::metering {

inline constexpr std::uint64_t kJournalMagic = 0x314c4e524a444c41;  // "ALDJRNL1", little-endian
inline constexpr std::size_t kJournalSlotBytes = 1024;
inline constexpr std::size_t kOldSlotBytes = 512;   // of versions 0 and 1
inline constexpr std::uint32_t kOldVersionMax = 1;  // slots that know no lease
inline constexpr std::uint32_t kSlotsMax = 1U << 20;

enum class SlotState : std::uint32_t {
  kFree = 0,
  kTaken = 1,      // admitted; the immutable part is valid
  kFinalised = 2,  // outcome and counts are fixed
};

inline constexpr std::uint32_t kJournalVersion = 2;

// The file begins with it, in the place of a slot.
struct JournalFileHead {
  std::uint64_t magic;
  std::uint32_t slot_bytes;
  std::uint32_t slot_count;
  std::uint32_t version;        // the highest that a slot may have
  std::uint8_t gateway_id[16];  // made with the file; since version 2
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
  std::atomic<std::uint32_t> reserved;  // up to version 1: billing acknowledged the reservation
  std::atomic<std::uint32_t> outcome;   // of a taken slot: how it ends if its gateway dies now, 0: as lost
  std::atomic<std::int64_t> prompt_tokens;
  std::atomic<std::int64_t> completion_tokens;
  std::uint32_t version;
  // Since version 2. Of the request's id and `terms`: what another request left here is not this one's. Without whole
  // terms a request never ran on them.
  std::uint32_t terms_checksum;
  std::atomic<std::int64_t> completion_tokens_max;  // grows as the answer does
  struct Terms {
    std::uint8_t lease_id[16];
    std::uint8_t prompt_price[16];  // of one token in 10^-12, little-endian
    std::uint8_t completion_price[16];
    std::int64_t prompt_tokens_max;
    char variant[224];  // these are NUL-terminated
    char price_book[48];
    char isolation_class[16];
    char api_key[224];
  } terms;
};

static_assert(sizeof(JournalSlot) <= kJournalSlotBytes);
static_assert(sizeof(JournalFileHead) <= kOldSlotBytes);
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<SlotState>::is_always_lock_free);

static_assert(offsetof(JournalSlot, state) == 0 && offsetof(JournalSlot, version) == 424);
static_assert(offsetof(JournalSlot, terms) == 440 && sizeof(JournalSlot::Terms) == 568, "without a gap");

// CRC-32 (ISO-HDLC) as slots of that version have it.
std::uint32_t JournalChecksum(const JournalSlot::Fixed& fixed, std::uint32_t version);
// Of a slot's terms.
std::uint32_t TermsChecksum(const JournalSlot::Fixed& fixed, const JournalSlot::Terms& terms);

}  // namespace allod::gateway::metering
