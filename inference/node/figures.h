// What a node measures of its workers and models, for reports and metrics. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "inference/gate/arbiter.h"
#include "inference/node/pool/desired.h"
#include "inference/node/process/memory_figures.h"

namespace allod::inference::node {

using pool::SteadyTime;

// Of one worker process; totals grow also over its restarts and sleep.
struct WorkerFigures {
  std::int32_t pid = 0;
  std::int32_t active_requests = 0;
  std::int32_t queued_requests = 0;
  std::int64_t requests = 0;  // ended
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t turns = 0;
  double compute_seconds = 0;
  double gate_wait_seconds = 0;
  std::int64_t ttft_count = 0;
  double ttft_seconds = 0;
  double tokens_per_second = 0;  // over the last interval
  std::int64_t private_bytes = 0;
  std::int64_t pss_bytes = 0;
  std::vector<std::string> layers;  // of its sandbox
};

struct ModelFigures {
  int pid = 0;
  double load_seconds = 0;
  SteadyTime last_used{};
  process::MemoryFigures memory;
  std::int32_t worker_count = 0;
};

struct NodeFigures {
  std::map<std::string, WorkerFigures> workers;  // by worker key
  std::map<std::string, ModelFigures> models;    // by model key
  gate::GateFigures gate;
};

}  // namespace allod::inference::node
