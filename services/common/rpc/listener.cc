#include "services/common/rpc/listener.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "services/common/catching.h"
#include "services/common/log.h"
#include "services/common/unix_address.h"

namespace allod {
namespace {

constexpr int kBacklog = 512;
// When the process has as many descriptors as it may have, or the machine is short of memory.
constexpr std::chrono::milliseconds kNoRoomPause{50};

std::unexpected<Error> CannotListen(const std::string& address, std::string_view why) {
  return InvalidArgument("CANNOT_LISTEN", fmt::format("cannot listen on {}: {}", address, why));
}

// A socket file that nobody answers on is removed; one that a live server holds is an error, as would be any other
// file.
Status ClearSocket(const std::string& listen, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(address.sun_path, &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return CannotListen(listen, "a file that is no socket is in the way");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(listen, std::strerror(errno));
  const bool answered = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  if (answered) return CannotListen(listen, "another process serves there; stop it first");
  unlink(address.sun_path);
  return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Open(const std::string& address, std::vector<uid_t> peer_uids) {
  ALLOD_CHECK_OK(CheckUnixAddress("listen", address));
  const std::string path = UnixPath(address);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  ALLOD_CHECK_OK(ClearSocket(address, name));
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int stop = eventfd(0, EFD_CLOEXEC);
  // Not reachable before it listens, which is after its mode was set.
  if (fd < 0 || stop < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      chmod(path.c_str(), SocketMode(path)) != 0 || listen(fd, kBacklog) != 0) {
    const std::string why = std::strerror(errno);
    if (fd >= 0) close(fd);
    if (stop >= 0) close(stop);
    return CannotListen(address, why);
  }
  return std::unique_ptr<Listener>(new Listener(fd, stop, path, std::move(peer_uids)));
}

Listener::Listener(int fd, int stop, std::string path, std::vector<uid_t> peer_uids)
    : fd_(fd), stop_(stop), path_(std::move(path)), peer_uids_(std::move(peer_uids)) {}

Listener::~Listener() {
  const std::uint64_t one = 1;
  (void)!write(stop_, &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
  unlink(path_.c_str());
  close(fd_);
  close(stop_);
}

void Listener::Start(std::function<void(int fd)> accepted) {
  accepted_ = std::move(accepted);
  // A process that accepts nobody any more is of no use to anybody.
  thread_ = std::thread([this] { OrEnd("listener", [this] { Run(); }); });
}

bool Listener::MayConnect(int fd) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return false;
  if (peer.uid == 0 || peer.uid == geteuid() || std::ranges::find(peer_uids_, peer.uid) != peer_uids_.end()) {
    return true;
  }
  Log(LogLevel::kWarning, "a connection of a user that may not connect here was closed",
      {{"socket", path_}, {"uid", std::to_string(peer.uid)}, {"pid", std::to_string(peer.pid)}});
  return false;
}

void Listener::Run() {
  while (true) {
    pollfd fds[2] = {{stop_, POLLIN, 0}, {fd_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno != EINTR) std::this_thread::sleep_for(kNoRoomPause);
      continue;
    }
    if (fds[0].revents != 0) return;
    if (fds[1].revents == 0) continue;
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) std::this_thread::sleep_for(kNoRoomPause);
    } else if (MayConnect(fd)) {
      accepted_(fd);
    } else {
      close(fd);
    }
  }
}

}  // namespace allod
