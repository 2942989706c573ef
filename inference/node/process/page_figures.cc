#include "inference/node/process/page_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace allod::inference::node::process {
namespace {

// What no machine passes: so much at once, and so much more in each second.
struct Bound {
  const char* name;
  std::int64_t PageFigures::*figure;
  double at_once;
  double per_second;
};

constexpr double kMicros = 1e6;
constexpr Bound kCounters[] = {
    {"requests", &PageFigures::requests, 1e4, 1e5},
    {"prompt tokens", &PageFigures::prompt_tokens, 1 << 22, 1e6},
    {"cached prompt tokens", &PageFigures::cached_prompt_tokens, 1 << 24, 1e8},
    {"completion tokens", &PageFigures::completion_tokens, 1 << 16, 1e6},
    {"turns", &PageFigures::turns, 1e4, 1e6},
    // One thread computes and waits.
    {"microseconds of compute", &PageFigures::compute_us, 10 * kMicros, kMicros},
    {"microseconds of waiting", &PageFigures::gate_wait_us, 10 * kMicros, kMicros},
    {"first tokens", &PageFigures::ttft_count, 1e4, 1e5},
};
// What an engine can have at once.
constexpr std::int64_t kActiveMax = 256;
constexpr std::int64_t kQueuedMax = 1 << 16;

std::int64_t Value(const std::atomic<std::uint64_t>& field) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(field.load(std::memory_order_relaxed), INT64_MAX));
}

}  // namespace

PageFigures ReadPage(const gate::WorkerPage& page) {
  PageFigures out;
  out.active_requests = page.active_requests.load(std::memory_order_relaxed);
  out.queued_requests = page.queued_requests.load(std::memory_order_relaxed);
  out.requests = Value(page.requests_total);
  out.prompt_tokens = Value(page.prompt_tokens_total);
  out.cached_prompt_tokens = Value(page.cached_prompt_tokens_total);
  out.completion_tokens = Value(page.completion_tokens_total);
  out.turns = Value(page.turns);
  out.compute_us = Value(page.compute_us);
  out.gate_wait_us = Value(page.gate_wait_us);
  out.ttft_count = Value(page.ttft_count);
  out.ttft_us = Value(page.ttft_us_sum);
  return out;
}

std::string ImpossibleFigure(const PageFigures& now, const PageFigures& before, double seconds) {
  for (const Bound& bound : kCounters) {
    const std::int64_t value = now.*bound.figure;
    if (value < before.*bound.figure) {
      return fmt::format("it showed {} {} after {}", value, bound.name, before.*bound.figure);
    }
    if (static_cast<double>(value) > bound.at_once + bound.per_second * seconds) {
      return fmt::format("it showed {} {} after {:.0f} s", value, bound.name, seconds);
    }
  }
  // No request waited longer than the worker lives.
  const double waited_max = static_cast<double>(now.ttft_count + 1) * (seconds + 10) * kMicros;
  if (now.ttft_us < before.ttft_us || static_cast<double>(now.ttft_us) > waited_max) {
    return fmt::format("it showed {} microseconds until first tokens", now.ttft_us);
  }
  if (now.active_requests > kActiveMax || now.queued_requests > kQueuedMax) {
    return fmt::format("it showed {} running and {} waiting requests", now.active_requests, now.queued_requests);
  }
  return "";
}

}  // namespace allod::inference::node::process
