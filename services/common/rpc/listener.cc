#include "services/common/rpc/listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "services/common/unix_address.h"

namespace allod {
namespace {

constexpr int kBacklog = 512;

std::unexpected<Error> CannotListen(const std::string& address, std::string_view why) {
  return InvalidArgument("CANNOT_LISTEN", fmt::format("cannot listen on {}: {}", address, why));
}

// A socket file that nobody answers on is removed; one that a live server holds is an error, as would be any other
// file.
Status ClearSocket(const std::string& listen, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(address.sun_path, &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return CannotListen(listen, "a file that is no socket is in the way");
  const OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return CannotListen(listen, std::strerror(errno));
  const bool answered = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (answered) return CannotListen(listen, "another process serves there; stop it first");
  unlink(address.sun_path);
  return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Open(const std::string& address, Credentials credentials) {
  ALLOD_CHECK_OK(CheckUnixAddress("listen", address));
  const std::string path = UnixPath(address);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  ALLOD_CHECK_OK(ClearSocket(address, name));
  OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Not reachable before it listens, which is after its mode was set.
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      chmod(path.c_str(), SocketMode(path)) != 0 || listen(fd.get(), kBacklog) != 0) {
    return CannotListen(address, std::strerror(errno));
  }
  return std::unique_ptr<Listener>(new Listener(std::move(fd), path, std::move(credentials)));
}

Listener::~Listener() {
  unlink(path_.c_str());
  loop_.reset();
}

void Listener::Start(std::function<void(OwnedFd)> accepted) {
  loop_.emplace(std::move(listening_), "listener", [this, accepted = std::move(accepted)](OwnedFd connection) {
    if (credentials_.Admit(connection, path_)) accepted(std::move(connection));
  });
}

}  // namespace allod
