// The subcommands of `allod`. Each registers its options with CLI11 and puts what to run into `action`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "services/common/result.h"

namespace allod::cli {

struct Globals {
  std::string state;               // --state
  std::string output = "table";    // -o
  std::function<Status()> action;  // what the chosen subcommand does
  bool json() const { return output == "json"; }
};

void AddUpCommand(CLI::App& app, Globals& globals);       // up
void AddDownCommands(CLI::App& app, Globals& globals);    // down, status
void AddImportCommands(CLI::App& app, Globals& globals);  // import, compress
void AddApplyCommand(CLI::App& app, Globals& globals);    // apply
void AddGetCommands(CLI::App& app, Globals& globals);     // get, describe, delete
void AddKeyCommands(CLI::App& app, Globals& globals);     // create key, revoke key
void AddChatCommand(CLI::App& app, Globals& globals);     // chat
void AddMoneyCommands(CLI::App& app, Globals& globals);   // usage, invoice, ledger
void AddTopCommand(CLI::App& app, Globals& globals);      // top

}  // namespace allod::cli
