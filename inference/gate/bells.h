// How workers call the arbiter: a pipe each, so that it is known who rings, and a bound on how often each may.
//
// A worker rings when it wants a turn or gives one back, a few times per step. One that rings without end would have
// the arbiter, which every worker waits for, do nothing but listen: it is not heard for the rest of the second, and
// after three such seconds in a row it is named as flooding. For one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::gate {

// More than a worker can have turns.
inline constexpr std::int64_t kRingsPerSecondMax = 20'000;
inline constexpr int kFloodSeconds = 3;

class Bells {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // The listening ends are watched in `epoll`.
  explicit Bells(int epoll) : epoll_(epoll) {}

  // The end that the worker writes to, non-blocking. Its listening end is another description: nothing that the worker
  // does to its own makes a read here wait. INTERNAL / NO_BELL.
  Result<OwnedFd> Make(std::uint64_t id, SteadyTime now);
  void Remove(std::uint64_t id);
  // Takes what was rung: by those of `ids` that have a bell.
  void Listen(std::span<const std::uint64_t> ids, SteadyTime now);
  // Whether one is not heard now: listen again in the next second.
  bool AnyMuted() const { return muted_ > 0; }
  // Who rang without end, since the last call.
  std::vector<std::uint64_t> TakeFlooding();

 private:
  struct Bell {
    OwnedFd listening;
    std::int64_t rings = 0;  // in this second
    bool is_muted = false;
    bool is_closed = false;
    int seconds_over = 0;  // in a row
    bool was_named = false;
  };

  void NewSecond();
  void Watch(std::uint64_t id, Bell& bell, bool on);

  const int epoll_;
  std::map<std::uint64_t, Bell> bells_;
  std::chrono::seconds second_{};
  int muted_ = 0;
  std::vector<std::uint64_t> flooding_;
};

}  // namespace allod::inference::gate
