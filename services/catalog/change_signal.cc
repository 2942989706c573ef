#include "services/catalog/change_signal.h"

#include <fmt/format.h>

namespace allod::catalog {

Result<std::shared_ptr<void>> ChangeSignal::Enter() {
  const std::scoped_lock lock(mutex_);
  if (waiters_ >= kWaitersMax) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_WAITERS",
                fmt::format("{} calls are waiting already; try again, or ask without waiting", kWaitersMax));
  }
  ++waiters_;
  return std::shared_ptr<void>(this, [this](void*) {
    const std::scoped_lock leaving(mutex_);
    --waiters_;
  });
}

std::uint64_t ChangeSignal::revision() const {
  const std::scoped_lock lock(mutex_);
  return revision_;
}

void ChangeSignal::WaitPast(std::uint64_t seen, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return stopped_ || revision_ > seen; });
}

void ChangeSignal::Notify() {
  {
    const std::scoped_lock lock(mutex_);
    ++revision_;
  }
  changed_.notify_all();
}

void ChangeSignal::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

bool ChangeSignal::stopped() const {
  const std::scoped_lock lock(mutex_);
  return stopped_;
}

}  // namespace allod::catalog
