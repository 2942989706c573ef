// Keeps something in step with its source on a thread of its own: refreshes it every `interval`, and at once after
// Notify(). Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "services/common/change_signal.h"
#include "services/common/owned_thread.h"
#include "services/common/result.h"

namespace allod {

class RefreshLoop {
 public:
  // `what` is for the log: "API keys". What `refresh` throws is its failure; a row of failures is logged once. None is
  // made before Start().
  RefreshLoop(std::string what, std::chrono::milliseconds interval, std::function<Status()> refresh)
      : what_(std::move(what)), interval_(interval), refresh_(std::move(refresh)) {}
  ~RefreshLoop() { Stop(); }
  RefreshLoop(const RefreshLoop&) = delete;

  void Start();
  // Joins the thread.
  void Stop();
  // Something changed: refresh now.
  void Notify() { notified_.Notify(); }

 private:
  void Loop();

  const std::string what_;
  const std::chrono::milliseconds interval_;
  const std::function<Status()> refresh_;
  ChangeSignal notified_;
  OwnedThread thread_;  // last: it uses everything above
};

}  // namespace allod
