// Does something again and again on a thread of its own: keeps a copy in step with its source, or works through what
// has come due. At once, then every `interval`, and after Notify(). Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
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
      : RefreshLoop("read " + what, interval,
                    [refresh = std::move(refresh)](const std::stop_token&) { return refresh(); }) {}
  // Of other work, which asks its token when it is long. `doing` is for the log: "release what is due".
  RefreshLoop(std::string doing, std::chrono::milliseconds interval, std::function<Status(const std::stop_token&)> work)
      : doing_(std::move(doing)), interval_(interval), work_(std::move(work)) {}
  ~RefreshLoop() { Stop(); }
  RefreshLoop(const RefreshLoop&) = delete;

  void Start();
  // Joins the thread.
  void Stop();
  // Something changed: refresh now.
  void Notify() { notified_.Notify(); }

 private:
  void Loop(const std::stop_token& stop);

  const std::string doing_;
  const std::chrono::milliseconds interval_;
  const std::function<Status(const std::stop_token&)> work_;
  ChangeSignal notified_;
  OwnedThread thread_;  // last: it uses everything above
};

}  // namespace allod
