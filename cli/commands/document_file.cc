#include "cli/commands/document_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/installation/files.h"
#include "cli/terminal/print.h"
#include "services/common/digest.h"

namespace allod::cli::commands {

void AddFileOption(CLI::App& command, std::string& file) {
  command.add_option("--file", file, "Where to (default: standard output)");
}

Status KeepDocument(const Globals& globals, const std::string& file, const std::string& content,
                    const std::string& sha256) {
  if (Sha256Hex(content) != sha256) return Internal("the file is not what the service says that it is; ask again");
  if (file.empty()) {
    if (content.starts_with("%PDF") && ::isatty(STDOUT_FILENO) == 1) {
      return InvalidArgument("FILE_REQUIRED", "a PDF is nothing for a terminal: give --file");
    }
    terminal::Print(content);
    return {};
  }
  ALLOD_CHECK_OK(installation::WriteFile(file, content));
  terminal::Print(globals.json()
                      ? nlohmann::json{{"file", file}, {"bytes", content.size()}, {"sha256", sha256}}.dump(2) + "\n"
                      : fmt::format("{}: {} bytes\n", file, content.size()));
  return {};
}

}  // namespace allod::cli::commands
