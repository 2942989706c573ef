#include "inference/usage/ring_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace allod::inference::usage {
namespace {

// More than any request can have.
constexpr std::int64_t kTokensMax = std::int64_t{1} << 32;

std::int64_t Bounded(std::int64_t tokens) { return std::clamp<std::int64_t>(tokens, 0, kTokensMax); }

// The end of the year 9999, the last that a timestamp may name.
constexpr std::int64_t kMicrosMax = 253'402'300'799'000'000;

std::int64_t BoundedTime(std::int64_t micros) { return std::clamp<std::int64_t>(micros, 0, kMicrosMax); }

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

UsageOutcome OutcomeOf(std::uint32_t value) {
  switch (value) {
    case static_cast<std::uint32_t>(UsageOutcome::kCompleted):
      return UsageOutcome::kCompleted;
    case static_cast<std::uint32_t>(UsageOutcome::kCancelled):
      return UsageOutcome::kCancelled;
    case static_cast<std::uint32_t>(UsageOutcome::kLost):
      return UsageOutcome::kLost;
    default:
      return UsageOutcome::kFailed;
  }
}

}  // namespace

void RingReader::CloseOpen() {
  for (std::uint32_t i = 0; i < ring_.slot_count(); ++i) {
    RingSlot& slot = ring_.slot(i);
    const SlotState state = slot.state.load(std::memory_order_acquire);
    if (state == SlotState::kFree || state == SlotState::kClosed) continue;  // anything else is open, or rubbish
    slot.outcome.store(static_cast<std::uint32_t>(UsageOutcome::kLost), std::memory_order_relaxed);
    slot.state.store(SlotState::kClosed, std::memory_order_release);
    ring_.head().closed_total.fetch_add(1, std::memory_order_release);
  }
}

std::vector<UsageEvent> RingReader::Closed(std::size_t max) const {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> closed;
  for (std::uint32_t i = 0; i < ring_.slot_count(); ++i) {
    const RingSlot& slot = ring_.slot(i);
    if (slot.state.load(std::memory_order_acquire) == SlotState::kClosed) closed.emplace_back(slot.sequence, i);
  }
  std::ranges::sort(closed);
  if (closed.size() > max) closed.resize(max);
  std::vector<UsageEvent> out;
  for (const auto& [sequence, index] : closed) {
    const RingSlot& slot = ring_.slot(index);
    UsageEvent event;
    event.event_id = Uuid::FromName(fmt::format("{}/{}", ring_.ring_id().ToString(), sequence));
    event.request_id = UuidOf(slot.request_id);
    event.tenant = UuidOf(slot.tenant_uid);
    event.instance = Printable(slot.instance, sizeof(slot.instance));
    event.replica_uid = Printable(ring_.replica_uid().c_str(), ring_.replica_uid().size());
    event.prompt_tokens = Bounded(slot.prompt_tokens.load(std::memory_order_relaxed));
    event.cached_prompt_tokens = Bounded(slot.cached_prompt_tokens.load(std::memory_order_relaxed));
    event.sampled_tokens = Bounded(slot.sampled_tokens.load(std::memory_order_relaxed));
    event.outcome = OutcomeOf(slot.outcome.load(std::memory_order_relaxed));
    event.start_us = BoundedTime(slot.start_us);
    event.end_us = std::max(event.start_us, BoundedTime(slot.last_us.load(std::memory_order_relaxed)));
    event.slot = index;
    out.push_back(std::move(event));
  }
  return out;
}

void RingReader::Free(const UsageEvent& event) {
  RingSlot& slot = ring_.slot(event.slot);
  // A slot that was freed already and taken again is another request's.
  if (slot.state.load(std::memory_order_acquire) != SlotState::kClosed) return;
  slot.state.store(SlotState::kFree, std::memory_order_release);
}

bool RingReader::Empty() const {
  for (std::uint32_t i = 0; i < ring_.slot_count(); ++i) {
    if (ring_.slot(i).state.load(std::memory_order_acquire) != SlotState::kFree) return false;
  }
  return true;
}

}  // namespace allod::inference::usage
