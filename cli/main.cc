// allod: runs an installation on one machine and talks to its services.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "cli/commands/commands.h"
#include "services/common/log.h"

namespace {

// 1 what was asked for failed; 2 usage or bad input; 3 not found; 4 a service cannot be reached.
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
  app.footer("Exit status: 0 done, 1 failed, 2 bad input, 3 not found, 4 a service cannot be reached.");

  allod::cli::Globals globals;
  app.add_option(
      "--state", globals.state,
      "State directory (default: $ALLOD_STATE, else /var/lib/allod for root, and the user's state directory)");
  app.add_option("-o,--output", globals.output, "table or json")->check(CLI::IsMember({"table", "json"}));
  app.fallthrough();

  allod::cli::AddUpCommand(app, globals);
  allod::cli::AddDownCommands(app, globals);
  allod::cli::AddImportCommands(app, globals);
  allod::cli::AddApplyCommand(app, globals);
  allod::cli::AddGetCommands(app, globals);
  allod::cli::AddKeyCommands(app, globals);
  allod::cli::AddChatCommand(app, globals);
  allod::cli::AddMoneyCommands(app, globals);
  allod::cli::AddTopCommand(app, globals);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (const auto status = globals.action(); !status) {
    std::fprintf(stderr, "allod: %s\n", status.error().message.c_str());
    if (!status.error().reason.empty()) std::fprintf(stderr, "reason: %s\n", status.error().reason.c_str());
    return ExitCode(status.error().code);
  }
  return 0;
}
