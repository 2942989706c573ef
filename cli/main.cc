// allod: runs an installation on one machine and talks to its services.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <functional>
#include <optional>

#include "cli/commands/commands.h"
#include "cli/terminal/print.h"
#include "services/common/edit_distance.h"
#include "services/common/log.h"

namespace {

// 1 what was asked for failed; 2 usage or bad input; 3 not found; 4 a service cannot be reached or took too long.
int ExitCode(allod::Code code) {
  switch (code) {
    case allod::Code::kInvalidArgument:
      return 2;
    case allod::Code::kNotFound:
      return 3;
    case allod::Code::kUnavailable:
    case allod::Code::kDeadlineExceeded:
      return 4;
    default:
      return 1;
  }
}

using allod::Error;
using allod::Status;

std::string PathOf(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : PathOf(*app.get_parent()) + " " + app.get_name();
}

const CLI::App* Child(const CLI::App& app, const std::string& name) {
  const auto all = app.get_subcommands(nullptr);
  const auto found = std::ranges::find(all, name, [](const CLI::App* child) { return child->get_name(); });
  return found == all.end() ? nullptr : *found;
}

// That `word` is none of the commands of `app`, and which one may have been meant.
Error NoCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> near;
  for (const CLI::App* child : app.get_subcommands(nullptr)) {
    // More than half of it is right.
    if (word.size() < 64 && 2 * allod::EditDistance(word, child->get_name()) < word.size()) {
      near.push_back(child->get_name());
    }
  }
  return {allod::Code::kInvalidArgument, "UNKNOWN_COMMAND",
          fmt::format("'{}' is no command of `{}`{}; `allod help` shows all", word.substr(0, 64), PathOf(app),
                      near.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(near, " or ")))};
}

// What CLI11 only calls unexpected: a word where one of several commands was to be.
std::optional<Error> MistakenCommand(const CLI::App& root) {
  const CLI::App* at = &root;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const bool takes_words =
      std::ranges::any_of(at->get_options(), [](const CLI::Option* option) { return option->get_positional(); });
  if (at->get_subcommands(nullptr).empty() || takes_words) return std::nullopt;
  const auto left = root.remaining(true);
  const auto word = std::ranges::find_if(left, [](const std::string& one) { return !one.starts_with('-'); });
  if (word == left.end()) return std::nullopt;
  return NoCommand(*at, *word);
}

Status Help(const CLI::App& root, const std::vector<std::string>& words) {
  const CLI::App* at = &root;
  for (const std::string& word : words) {
    const CLI::App* const child = Child(*at, word);
    if (child == nullptr) return std::unexpected(NoCommand(*at, word));
    at = child;
  }
  allod::cli::terminal::Print(at->get_formatter()->make_help(at, PathOf(*at), CLI::AppFormatMode::Normal));
  return {};
}

// What no command thought of still ends it with an error and a status of its own.
Status Run(const std::function<Status()>& action) {
  try {
    return action();
  } catch (const std::exception& e) {
    return allod::Internal(e.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  allod::InitLog("allod", allod::LogLevel::kWarning);

  CLI::App app{
      "allod: sovereign AI on your own machines.\n"
      "Start with `allod up`; docs/quickstart.md shows the whole way from a model file to an invoice."};
  app.name("allod");
  app.set_version_flag("--version", "allod 0.1.0");
  app.require_subcommand(1);
  app.footer(
      "Every command also takes --state DIR, -o json, --gateway URL, --as-person and --as-in PROJECT, anywhere (`allod "
      "--help`).\n"
      "Exit status: 0 done, 1 failed, 2 bad input, 3 not found, 4 a service cannot be reached or took too long.");

  namespace commands = allod::cli::commands;
  commands::Globals globals;
  app.add_option(
      "--state", globals.state.dir,
      "State directory (default: $ALLOD_STATE, else /var/lib/allod for root, and the user's state directory)");
  app.add_option(
         "--as", globals.state.as,
         "support or auditor: act as an operator of that role only, by run/ROLE.sock (default: as the operator, "
         "who is the installation's own user)")
      ->check(CLI::IsMember({"support", "auditor"}));
  app.add_option("-o,--output", globals.output, "table or json (default: table)")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_option("--gateway", globals.gateway,
                 "https://HOST: act there as the person who signed in with `allod login`, not as the operator of this "
                 "machine ($ALLOD_GATEWAY: where `allod login` and `whoami` go by default)");
  app.add_flag(
      "--as-person", globals.as_person,
      "The same at the gateway where you are signed in; by default where no installation is up on this machine");
  app.add_option("--as-in", globals.project,
                 "tenants/TENANT/projects/PROJECT: as a person, by your roles there where a request names no project");
  app.fallthrough();

  // In the order in which --help shows them.
  for (const auto add :
       {commands::AddUp,     commands::AddDown,   commands::AddStatus,   commands::AddImport,    commands::AddCompress,
        commands::AddApply,  commands::AddGet,    commands::AddDescribe, commands::AddDelete,    commands::AddTenants,
        commands::AddQuota,  commands::AddQuote,  commands::AddRoles,    commands::AddCreateKey, commands::AddRotateKey,
        commands::AddLogin,  commands::AddChat,   commands::AddUsage,    commands::AddInvoice,   commands::AddPayout,
        commands::AddWallet, commands::AddBudget, commands::AddTerms,    commands::AddLedger,    commands::AddProve,
        commands::AddEvents, commands::AddAudit,  commands::AddTop}) {
    add(app, globals);
  }
  std::vector<std::string> asked;
  CLI::App* help = app.add_subcommand("help", "Show all commands, or what one takes");
  help->add_option("command", asked, "E.g. `allod help tenants delete`");
  help->callback([&] { globals.action = [&] { return Help(app, asked); }; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const auto mistaken = e.get_exit_code() == 0 ? std::nullopt : MistakenCommand(app);
    if (!mistaken) return app.exit(e) == 0 ? 0 : 2;
    allod::cli::terminal::PrintError(*mistaken);
    return ExitCode(mistaken->code);
  }
  if (const auto status = Run(globals.action); !status) {
    allod::cli::terminal::PrintError(status.error());
    return ExitCode(status.error().code);
  }
  return 0;
}
