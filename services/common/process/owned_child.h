// A child process that ends with its owner: held by a pidfd, so that neither a signal nor a wait can ever meet another
// process that has its number by now.
//
// Destroying it kills and reaps. Not thread-safe. How it is started is its starter's business.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "services/common/owned_fd.h"

namespace allod {

// How a process ended: with an exit status, or by a signal.
struct ProcessEnd {
  int status = 0;
  int signal = 0;  // 0: it exited
  bool operator==(const ProcessEnd&) const = default;
};

class OwnedChild {
 public:
  OwnedChild() = default;  // none
  // Takes over what fork() made. None, with errno, where it cannot be held; it is killed and reaped then.
  static OwnedChild Adopt(pid_t pid);
  ~OwnedChild() { Kill(); }
  OwnedChild(OwnedChild&& other) noexcept;
  OwnedChild& operator=(OwnedChild&& other) noexcept;

  // Whether there is one that was not reaped yet.
  explicit operator bool() const { return static_cast<bool>(pidfd_); }
  // Its number, which after it was reaped may be another's; -1: there never was one.
  pid_t pid() const { return pid_; }
  // For poll(): readable once it has ended; -1: none.
  int exit_fd() const { return pidfd_.get(); }

  // Nothing where there is none.
  void Signal(int signal);
  // Reaps it once it has ended; nothing before.
  std::optional<ProcessEnd> TryReap() { return Wait(std::chrono::milliseconds(0)); }
  // The same, and waits for that; nothing when it still runs after `timeout`.
  std::optional<ProcessEnd> Wait(std::chrono::milliseconds timeout);
  // SIGKILL, and reaps it.
  void Kill();

 private:
  pid_t pid_ = -1;
  OwnedFd pidfd_;
};

}  // namespace allod
