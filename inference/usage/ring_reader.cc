#include "inference/usage/ring_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace allod::inference::usage {
namespace {

// Resource names are ASCII; what is none must not make a message that nobody can read.
std::string Printable(const char* text, std::size_t bytes_max) {
  std::string out(text, strnlen(text, bytes_max));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

Uuid UuidOf(const std::uint8_t (&bytes)[16]) {
  std::array<std::uint8_t, 16> out{};
  std::ranges::copy(bytes, out.begin());
  return Uuid::FromBytes(out);
}

SlotContent ContentOf(const RingSlot& slot, std::uint32_t index) {
  SlotContent out;
  out.slot = index;
  out.sequence = slot.sequence;
  out.request_id = UuidOf(slot.request_id);
  out.tenant = UuidOf(slot.tenant_uid);
  out.instance = Printable(slot.instance, sizeof(slot.instance));
  out.outcome = slot.outcome.load(std::memory_order_relaxed);
  out.prompt_tokens = slot.prompt_tokens.load(std::memory_order_relaxed);
  out.cached_prompt_tokens = slot.cached_prompt_tokens.load(std::memory_order_relaxed);
  out.sampled_tokens = slot.sampled_tokens.load(std::memory_order_relaxed);
  out.start_us = slot.start_us;
  out.end_us = slot.last_us.load(std::memory_order_relaxed);
  return out;
}

}  // namespace

Status RingReader::CloseOpen() {
  ALLOD_TRY(const RingFile::Slots slots, ring_.ReadSlots());
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    const SlotState state = slots[i].state.load(std::memory_order_relaxed);
    if (state == SlotState::kFree || state == SlotState::kClosed) continue;  // anything else is open, or rubbish
    ALLOD_CHECK_OK(ring_.WriteOutcome(i, static_cast<std::uint32_t>(ports::UsageOutcome::kLost)));
    ALLOD_CHECK_OK(ring_.WriteState(i, SlotState::kClosed));
  }
  return {};
}

Result<std::vector<SlotContent>> RingReader::Closed(std::size_t max) const {
  ALLOD_TRY(const RingFile::Slots slots, ring_.ReadSlots());
  std::vector<SlotContent> out;
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    if (slots[i].state.load(std::memory_order_relaxed) == SlotState::kClosed) out.push_back(ContentOf(slots[i], i));
  }
  std::ranges::stable_sort(out, {}, &SlotContent::sequence);
  if (out.size() > max) out.resize(max);
  return out;
}

Status RingReader::Free(std::uint32_t slot) {
  ALLOD_TRY(const SlotState state, ring_.ReadState(slot));
  // A slot that was freed already and taken again is another request's.
  if (state != SlotState::kClosed) return {};
  return ring_.WriteState(slot, SlotState::kFree);
}

Result<bool> RingReader::Empty() const {
  ALLOD_TRY(const RingFile::Slots slots, ring_.ReadSlots());
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    if (slots[i].state.load(std::memory_order_relaxed) != SlotState::kFree) return false;
  }
  return true;
}

}  // namespace allod::inference::usage
