// Bounds how many requests wait for an instance to answer, while it is started or woken. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "gateway/telemetry/instance_metrics.h"

namespace allod::gateway::serving {

class WaitingRoom {
 public:
  explicit WaitingRoom(int seats_per_instance) : seats_per_instance_(seats_per_instance) {}
  WaitingRoom(const WaitingRoom&) = delete;

  // Given back on destruction. The room must outlive it.
  class Seat {
   public:
    Seat(Seat&& other) noexcept;
    Seat& operator=(Seat&&) = delete;
    ~Seat();

   private:
    friend class WaitingRoom;
    Seat(WaitingRoom& room, std::string instance);
    WaitingRoom* room_;
    std::string instance_;
    telemetry::InstanceMetrics metrics_;
  };

  // nullopt when all seats of the instance are taken.
  std::optional<Seat> Enter(const std::string& instance);
  int waiting(const std::string& instance) const;

 private:
  void Leave(const std::string& instance);

  const int seats_per_instance_;
  mutable std::mutex mutex_;
  std::map<std::string, int> waiting_;  // instances somebody waits for
};

}  // namespace allod::gateway::serving
