// Runs every process of a one-machine installation: PostgreSQL and Redis first, then the services, and restarts what
// dies.
//
// One thread, and one that collects what children say (log_collector.h). A child that ends is started again after 100
// ms, then 200 ms, ... at most 5 s apart; a child that ran for 30 s starts from 100 ms again. Children die with the
// supervisor (PR_SET_PDEATHSIG), so nothing is left over after a kill -9. Stopping goes in the reverse order of
// starting; what does not end within its grace is killed.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cli/installation/state_dir.h"
#include "cli/supervisor/child.h"
#include "cli/supervisor/log_collector.h"

namespace allod::cli::supervisor {

class Supervisor {
 public:
  // `stop_fd` becomes readable when everything shall stop (a signalfd).
  Supervisor(const installation::StateDir& state, int stop_fd) : state_(state), stop_fd_(stop_fd) {}
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;

  Status Start(ChildSpec spec);
  // Supervises until `ready` holds (asked every 20 ms), the stop descriptor becomes readable (CANCELLED / STOPPED) or
  // the time is over (DEADLINE_EXCEEDED / NOT_READY with what the children logged last; at once when one refuses its
  // configuration).
  Status WaitUntil(const std::string& what, const std::function<bool()>& ready, std::chrono::seconds timeout);
  // Supervises until the stop descriptor becomes readable; calls `now_and_then` about every second.
  void Run(const std::function<void()>& now_and_then = {});
  void StopAll();

 private:
  struct Child {
    ChildSpec spec;
    RunningChild running;
    int start_count = 0;
    std::chrono::steady_clock::time_point started{};
    std::chrono::steady_clock::time_point restart_at{};
    std::chrono::milliseconds backoff{100};
    std::vector<std::string> layers;  // what it told of itself since it was started
    std::string last_end;
    int last_status = 0;
  };

  Result<RunningChild> StartLogged(const ChildSpec& spec);
  // One round of waiting for events; false when asked to stop.
  bool Step(std::chrono::milliseconds patience);
  void ReadLayers(Child& child);
  void Reap(Child& child);
  void Forget(Child& child);
  void Launch(Child& child);
  void StopChild(Child& child);
  // run/status.json, for `allod status`.
  void Publish() const;

  installation::StateDir state_;
  int stop_fd_;
  LogCollector logs_;
  std::vector<Child> children_;
};

}  // namespace allod::cli::supervisor
