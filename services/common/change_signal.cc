#include "services/common/change_signal.h"

namespace allod {

std::uint64_t ChangeSignal::revision() const {
  const std::scoped_lock lock(mutex_);
  return revision_;
}

std::uint64_t ChangeSignal::WaitPast(std::uint64_t seen, std::chrono::milliseconds wait) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return stopped_ || revision_ > seen; });
  return revision_;
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

}  // namespace allod
