#include "cli/installation/state_dir.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/installation/files.h"
#include "services/common/private_files.h"

namespace allod::cli::installation {
namespace {

// sun_path holds 108 bytes with its final zero; the longest socket below the state directory is a worker's.
constexpr std::size_t kRootBytesMax = 107 - std::string_view("/run/workers/w-0123456789abcdef.sock").size();

Result<nlohmann::json> GatewayConfigOf(const StateDir& state) {
  auto config = ReadJson(state.config("gateway"));
  if (config && !config->contains("http_listen")) return Damaged(state.config("gateway"));
  if (config || config.error().code == Code::kInternal) return config;
  return FailedPrecondition("NOT_UP", fmt::format("{} has never been up: run `allod up --state {}`",
                                                  state.root().string(), state.root().string()));
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

Result<std::string> StateDir::PublicUrl() const {
  ALLOD_TRY(const auto json, GatewayConfigOf(*this));
  return json.value("public_url", "");
}

Result<std::string> StateDir::OperatorsBase() const {
  ALLOD_TRY(const auto json, GatewayConfigOf(*this));
  const std::string listen = json.value("operators_listen", "");
  return listen.empty() ? listen : "http://" + listen;
}

}  // namespace allod::cli::installation
