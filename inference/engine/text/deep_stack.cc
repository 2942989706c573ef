#include "inference/engine/text/deep_stack.h"

#include <pthread.h>

#include "inference/engine/text/allocation_budget.h"

namespace allod::inference::engine::text {
namespace {

constexpr std::size_t kStackBytes = 64 << 20;

thread_local std::chrono::nanoseconds time_of_deep_stacks{};

struct Work {
  const std::function<void()>& run;
  std::chrono::nanoseconds processor_time{};
};

void* Call(void* argument) {
  auto* const work = static_cast<Work*>(argument);
  work->run();
  work->processor_time = ThreadProcessorTime();
  return nullptr;
}

}  // namespace

std::chrono::nanoseconds ProcessorTimeWithDeepStacks() { return ThreadProcessorTime() + time_of_deep_stacks; }

Status RunOnDeepStack(const std::function<void()>& run) {
  Work work{run};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread{};
  const int failed = pthread_create(&thread, &attributes, &Call, &work);
  pthread_attr_destroy(&attributes);
  if (failed != 0) {
    return Fail(Code::kResourceExhausted, "NO_THREAD", "no thread could be started for this request; try again later");
  }
  pthread_join(thread, nullptr);
  time_of_deep_stacks += work.processor_time;
  return {};
}

}  // namespace allod::inference::engine::text
