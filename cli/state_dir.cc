#include "cli/state_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace allod::cli {
namespace {

// sun_path holds 108 bytes with its final zero; the longest socket below the state directory is a worker's.
constexpr std::size_t kRootBytesMax = 107 - std::string_view("/run/workers/w-01234567-000000.sock").size();

}  // namespace

Result<StateDir> StateDir::Resolve(const std::string& given) {
  std::filesystem::path root;
  const auto env = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  if (!given.empty()) {
    root = given;
  } else if (const auto state = env("ALLOD_STATE"); !state.empty()) {
    root = state;
  } else if (::geteuid() == 0) {
    root = "/var/lib/allod";
  } else if (const auto xdg = env("XDG_STATE_HOME"); !xdg.empty()) {
    root = std::filesystem::path(xdg) / "allod";
  } else if (const auto home = env("HOME"); !home.empty()) {
    root = std::filesystem::path(home) / ".local/state/allod";
  } else {
    return FailedPrecondition("NO_STATE_DIR", "neither HOME nor XDG_STATE_HOME is set: give --state DIR");
  }
  std::error_code ec;
  root = std::filesystem::absolute(root, ec).lexically_normal();
  if (root.filename().empty()) root = root.parent_path();
  if (root.string().size() > kRootBytesMax) {
    return InvalidArgument(
        "STATE_PATH_TOO_LONG",
        fmt::format("--state {}: {} bytes; at most {} are possible, because Unix sockets lie below it", root.string(),
                    root.string().size(), kRootBytesMax));
  }
  return StateDir(root);
}

Status StateDir::Create() const {
  const auto make = [&](const std::filesystem::path& dir, mode_t mode) -> Status {
    std::error_code ec;
    std::filesystem::create_directories(dir, ec);
    if (ec || ::chmod(dir.c_str(), mode) != 0) {
      return FailedPrecondition("STATE_NOT_WRITABLE", fmt::format("cannot make {}: {}", dir.string(),
                                                                  ec ? ec.message() : std::strerror(errno)));
    }
    return {};
  };
  // Others may pass through the root, because PostgreSQL and Redis run as another user when root starts them.
  ALLOD_CHECK_OK(make(root_, 0711));
  for (const char* name : {"config", "secrets", "run", "run/workers", "keys", "artifacts", "journal", "usage", "logs"}) {
    ALLOD_CHECK_OK(make(root_ / name, 0700));
  }
  return {};
}

Result<std::string> StateDir::HttpBase() const {
  const auto text = ReadFile(config("gateway"));
  if (!text) {
    return FailedPrecondition(
        "NOT_UP", fmt::format("{} has never been up: run `allod up --state {}`", root_.string(), root_.string()));
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("http_listen")) return Internal(config("gateway").string() + " is damaged");
  return "http://" + json["http_listen"].get<std::string>();
}

Result<std::string> ReadFile(const std::filesystem::path& path) {
  constexpr std::uintmax_t kBytesMax = 16 << 20;
  std::error_code ec;
  const auto size = std::filesystem::file_size(path, ec);
  if (ec) return NotFound(fmt::format("cannot read {}: {}", path.string(), ec.message()));
  if (size > kBytesMax) {
    return InvalidArgument("FILE_TOO_LARGE",
                           fmt::format("{} has {} bytes; at most {} are read", path.string(), size, kBytesMax));
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  if (!in) return NotFound(fmt::format("cannot read {}", path.string()));
  return out.str();
}

Status WriteFile(const std::filesystem::path& path, const std::string& content) {
  const std::string temporary = path.string() + ".new";
  const auto fail = [&](const char* what) {
    return FailedPrecondition("CANNOT_WRITE", fmt::format("{} {}: {}", what, path.string(), std::strerror(errno)));
  };
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail("cannot write");
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0) {
      ::close(fd);
      return fail("cannot write");
    }
    done += static_cast<std::size_t>(n);
  }
  ::fsync(fd);
  ::close(fd);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail("cannot rename to");
  return {};
}

}  // namespace allod::cli
