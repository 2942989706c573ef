// What the supervisor measures of workers and models.
#include <algorithm>

#include "inference/node/supervisor.h"

namespace allod::inference::node {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr auto kMemoryEvery = seconds(10);
constexpr std::size_t kMemoryReadsAtOnce = 2;

}  // namespace

// Of which processes the memory is read now. The kernel walks their pages for it, while all else waits for this thread:
// so only few at a time, those whose figures are the oldest.
SteadyTime Supervisor::OldestMemoryReads(SteadyTime now) const {
  std::vector<SteadyTime> reads;
  for (const auto& [key, running] : running_) reads.push_back(running.memory_read);
  for (const auto& [key, zygote] : zygotes_) reads.push_back(zygote.memory_read);
  if (reads.empty()) return now;
  const std::size_t last = std::min(kMemoryReadsAtOnce, reads.size()) - 1;
  std::ranges::nth_element(reads, reads.begin() + static_cast<std::ptrdiff_t>(last));
  return std::min(reads[last], now - kMemoryEvery);
}

void Supervisor::RefreshFigures() {
  const SteadyTime now = steady_clock::now();
  const double interval = std::chrono::duration<double>(now - figures_at_).count();
  figures_at_ = now;
  const SteadyTime read_before = OldestMemoryReads(now);
  NodeFigures fresh;
  fresh.gate = gate_.figures();
  for (auto& [key, running] : running_) {
    const process::PageFigures shown = process::ReadPage(running.process.page());
    const double seconds = std::chrono::duration<double>(now - running.started).count();
    if (const std::string lie = process::ImpossibleFigure(shown, running.shown, seconds); !lie.empty()) {
      Accuse(running, lie);
    } else {
      running.shown = shown;
    }
    const process::PageFigures& page = running.shown;
    const auto before = ended_.find(key);
    const WorkerFigures base = before == ended_.end() ? WorkerFigures{} : before->second;
    const auto last = figures_.workers.find(key);
    WorkerFigures f;
    f.pid = running.process.pid();
    f.active_requests = static_cast<std::int32_t>(page.active_requests);
    f.queued_requests = static_cast<std::int32_t>(page.queued_requests);
    f.requests = base.requests + page.requests;
    f.gate_wait_seconds = base.gate_wait_seconds + static_cast<double>(page.gate_wait_us) / 1e6;
    f.prompt_tokens = base.prompt_tokens + page.prompt_tokens;
    f.cached_prompt_tokens = base.cached_prompt_tokens + page.cached_prompt_tokens;
    f.completion_tokens = base.completion_tokens + page.completion_tokens;
    f.turns = base.turns + page.turns;
    f.compute_seconds = base.compute_seconds + static_cast<double>(page.compute_us) / 1e6;
    f.ttft_count = base.ttft_count + page.ttft_count;
    f.ttft_seconds = base.ttft_seconds + static_cast<double>(page.ttft_us) / 1e6;
    f.layers = running.process.layers();
    if (last != figures_.workers.end()) {
      f.private_bytes = last->second.private_bytes;
      f.pss_bytes = last->second.pss_bytes;
      if (interval > 0) {
        f.tokens_per_second =
            static_cast<double>(std::max<std::int64_t>(0, f.completion_tokens - last->second.completion_tokens)) /
            interval;
      }
    }
    if (running.memory_read <= read_before) {
      running.memory_read = now;
      if (const auto memory = running.process.ReadMemory()) {
        f.private_bytes = memory->private_bytes;
        f.pss_bytes = memory->pss_bytes;
      }
    }
    ++fresh.models[running.model_key].worker_count;
    fresh.workers[key] = std::move(f);
  }
  for (auto& [key, zygote] : zygotes_) {
    ModelFigures& f = fresh.models[key];
    f.pid = zygote.process.pid();
    f.load_seconds = zygote.load_seconds;
    f.last_used = set_.LastUsed(key);
    const auto last = figures_.models.find(key);
    if (last != figures_.models.end()) f.memory = last->second.memory;
    if (zygote.memory_read <= read_before) {
      zygote.memory_read = now;
      f.memory = zygote.process.ReadMemory().value_or(f.memory);
    }
  }
  figures_ = std::move(fresh);
  figures_due_ = false;
  std::erase_if(ended_, [this](const auto& entry) { return !sockets_.contains(entry.first); });
}

}  // namespace allod::inference::node
