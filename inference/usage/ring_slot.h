// The bytes of a usage ring: a file with one slot for each request, which its worker maps (RingMapping) and its node
// agent reads (RingFile). What of a slot is believed stands in ring_check.h.
//
// A slot goes free -> open -> closed (by the worker) -> free (by the agent, once its event is safe). The worker stores
// each count as it happens; the kernel keeps the file's pages whoever is killed, so that what stands in an open slot of
// a dead worker is what that request had cost. The agent closes such slots as lost. Times are of the wall clock,
// because they outlive the process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace allod::inference::usage {

inline constexpr std::uint64_t kRingMagic = 0x31474e5255444c41;  // "ALDURNG1", little-endian
inline constexpr std::size_t kSlotBytes = 512;
inline constexpr std::uint32_t kSlotsDefault = 1024;
inline constexpr std::uint32_t kSlotsMax = 65'536;
inline constexpr std::size_t kInstanceBytesMax = 288;

enum class SlotState : std::uint32_t { kFree = 0, kOpen = 1, kClosed = 2 };

// In the file's first slot.
struct RingHead {
  std::uint64_t magic;
  std::uint32_t slot_bytes;
  std::uint32_t slot_count;                 // those after the head
  std::uint8_t ring_id[16];                 // for people: what counts stands in the ring's deed, as does
  char replica_uid[40];                     // NUL-terminated
  std::atomic<std::uint64_t> sequence;      // of the newest opened slot
  std::atomic<std::uint64_t> closed_total;  // grows with each closed slot: something to collect
};
static_assert(sizeof(RingHead) <= kSlotBytes);

struct RingSlot {
  std::atomic<SlotState> state;
  std::atomic<std::uint32_t> outcome;  // UsageOutcome
  std::uint64_t sequence;
  std::uint8_t request_id[16];
  std::uint8_t tenant_uid[16];
  std::int64_t start_us;              // since the Unix epoch
  std::atomic<std::int64_t> last_us;  // of the newest count
  std::atomic<std::int64_t> prompt_tokens;
  std::atomic<std::int64_t> cached_prompt_tokens;
  std::atomic<std::int64_t> sampled_tokens;
  char instance[kInstanceBytesMax];  // NUL-terminated resource name
};
static_assert(sizeof(RingSlot) <= kSlotBytes);
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<SlotState>::is_always_lock_free);

inline std::size_t RingFileBytes(std::uint32_t slots) { return (std::size_t{slots} + 1) * kSlotBytes; }

}  // namespace allod::inference::usage
