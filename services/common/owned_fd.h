// A file descriptor that closes itself, and the two of a pipe.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace allod {

class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd() { Reset(); }
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  OwnedFd read;
  OwnedFd write;

  // With pipe2(2)'s flags beside O_CLOEXEC. False when it could not be made; errno says why.
  static Pipe Make(int flags = 0) {
    int ends[2] = {-1, -1};
    (void)!pipe2(ends, flags | O_CLOEXEC);
    return {OwnedFd(ends[0]), OwnedFd(ends[1])};
  }
  explicit operator bool() const { return static_cast<bool>(write); }
};

}  // namespace allod
