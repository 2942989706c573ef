#include "services/common/sandbox/service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include "services/common/log.h"
#include "services/common/owned_fd.h"
#include "services/common/sandbox/landlock.h"
#include "services/common/sandbox/limits.h"
#include "services/common/sandbox/service_filter.h"

namespace allod::sandbox {
namespace {

// What libraries read while a program runs.
constexpr const char* kReadByEveryProgram[] = {"/usr",  "/lib",      "/lib64",       "/etc",
                                               "/proc", "/dev/null", "/dev/urandom", "/sys/devices/system/cpu"};

void Tell(const Layers& layers) {
  const char* text = std::getenv(kLayersFdVariable);
  int number = -1;
  if (text == nullptr || std::from_chars(text, text + std::strlen(text), number).ec != std::errc() || number < 3)
    return;
  unsetenv(kLayersFdVariable);
  const OwnedFd fd(number);
  const std::string line = fmt::format("{}\n", fmt::join(layers.names(), " "));
  (void)!write(fd.get(), line.data(), line.size());
}

}  // namespace

std::filesystem::path SocketDirectory(std::string_view listen) {
  constexpr std::string_view kPrefix = "unix:";
  if (!listen.starts_with(kPrefix)) return {};
  return std::filesystem::path(listen.substr(kPrefix.size())).parent_path();
}

Layers EnterServiceSandbox(const ServiceNeeds& needs) {
  Layers layers;
  LowerLimits({.open_files_max = needs.open_files_max, .file_bytes_max = kFileBytesUnlimited}, layers);
  if (DropCapabilities() && HasNoCapability()) layers.Add(kNoCapabilities);
  std::vector<PathAccess> paths;
  for (const char* path : kReadByEveryProgram) paths.push_back({.path = path});
  for (const auto& path : needs.reads) paths.push_back({.path = path});
  for (const auto& path : needs.writes) {
    std::error_code ignored;  // who opens a file there says better what is wrong
    if (!path.empty()) std::filesystem::create_directories(path, ignored);
    paths.push_back({.path = path, .write = true});
  }
  RestrictByLandlock(layers, paths, needs.network);
  if (ApplyServiceFilter(needs.network)) layers.Add(kSeccomp);
  Log(LogLevel::kInfo, "confined", {{"layers", fmt::format("{}", fmt::join(layers.names(), " "))}});
  Tell(layers);
  return layers;
}

}  // namespace allod::sandbox
