#include "services/common/refresh_loop.h"

#include <cstdint>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod {

void RefreshLoop::Start() {
  thread_ = OwnedThread(doing_, [this](const std::stop_token& stop) { Loop(stop); });
}

void RefreshLoop::Stop() {
  notified_.Stop();
  thread_.Stop();
}

void RefreshLoop::Loop(const std::stop_token& stop) {
  bool was_ok = true;
  std::uint64_t seen = notified_.revision();
  while (!notified_.stopped()) {
    const Status status = Catching(doing_, [&] { return work_(stop); });
    // Said once per outage, not once a second.
    if (!status && was_ok) {
      Log(LogLevel::kWarning, "cannot " + doing_ + "; tried again",
          {{"reason", status.error().reason}, {"message", status.error().message}});
    }
    was_ok = status.has_value();
    seen = notified_.WaitPast(seen, interval_);
  }
}

}  // namespace allod
