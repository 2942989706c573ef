// Wakes a thread that waits in poll(2) or epoll(7): an eventfd(2).
//
// Thread-safe. Readable from the first Wake() until Clear(), so none is lost.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "services/common/owned_fd.h"

namespace allod {

class WakeFd {
 public:
  WakeFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  int get() const { return fd_.get(); }
  // Whether the kernel had one to give.
  explicit operator bool() const { return static_cast<bool>(fd_); }
  void Wake() const {
    const std::uint64_t one = 1;
    (void)!write(fd_.get(), &one, sizeof(one));
  }
  void Clear() const {
    std::uint64_t wakes = 0;
    (void)!read(fd_.get(), &wakes, sizeof(wakes));
  }

 private:
  OwnedFd fd_;
};

}  // namespace allod
