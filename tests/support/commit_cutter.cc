#include "tests/support/commit_cutter.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "services/common/pg/connection_string.h"

namespace allod {
namespace {

sockaddr_un UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("socket path too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

int ConnectTo(const std::string& host, const std::string& port) {
  if (host.starts_with('/')) {
    const sockaddr_un address = UnixAddress(host + "/.s.PGSQL." + port);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
    close(fd);
    return -1;
  }
  addrinfo* found = nullptr;
  const addrinfo hints{.ai_socktype = SOCK_STREAM};
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return -1;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = connect(fd, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (connected) return fd;
  close(fd);
  return -1;
}

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

CommitCutter::CommitCutter(const std::string& upstream_url) {
  auto parameters = ParseConnectionString(upstream_url).value();
  host_ = parameters["host"];
  port_ = parameters.contains("port") ? parameters["port"] : "5432";
  const sockaddr_un address = UnixAddress((dir_ / (".s.PGSQL." + port_)).string());
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_, 16) != 0 || pipe2(wake_, O_CLOEXEC) != 0) {
    throw std::runtime_error("cannot listen in " + dir_.path().string());
  }
  parameters["host"] = dir_.path().string();
  url_ = ToConnectionString(parameters);
  thread_ = std::jthread([this] { Loop(); });
}

CommitCutter::~CommitCutter() {
  close(wake_[1]);
  thread_.join();
  close(wake_[0]);
  close(listener_);
}

void CommitCutter::CutNext(Where where) { next_cut_ = static_cast<int>(where); }

int CommitCutter::NextCut() {
  const int every = every_;
  if (every > 0 && ++commits_ % every == 0) return commits_ / every % 2;
  return next_cut_.exchange(-1);
}

void CommitCutter::Loop() {
  std::map<int, int> peer;          // both ways
  std::map<int, bool> from_client;  // which end a socket is
  const auto drop = [&](int fd) {
    const int other = peer.at(fd);
    for (const int end : {fd, other}) {
      close(end);
      peer.erase(end);
      from_client.erase(end);
    }
  };
  while (true) {
    std::vector<pollfd> waiting = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& [fd, other] : peer) waiting.push_back({fd, POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
    if (waiting[0].revents != 0) break;
    if (waiting[1].revents != 0) {
      const int client = accept(listener_, nullptr, nullptr);
      const int server = ConnectTo(host_, port_);
      if (client >= 0 && server >= 0) {
        peer[client] = server;
        peer[server] = client;
        from_client[client] = true;
        from_client[server] = false;
      } else {
        close(client);
      }
    }
    for (std::size_t i = 2; i < waiting.size(); ++i) {
      const int fd = waiting[i].fd;
      if (waiting[i].revents == 0 || !peer.contains(fd)) continue;
      char buffer[65536];
      const ssize_t got = read(fd, buffer, sizeof(buffer));
      if (got <= 0) {
        drop(fd);
        continue;
      }
      const std::string_view bytes(buffer, static_cast<std::size_t>(got));
      const bool commit = from_client.at(fd) && bytes.find("COMMIT") != std::string_view::npos;
      const int cut = commit ? NextCut() : -1;
      if (cut >= 0) {
        ++cuts_;
        if (cut == static_cast<int>(Where::kAfterTheServerDidIt)) {
          SendAll(peer.at(fd), bytes);
          char answer[256];
          (void)!read(peer.at(fd), answer, sizeof(answer));  // nothing, if it has died
        }
        drop(fd);
      } else if (!SendAll(peer.at(fd), bytes)) {
        drop(fd);
      }
    }
  }
  while (!peer.empty()) drop(peer.begin()->first);
}

}  // namespace allod
