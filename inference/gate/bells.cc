#include "inference/gate/bells.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace allod::inference::gate {
namespace {

// What a worker writes for each ring.
constexpr std::size_t kRingBytes = sizeof(std::uint64_t);

}  // namespace

Result<OwnedFd> Bells::Make(std::uint64_t id, SteadyTime now) {
  Pipe pipe = Pipe::Make(O_NONBLOCK);
  if (!pipe) {
    return Fail(Code::kInternal, "NO_BELL", std::string("pipe: ") + std::strerror(errno));
  }
  Remove(id);
  if (bells_.empty()) second_ = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  Bell& bell = bells_[id];
  bell.listening = std::move(pipe.read);
  Watch(id, bell, true);
  return std::move(pipe.write);
}

void Bells::Remove(std::uint64_t id) {
  const auto found = bells_.find(id);
  if (found == bells_.end()) return;
  if (found->second.is_muted) --muted_;
  bells_.erase(found);  // closing takes it out of the epoll set
}

void Bells::Watch(std::uint64_t id, Bell& bell, bool on) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  epoll_ctl(epoll_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, bell.listening.get(), &event);
}

void Bells::NewSecond() {
  for (auto& [id, bell] : bells_) {
    bell.seconds_over = bell.is_muted ? bell.seconds_over + 1 : 0;
    bell.rings = 0;
    if (!std::exchange(bell.is_muted, false)) continue;
    Watch(id, bell, true);
    if (bell.seconds_over >= kFloodSeconds && !std::exchange(bell.was_named, true)) flooding_.push_back(id);
  }
  muted_ = 0;
}

void Bells::Listen(std::span<const std::uint64_t> ids, SteadyTime now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  if (second != second_) {
    NewSecond();
    second_ = second;
  }
  for (const std::uint64_t id : ids) {
    const auto found = bells_.find(id);
    if (found == bells_.end() || found->second.is_muted || found->second.is_closed) continue;
    Bell& bell = found->second;
    char rings[4096];
    const ssize_t bytes = read(bell.listening.get(), rings, sizeof(rings));
    if (bytes < 0) continue;
    if (bytes == 0) {
      // It is gone, or closed its end: the kernel would say so again and again.
      Watch(id, bell, false);
      bell.is_closed = true;
      continue;
    }
    bell.rings += static_cast<std::int64_t>((static_cast<std::size_t>(bytes) + kRingBytes - 1) / kRingBytes);
    if (bell.rings <= kRingsPerSecondMax) continue;
    bell.is_muted = true;
    ++muted_;
    Watch(id, bell, false);
  }
}

std::vector<std::uint64_t> Bells::TakeFlooding() { return std::exchange(flooding_, {}); }

}  // namespace allod::inference::gate
