#include "cli/commands/key_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/installation/files.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {

void AddKeyFileOptions(CLI::App& command, KeyFileOptions& options) {
  command.add_option("--file", options.file,
                     "Where to write it (default: keys/TENANT-PROJECT.key in the state directory)");
  command.add_flag("--replace", options.replace, "Overwrite the file if it is there");
}

Result<std::filesystem::path> KeyFileOf(const installation::StateDir& state, const std::string& tenant,
                                        const std::string& project, const KeyFileOptions& options) {
  std::filesystem::path file = options.file.empty() ? state.key(tenant, project) : std::filesystem::path(options.file);
  if (std::filesystem::exists(file) && !options.replace) {
    return FailedPrecondition(
        "FILE_EXISTS", fmt::format("{} is there already; give another --file, or --replace if its key is not needed "
                                   "any more (which does not revoke it)",
                                   file.string()));
  }
  return file;
}

Status KeepKey(const Globals& globals, const std::filesystem::path& file, const std::string& name,
               const std::string& secret) {
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
