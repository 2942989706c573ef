// The file that an API key is written to when it is made: the one place where its secret is kept.
#pragma once

#include <filesystem>
#include <string>

#include "cli/commands/commands.h"
#include "cli/net/services.h"

namespace allod::cli::commands {

struct KeyFileOptions {
  std::string file;
  bool replace = false;
};

void AddKeyFileOptions(CLI::App& command, KeyFileOptions& options);

// In keys/ of the installation, or of where a person keeps the session, unless a file is named. To be asked before a
// key is made. FAILED_PRECONDITION / FILE_EXISTS without --replace, CANNOT_WRITE where one may not look.
Result<std::filesystem::path> KeyFileOf(const net::Services& services, const std::string& tenant,
                                        const std::string& project, const KeyFileOptions& options);

// Readable by its owner only; then says what was made and where it lies.
Status KeepKey(const Globals& globals, const std::filesystem::path& file, const std::string& name,
               const std::string& secret);

}  // namespace allod::cli::commands
