// What a request is told that finds no place in a worker's queue, or loses it.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>

#include "services/common/result.h"

namespace allod::inference::ports {

inline constexpr std::chrono::milliseconds kQueueRetryAfter{1000};

inline Error QueueFull(std::int32_t waiting) {
  Error error{Code::kResourceExhausted, "QUEUE_FULL",
              fmt::format("{} requests wait already; try again later", waiting)};
  error.retry_after = kQueueRetryAfter;
  return error;
}

inline Error QueueTimeout(std::chrono::milliseconds waited) {
  Error error{Code::kResourceExhausted, "QUEUE_TIMEOUT",
              fmt::format("no place became free for {} s; try again later", waited.count() / 1000)};
  error.retry_after = kQueueRetryAfter;
  return error;
}

inline Error EngineStopped() { return {Code::kUnavailable, "ENGINE_STOPPED", "the worker is stopping; try again"}; }

}  // namespace allod::inference::ports
