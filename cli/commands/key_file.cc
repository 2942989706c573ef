#include "cli/commands/key_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/session_file.h"
#include "cli/installation/files.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {

void AddKeyFileOptions(CLI::App& command, KeyFileOptions& options) {
  command.add_option(
      "--file", options.file,
      "Where to write it (default: keys/TENANT-PROJECT.key in the state directory, or beside a person's session)");
  command.add_flag("--replace", options.replace, "Overwrite the file if it is there");
}

Result<std::filesystem::path> KeyFileOf(const net::Services& services, const std::string& tenant,
                                        const std::string& project, const KeyFileOptions& options) {
  std::filesystem::path file = options.file;
  if (file.empty() && services.installation() != nullptr) {
    file = services.installation()->key(tenant, project);
  } else if (file.empty()) {
    ALLOD_TRY(const std::filesystem::path session, SessionFile());
    file = session.parent_path() / "keys" / fmt::format("{}-{}.key", tenant, project);
  }
  std::error_code error;
  const bool is_there = std::filesystem::exists(file, error);
  if (error) {
    return FailedPrecondition("CANNOT_WRITE",
                              fmt::format("cannot look whether {} is there: {}; say with --file where the key is to be "
                                          "written",
                                          file.string(), error.message()));
  }
  if (is_there && !options.replace) {
    return FailedPrecondition(
        "FILE_EXISTS", fmt::format("{} is there already; give another --file, or --replace if its key is not needed "
                                   "any more (which does not revoke it)",
                                   file.string()));
  }
  return file;
}

Status KeepKey(const Globals& globals, const std::filesystem::path& file, const std::string& name,
               const std::string& secret) {
  if (file.has_parent_path()) {
    std::error_code error;
    std::filesystem::create_directories(file.parent_path(), error);  // WriteFile() says what is wrong
  }
  ALLOD_CHECK_OK(installation::WriteFile(file, secret + "\n"));
  if (globals.json()) {
    const auto quoted = [](const std::string& text) {
      return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    };
    terminal::Print(fmt::format("{{\"name\": {}, \"file\": {}}}\n", quoted(name), quoted(file.string())));
  } else {
    terminal::Print(fmt::format("{}\nThe key lies in {}\n", name, file.string()));
  }
  return {};
}

}  // namespace allod::cli::commands
