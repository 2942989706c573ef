#include "services/common/unix_address.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

namespace allod {
namespace {

constexpr std::string_view kPrefix = "unix:";

std::unexpected<Error> Bad(std::string_view field, std::string_view address, std::string_view why) {
  return InvalidArgument("INVALID_ADDRESS",
                         fmt::format("{}: \"{}\" {}; write unix:/absolute/path.sock", field, address, why));
}

}  // namespace

std::string UnixPath(std::string_view address) {
  std::string path(address.substr(std::min(kPrefix.size(), address.size())));
  if (path.starts_with("//")) path.erase(0, 2);
  return path;
}

mode_t SocketMode(const std::string& path) {
  struct stat info {};
  const std::string directory = std::filesystem::path(path).parent_path();
  const bool handed_down = stat(directory.c_str(), &info) == 0 && (info.st_mode & S_ISGID) != 0;
  return handed_down ? 0660 : 0600;
}

Status CheckUnixAddress(std::string_view field, std::string_view address) {
  if (address.empty()) return Bad(field, address, "is empty");
  if (address.starts_with("unix-abstract:")) {
    return Bad(field, address, "is an abstract socket, which has no owner and no permissions");
  }
  if (!address.starts_with(kPrefix)) {
    return Bad(field, address,
               "is no Unix socket: until mutual TLS is there, whoever reaches another address could act as operator");
  }
  const std::string path = UnixPath(address);
  if (!path.starts_with('/')) return Bad(field, address, "is not an absolute path");
  if (path.find('\0') != std::string::npos) return Bad(field, "", "holds a zero byte");
  if (path.ends_with('/')) return Bad(field, address, "names a directory");
  if (path.size() > kUnixPathBytesMax) {
    return Bad(field, address, fmt::format("has a path of more than {} bytes", kUnixPathBytesMax));
  }
  return {};
}

}  // namespace allod
