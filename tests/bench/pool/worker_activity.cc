#include "tests/bench/pool/worker_activity.h"

#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace allod::bench {

namespace {

constexpr std::chrono::milliseconds kSample(4);
// Longer than any pause within a step: then it is idle.
constexpr std::chrono::milliseconds kIdle(60);
// What gRPC's timers use up now and then.
constexpr std::int64_t kNoiseNanoseconds = 400'000;

}  // namespace

WorkerActivity::WorkerActivity(pid_t pid) {
  std::error_code ec;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ec)) {
    threads_.push_back(task.path() / "schedstat");
  }
  if (threads_.empty()) throw std::runtime_error("no process " + std::to_string(pid));
}

std::int64_t WorkerActivity::ProcessorNanoseconds() const {
  std::int64_t sum = 0;
  for (const auto& thread : threads_) {
    std::ifstream file(thread);
    std::int64_t nanoseconds = 0;
    if (file >> nanoseconds) sum += nanoseconds;
  }
  return sum;
}

SteadyTime WorkerActivity::AwaitIdle(std::chrono::milliseconds limit) const {
  const SteadyTime start = SteadyClock::now();
  SteadyTime active = start;
  std::int64_t used = ProcessorNanoseconds();
  while (SteadyClock::now() < start + limit && SteadyClock::now() < active + kIdle) {
    std::this_thread::sleep_for(kSample);
    const std::int64_t now = ProcessorNanoseconds();
    if (now - used > kNoiseNanoseconds) active = SteadyClock::now();
    used = now;
  }
  return active;
}

}  // namespace allod::bench
