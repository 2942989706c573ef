#include "inference/node/process/worker_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "services/common/digest.h"
#include "services/common/unix_address.h"

namespace allod::inference::node::process {
namespace {

namespace fs = std::filesystem;

constexpr int kBacklog = 512;
constexpr std::size_t kNameDigits = 16;

}  // namespace

Status PrepareRunDir(const fs::path& run_dir) {
  std::error_code error;
  fs::create_directories(run_dir, error);
  if (!fs::is_directory(run_dir, error)) {
    return FailedPrecondition("NO_RUN_DIR", fmt::format("{} cannot be made a directory", run_dir.string()));
  }
  for (const auto& entry : fs::directory_iterator(run_dir, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (name.starts_with("w-") && name.ends_with(".sock") && entry.is_socket(ignored))
      fs::remove(entry.path(), ignored);
  }
  if (error) return FailedPrecondition("NO_RUN_DIR", fmt::format("{}: {}", run_dir.string(), error.message()));
  return {};
}

Result<WorkerSocket> WorkerSocket::Listen(const fs::path& run_dir, const std::string& worker_key) {
  Sha256 digest;
  digest.Update(worker_key.data(), worker_key.size());
  fs::path path = run_dir / fmt::format("w-{}.sock", digest.FinishHex().substr(0, kNameDigits));
  const auto failed = [&] {
    return Fail(Code::kUnavailable, "CANNOT_LISTEN", fmt::format("{}: {}", path.string(), std::strerror(errno)));
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    errno = ENAMETOOLONG;
    return failed();
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  unlink(path.c_str());
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), SocketMode(text)) != 0 || listen(fd.get(), kBacklog) != 0) {
    return failed();
  }
  return WorkerSocket(std::move(fd), std::move(path));
}

WorkerSocket::~WorkerSocket() {
  if (fd_) unlink(path_.c_str());
}

}  // namespace allod::inference::node::process
