#include "cli/installation/state_dir.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "services/common/private_files.h"

namespace allod::cli {
namespace {

// sun_path holds 108 bytes with its final zero; the longest socket below the state directory is a worker's.
constexpr std::size_t kRootBytesMax = 107 - std::string_view("/run/workers/w-0123456789abcdef.sock").size();

Result<nlohmann::json> GatewayConfigOf(const StateDir& state) {
  const auto text = ReadFile(state.config("gateway"));
  if (!text) {
    return FailedPrecondition("NOT_UP", fmt::format("{} has never been up: run `allod up --state {}`",
                                                    state.root().string(), state.root().string()));
  }
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("http_listen")) {
    return Internal(state.config("gateway").string() + " is damaged");
  }
  return json;
}

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
  // Every command follows paths below it, as the operator.
  ALLOD_TRY(root, ResolveTrusted(root));
  if (root.string().size() > kRootBytesMax) {
    return InvalidArgument(
        "STATE_PATH_TOO_LONG",
        fmt::format("--state {}: {} bytes; at most {} are possible, because Unix sockets lie below it", root.string(),
                    root.string().size(), kRootBytesMax));
  }
  return StateDir(root);
}

Result<std::string> StateDir::HttpBase() const {
  ALLOD_TRY(const auto json, GatewayConfigOf(*this));
  return "http://" + json["http_listen"].get<std::string>();
}

Result<std::string> StateDir::OperatorsBase() const {
  ALLOD_TRY(const auto json, GatewayConfigOf(*this));
  const std::string listen = json.value("operators_listen", "");
  return listen.empty() ? listen : "http://" + listen;
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
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  // The directory may be anybody's (`--file /tmp/x.key`): what is made in it is new, and ours.
  const std::filesystem::path parent = std::filesystem::weakly_canonical(absolute.parent_path(), error);
  auto directory = Directory::Open(parent);
  const Status written =
      directory ? directory->Write(absolute.filename().string(), content, 0600) : std::unexpected(directory.error());
  if (written) return {};
  return FailedPrecondition("CANNOT_WRITE", fmt::format("cannot write {}: {}", path.string(), written.error().message));
}

}  // namespace allod::cli
