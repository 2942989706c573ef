#include "services/common/refresh_loop.h"

#include <cstdint>

#include "services/common/catching.h"
#include "services/common/log.h"

namespace allod {

void RefreshLoop::Start() {
  thread_ = OwnedThread("refresh " + what_, [this](const std::stop_token&) { Loop(); });
}

void RefreshLoop::Stop() {
  notified_.Stop();
  thread_.Stop();
}

void RefreshLoop::Loop() {
  bool was_ok = true;
  std::uint64_t seen = notified_.revision();
  while (!notified_.stopped()) {
    const Status status = Catching("refresh " + what_, refresh_);
    // Said once per outage, not once a second.
    if (!status && was_ok) Log(LogLevel::kWarning, "cannot read " + what_, {{"error", status.error().message}});
    was_ok = status.has_value();
    seen = notified_.WaitPast(seen, interval_);
  }
}

}  // namespace allod
