#include "inference/deep_stack.h"

#include <pthread.h>

namespace allod::inference {
namespace {

constexpr std::size_t kStackBytes = 64 << 20;

void* Call(void* work) {
  (*static_cast<const std::function<void()>*>(work))();
  return nullptr;
}

}  // namespace

Status RunOnDeepStack(const std::function<void()>& work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread{};
  const int failed =
      pthread_create(&thread, &attributes, &Call, const_cast<std::function<void()>*>(&work));  // only called
  pthread_attr_destroy(&attributes);
  if (failed != 0) {
    return Fail(Code::kResourceExhausted, "NO_THREAD", "no thread could be started for this request; try again later");
  }
  pthread_join(thread, nullptr);
  return {};
}

}  // namespace allod::inference
