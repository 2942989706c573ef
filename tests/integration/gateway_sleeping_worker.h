// A worker that sleeps: its socket listens, but nobody accepts until Wake(), as when a node agent holds the socket of a
// worker that it has ended. Counts connections, so that a test sees who wakes it.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "services/common/owned_fd.h"
#include "services/common/rpc/server.h"

namespace allod::gateway {

class SleepingWorker {
 public:
  SleepingWorker(const std::string& path, grpc::Service& service) : service_(service) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener_, 128) != 0) {
      throw std::runtime_error("cannot listen on " + path);
    }
  }
  ~SleepingWorker() {
    Sleep();
    ::close(listener_);
  }
  SleepingWorker(const SleepingWorker&) = delete;

  // Somebody connected and waits to be accepted.
  bool Knocked() const {
    pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 0) == 1;
  }

  void Wake() {
    server_ = Server::Start({}, {&service_}).value();
    awake_ = true;
    accepting_ = std::thread([this] {
      while (awake_) {
        pollfd waiting{.fd = listener_, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 5) != 1) continue;
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection < 0) continue;
        ++connections;
        server_->Adopt(OwnedFd(connection));
      }
    });
  }

  // Says goodbye (GOAWAY) and ends.
  void Sleep() {
    awake_ = false;
    if (accepting_.joinable()) accepting_.join();
    if (server_) server_->Stop(std::chrono::seconds(1));
    server_.reset();
  }

  std::atomic<int> connections{0};

 private:
  grpc::Service& service_;
  int listener_ = -1;
  std::atomic<bool> awake_{false};
  std::unique_ptr<Server> server_;
  std::thread accepting_;
};

}  // namespace allod::gateway
