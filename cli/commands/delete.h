// `allod delete`, and the `delete` of commands that have a kind of their own.
#pragma once

#include <string>

#include "cli/commands/commands.h"
#include "cli/kinds/kind.h"

namespace allod::cli::commands {

struct DeleteOptions {
  std::string kind;
  std::string name;
  bool wait = true;
  bool yes = false;
};

void AddYesOption(CLI::App& command, DeleteOptions& options);

// Asks first where the kind says so (`ResourceKind::lost`), then says what became of it.
Status DeleteOne(const Globals& globals, const kinds::ResourceKind& kind, const DeleteOptions& options);

}  // namespace allod::cli::commands
