#include "services/common/rpc/accept_loop.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "services/common/catching.h"

namespace allod {
namespace {

// When the process has as many descriptors as it may have, or the machine is short of memory.
constexpr std::chrono::milliseconds kNoRoomPause{50};

}  // namespace

AcceptLoop::AcceptLoop(OwnedFd listening, std::string what, std::function<void(OwnedFd)> accepted)
    : listening_(std::move(listening)), accepted_(std::move(accepted)) {
  if (!stop_) std::abort();  // it could never be stopped
  thread_ = std::thread([this, name = std::move(what)] { OrEnd(name, [this] { Run(); }); });
}

AcceptLoop::~AcceptLoop() {
  stop_.Wake();
  thread_.join();
}

void AcceptLoop::Run() {
  while (true) {
    pollfd fds[2] = {{stop_.get(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno != EINTR) std::this_thread::sleep_for(kNoRoomPause);
      continue;
    }
    if (fds[0].revents != 0) return;
    if (fds[1].revents == 0) continue;
    OwnedFd connection(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      accepted_(std::move(connection));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
      std::this_thread::sleep_for(kNoRoomPause);
    }
  }
}

}  // namespace allod
