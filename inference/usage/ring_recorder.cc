#include "inference/usage/ring_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "services/common/fault_point.h"
#include "services/common/ids.h"

namespace allod::inference::usage {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{500};

std::int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class OpenSlot final : public ports::UsageSlot {
 public:
  OpenSlot(RingHead& head, RingSlot& slot) : head_(head), slot_(slot) {}
  ~OpenSlot() override {
    if (!finished_) Finish(ports::UsageOutcome::kFailed);
  }
  OpenSlot(const OpenSlot&) = delete;
  OpenSlot& operator=(const OpenSlot&) = delete;

  void CountPrompt(std::int32_t computed, std::int32_t cached) override {
    slot_.prompt_tokens.store(computed, std::memory_order_relaxed);
    slot_.cached_prompt_tokens.store(cached, std::memory_order_relaxed);
    slot_.last_us.store(NowMicros(), std::memory_order_relaxed);
  }

  void CountSampled() override {
    // This thread alone writes it.
    slot_.sampled_tokens.store(slot_.sampled_tokens.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    PassFaultPoint(FaultPoint::kRingCounted);
    slot_.last_us.store(NowMicros(), std::memory_order_relaxed);
  }

  void Finish(ports::UsageOutcome outcome) override {
    if (finished_) return;
    finished_ = true;
    slot_.last_us.store(NowMicros(), std::memory_order_relaxed);
    slot_.outcome.store(static_cast<std::uint32_t>(outcome), std::memory_order_relaxed);
    PassFaultPoint(FaultPoint::kRingClosing);
    slot_.state.store(SlotState::kClosed, std::memory_order_release);
    PassFaultPoint(FaultPoint::kRingClosed);
    head_.closed_total.fetch_add(1, std::memory_order_release);
  }

 private:
  RingHead& head_;
  RingSlot& slot_;
  bool finished_ = false;
};

}  // namespace

Result<std::unique_ptr<ports::UsageSlot>> RingRecorder::Open(std::string_view request_id, std::string_view tenant_uid,
                                                             std::string_view instance) {
  const auto request = Uuid::Parse(request_id);
  if (!request) return InvalidArgument("INVALID_REQUEST_ID", fmt::format("request_id: {}", request.error().message));
  const auto tenant = Uuid::Parse(tenant_uid);
  if (!tenant) return InvalidArgument("INVALID_TENANT", fmt::format("tenant_uid: {}", tenant.error().message));
  if (instance.size() >= kInstanceBytesMax) {
    return InvalidArgument("INVALID_INSTANCE", fmt::format("instance has more than {} bytes", kInstanceBytesMax - 1));
  }
  const std::lock_guard lock(mutex_);
  for (std::uint32_t looked = 0; looked < ring_.slot_count(); ++looked) {
    RingSlot& slot = ring_.slot(next_);
    next_ = (next_ + 1) % ring_.slot_count();
    if (slot.state.load(std::memory_order_acquire) != SlotState::kFree) continue;
    slot.sequence = ring_.head().sequence.fetch_add(1, std::memory_order_relaxed) + 1;
    std::ranges::copy(request->bytes(), slot.request_id);
    std::ranges::copy(tenant->bytes(), slot.tenant_uid);
    std::memset(slot.instance, 0, sizeof(slot.instance));
    instance.copy(slot.instance, sizeof(slot.instance) - 1);
    slot.start_us = NowMicros();
    slot.last_us.store(slot.start_us, std::memory_order_relaxed);
    slot.outcome.store(0, std::memory_order_relaxed);
    slot.prompt_tokens.store(0, std::memory_order_relaxed);
    slot.cached_prompt_tokens.store(0, std::memory_order_relaxed);
    slot.sampled_tokens.store(0, std::memory_order_relaxed);
    PassFaultPoint(FaultPoint::kRingFilled);
    slot.state.store(SlotState::kOpen, std::memory_order_release);
    PassFaultPoint(FaultPoint::kRingOpened);
    return std::make_unique<OpenSlot>(ring_.head(), slot);
  }
  Error full{
      Code::kResourceExhausted, "USAGE_RING_FULL",
      fmt::format("the usage of the last {} requests could not be handed on yet; try again later", ring_.slot_count())};
  full.retry_after = kRetryAfter;
  return std::unexpected(std::move(full));
}

}  // namespace allod::inference::usage
