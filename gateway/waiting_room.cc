#include "gateway/waiting_room.h"

#include <utility>

#include "gateway/instance_metrics.h"

namespace allod::gateway {

WaitingRoom::Seat::Seat(Seat&& other) noexcept
    : room_(std::exchange(other.room_, nullptr)), instance_(std::move(other.instance_)) {}

WaitingRoom::Seat::~Seat() {
  if (room_) room_->Leave(instance_);
}

std::optional<WaitingRoom::Seat> WaitingRoom::Enter(const std::string& instance) {
  {
    const std::lock_guard lock(mutex_);
    int& count = waiting_[instance];
    if (count >= seats_per_instance_) {
      if (count == 0) waiting_.erase(instance);
      return std::nullopt;
    }
    ++count;
  }
  MetricsOf(instance).AddWaiting(1);
  return Seat(*this, instance);
}

int WaitingRoom::waiting(const std::string& instance) const {
  const std::lock_guard lock(mutex_);
  const auto it = waiting_.find(instance);
  return it == waiting_.end() ? 0 : it->second;
}

void WaitingRoom::Leave(const std::string& instance) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = waiting_.find(instance);
    if (it != waiting_.end() && --it->second == 0) waiting_.erase(it);
  }
  MetricsOf(instance).AddWaiting(-1);
}

}  // namespace allod::gateway
