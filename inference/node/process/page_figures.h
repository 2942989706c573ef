// What a worker shows of itself in its page, and whether that can be.
//
// Pure. A worker writes its page alone and may have been taken over: what it shows goes into reports and metrics only
// when it is no more than any worker can have done in its time.
#pragma once

#include <cstdint>
#include <string>

#include "inference/gate/worker_page.h"

namespace allod::inference::node::process {

// Counted since the worker was assigned; times in microseconds.
struct PageFigures {
  std::int64_t active_requests = 0;
  std::int64_t queued_requests = 0;
  std::int64_t requests = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t turns = 0;
  std::int64_t compute_us = 0;
  std::int64_t gate_wait_us = 0;
  std::int64_t ttft_count = 0;
  std::int64_t ttft_us = 0;
};

// Numbers that no 63 bits hold are the largest that do.
PageFigures ReadPage(const gate::WorkerPage& page);

// What cannot be of a worker that lives for `seconds` and showed `before` when it was last looked at; empty when
// nothing is wrong.
std::string ImpossibleFigure(const PageFigures& now, const PageFigures& before, double seconds);

}  // namespace allod::inference::node::process
