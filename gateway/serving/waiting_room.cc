#include "gateway/serving/waiting_room.h"

#include <utility>

namespace allod::gateway::serving {

WaitingRoom::Seat::Seat(Seat&& other) noexcept
    : room_(std::exchange(other.room_, nullptr)), instance_(std::move(other.instance_)), metrics_(other.metrics_) {}

WaitingRoom::Seat::Seat(WaitingRoom& room, std::string instance)
    : room_(&room), instance_(std::move(instance)), metrics_(telemetry::MetricsOf(instance_)) {
  metrics_.AddWaiting(1);
}

WaitingRoom::Seat::~Seat() {
  if (room_ == nullptr) return;
  room_->Leave(instance_);
  metrics_.AddWaiting(-1);
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
  return Seat(*this, instance);
}

int WaitingRoom::waiting(const std::string& instance) const {
  const std::lock_guard lock(mutex_);
  const auto it = waiting_.find(instance);
  return it == waiting_.end() ? 0 : it->second;
}

void WaitingRoom::Leave(const std::string& instance) {
  const std::lock_guard lock(mutex_);
  const auto it = waiting_.find(instance);
  if (it != waiting_.end() && --it->second == 0) waiting_.erase(it);
}

}  // namespace allod::gateway::serving
