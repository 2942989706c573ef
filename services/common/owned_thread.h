// One thread and its owner: it is asked to stop and joined when its owner is destroyed, or before that by Stop(). What
// it throws ends the process (OrEnd in catching.h).
//
// The owner waits with std::condition_variable_any and the stop token that its body is given, which wakes it; so it
// needs no flag of its own. As its last member, the thread is gone before anything that it uses:
//
//   class Expirer {
//     void Loop(const std::stop_token& stop);
//     ...
//     OwnedThread thread_{"expirer", [this](const std::stop_token& stop) { Loop(stop); }};
//   };
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>

namespace allod {

class OwnedThread {
 public:
  // None yet: for an owner that starts it later, by assignment.
  OwnedThread() = default;
  // Starts it. `name` is for the log.
  OwnedThread(std::string name, std::function<void(std::stop_token)> body);

  // Idempotent; by one thread at a time, and never by the body.
  void Stop();
  bool stop_requested() const { return thread_.get_stop_token().stop_requested(); }

 private:
  std::jthread thread_;
};

// False when the stop came first, at once.
bool SleepFor(const std::stop_token& stop, std::chrono::milliseconds duration);

}  // namespace allod
