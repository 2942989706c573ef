#include "cli/commands/session_file.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/installation/files.h"

namespace allod::cli::commands {
namespace {

using nlohmann::json;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::unexpected<Error> NotSignedIn() {
  return Fail(Code::kUnauthenticated, "NOT_SIGNED_IN", "you are not signed in; use `allod login TENANT`");
}

}  // namespace

Result<std::filesystem::path> SessionFile() {
  if (const std::string named = Environment("ALLOD_SESSION"); !named.empty()) return std::filesystem::path(named);
  std::filesystem::path config = Environment("XDG_CONFIG_HOME");
  if (config.empty()) {
    const std::string home = Environment("HOME");
    if (home.empty()) {
      return FailedPrecondition("NO_HOME", "there is no $HOME to keep the session in; set $ALLOD_SESSION to a file");
    }
    config = std::filesystem::path(home) / ".config";
  }
  return config / "allod" / "session.json";
}

Status SaveSession(const SavedSession& session) {
  ALLOD_TRY(const std::filesystem::path file, SessionFile());
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  if (error) {
    return FailedPrecondition("CANNOT_WRITE", fmt::format("{}: {}", file.parent_path().string(), error.message()));
  }
  const auto expires = std::chrono::floor<std::chrono::seconds>(session.expire_time).time_since_epoch().count();
  return installation::WriteFile(
      file, json{{"gateway", session.gateway}, {"token", session.token}, {"expires", expires}}.dump(2) + "\n");
}

Result<SavedSession> LoadSession(Time now) {
  ALLOD_TRY(const std::filesystem::path file, SessionFile());
  const auto text = installation::ReadFile(file);
  if (!text && text.error().code == Code::kNotFound) return NotSignedIn();
  if (!text) return std::unexpected(text.error());
  const json saved = json::parse(*text, nullptr, false);
  SavedSession out;
  try {
    out = {saved.at("gateway").get<std::string>(), saved.at("token").get<std::string>(),
           Time(std::chrono::seconds(saved.at("expires").get<std::int64_t>()))};
  } catch (const json::exception&) {
    return FailedPrecondition(
        "SESSION_FILE_DAMAGED",
        fmt::format("{} is not what `allod login` writes; delete it and sign in again", file.string()));
  }
  if (now >= out.expire_time) {
    return Fail(Code::kUnauthenticated, "SESSION_EXPIRED", "your session is over; use `allod login` again");
  }
  return out;
}

Status ForgetSession() {
  ALLOD_TRY(const std::filesystem::path file, SessionFile());
  std::error_code error;
  std::filesystem::remove(file, error);
  if (error) return FailedPrecondition("CANNOT_WRITE", fmt::format("{}: {}", file.string(), error.message()));
  return {};
}

}  // namespace allod::cli::commands
