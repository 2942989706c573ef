// allod: runs an installation on one machine and talks to its services.

#include <CLI/CLI.hpp>
#include <csignal>

#include "cli/commands/commands.h"
#include "cli/terminal/print.h"
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
       {commands::AddUp,    commands::AddDown,  commands::AddStatus,    commands::AddImport,    commands::AddCompress,
        commands::AddApply, commands::AddGet,   commands::AddDescribe,  commands::AddDelete,    commands::AddTenants,
        commands::AddQuota, commands::AddRoles, commands::AddCreateKey, commands::AddRotateKey, commands::AddLogin,
        commands::AddChat,  commands::AddUsage, commands::AddInvoice,   commands::AddLedger,    commands::AddAudit,
        commands::AddTop}) {
    add(app, globals);
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (const auto status = globals.action(); !status) {
    allod::cli::terminal::PrintError(status.error());
    return ExitCode(status.error().code);
  }
  return 0;
}
