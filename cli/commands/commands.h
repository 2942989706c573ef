// The subcommands of `allod`, a file each. Each registers its options with CLI11, and what to run as the program's
// action.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cli/commands/find_services.h"
#include "services/common/result.h"

namespace allod::cli::commands {

struct Globals : Destination {
  std::string output = "table";    // -o
  std::function<Status()> action;  // what the chosen subcommand does
  bool json() const { return output == "json"; }
};

struct NoOptions {};

template <typename Options>
struct Command {
  CLI::App* app;
  std::shared_ptr<Options> options;  // where its options are to be put; lives as long as the command
};

// A subcommand that runs `run(globals, options)` when it is the chosen one.
template <typename Options, typename Run>
Command<Options> AddCommand(CLI::App& app, Globals& globals, const std::string& name, const std::string& what,
                            Run run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(name, what);
  command->callback(
      [&globals, options, run] { globals.action = [&globals, options, run] { return run(globals, *options); }; });
  return {command, std::move(options)};
}

// Of an option: the value of a word, such as that of an enum, in any case of its letters.
template <typename T>
CLI::Validator WordOf(const std::map<std::string, T>& words) {
  CLI::Validator out;
  out.operation([&words](std::string& text) {
    const auto found = words.find(CLI::detail::to_lower(text));
    if (found != words.end()) {
      text = std::to_string(static_cast<int>(found->second));
      return std::string();
    }
    std::string all;
    for (const auto& [word, value] : words) all += (all.empty() ? "" : ", ") + word;
    return "'" + text + "' is none of " + all;
  });
  return out;
}

// For what is done once however often it is asked (may_be_done.h).
inline void AddRequestIdOption(CLI::App& command, std::string& request_id) {
  command.add_option("--request-id", request_id, "UUID, the same again to repeat what may have been done");
}

void AddUp(CLI::App& app, Globals& globals);
void AddDown(CLI::App& app, Globals& globals);
void AddStatus(CLI::App& app, Globals& globals);
void AddImport(CLI::App& app, Globals& globals);
void AddCompress(CLI::App& app, Globals& globals);
void AddApply(CLI::App& app, Globals& globals);
void AddGet(CLI::App& app, Globals& globals);
void AddDescribe(CLI::App& app, Globals& globals);
void AddDelete(CLI::App& app, Globals& globals);
void AddCreateKey(CLI::App& app, Globals& globals);
void AddRotateKey(CLI::App& app, Globals& globals);
void AddTenants(CLI::App& app, Globals& globals);
void AddQuota(CLI::App& app, Globals& globals);
void AddQuote(CLI::App& app, Globals& globals);
void AddRoles(CLI::App& app, Globals& globals);
void AddLogin(CLI::App& app, Globals& globals);  // and logout and whoami
void AddChat(CLI::App& app, Globals& globals);
void AddUsage(CLI::App& app, Globals& globals);
void AddInvoice(CLI::App& app, Globals& globals);
void AddTerms(CLI::App& app, Globals& globals);
void AddBudget(CLI::App& app, Globals& globals);
void AddPayout(CLI::App& app, Globals& globals);
void AddWallet(CLI::App& app, Globals& globals);
void AddLedger(CLI::App& app, Globals& globals);
void AddEvents(CLI::App& app, Globals& globals);
void AddProve(CLI::App& app, Globals& globals);
void AddAudit(CLI::App& app, Globals& globals);
void AddTop(CLI::App& app, Globals& globals);

}  // namespace allod::cli::commands
