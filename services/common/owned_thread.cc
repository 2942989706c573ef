#include "services/common/owned_thread.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include "services/common/catching.h"

namespace allod {

OwnedThread::OwnedThread(std::string name, std::function<void(std::stop_token)> body)
    : thread_([name = std::move(name), body = std::move(body)](const std::stop_token& stop) {
        OrEnd(name, [&] { body(stop); });
      }) {}

void OwnedThread::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

bool SleepFor(const std::stop_token& stop, std::chrono::milliseconds duration) {
  std::mutex mutex;
  std::condition_variable_any nobody;
  std::unique_lock lock(mutex);
  nobody.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace allod
