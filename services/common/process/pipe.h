// Both ends of a new pipe(2).
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "services/common/owned_fd.h"

namespace allod {

struct Pipe {
  OwnedFd read;
  OwnedFd write;
  explicit operator bool() const { return static_cast<bool>(read); }
};

// Close-on-exec, and with `flags` of pipe2(2). Without ends, and with errno, when there can be none.
inline Pipe MakePipe(int flags = 0) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | flags) != 0) return {};
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

}  // namespace allod
