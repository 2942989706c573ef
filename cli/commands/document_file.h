// A document that a service made, as the file that was asked for.
#pragma once

#include <string>

#include "cli/commands/commands.h"

namespace allod::cli::commands {

void AddFileOption(CLI::App& command, std::string& file);

// Writes it to `file`, which is replaced as a whole, and says so; to standard output if that is empty. INTERNAL if it
// is not what `sha256` says; FAILED_PRECONDITION / CANNOT_WRITE; INVALID_ARGUMENT / FILE_REQUIRED for a PDF on a
// terminal.
Status KeepDocument(const Globals& globals, const std::string& file, const std::string& content,
                    const std::string& sha256);

}  // namespace allod::cli::commands
