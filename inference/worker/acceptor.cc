#include "inference/worker/acceptor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "services/common/catching.h"

namespace allod::inference::worker {
namespace {

// When the process has as many descriptors as it may have.
constexpr std::chrono::milliseconds kNoDescriptorPause{50};

}  // namespace

Acceptor::Acceptor(OwnedFd listening, Server& server)
    : listening_(std::move(listening)), stop_(eventfd(0, EFD_CLOEXEC)), server_(server) {
  // A worker that accepts nobody is worth less than one that is forked anew.
  thread_ = std::thread([this] { OrEnd("acceptor", [this] { Run(); }); });
}

Acceptor::~Acceptor() {
  const std::uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void Acceptor::Run() {
  while (true) {
    pollfd fds[2] = {{stop_.get(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    if (fds[1].revents == 0) continue;
    const int fd = accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      server_.Adopt(fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
      std::this_thread::sleep_for(kNoDescriptorPause);
    }
  }
}

}  // namespace allod::inference::worker
