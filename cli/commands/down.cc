// `allod down`: stops what `allod up` started.

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "cli/commands/commands.h"
#include "cli/installation/lock.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

constexpr int kDownTimeoutMs = 60'000;

Status Down(const Globals& globals, const NoOptions& /*options*/) {
  if (!globals.state.as.empty()) {
    return InvalidArgument("INVALID_ARGUMENT", "--as: an installation is stopped by its own user; leave it out");
  }
  const auto state = FindInstallation(globals);
  if (!state) {
    if (state.error().reason != "NOT_UP") return std::unexpected(state.error());
    terminal::Print("not up\n");
    return {};
  }
  // The lock is held, so the process that wrote its id is alive.
  ALLOD_TRY(const installation::Holder holder, installation::FindHolder(*state));
  ::syscall(SYS_pidfd_send_signal, holder.pidfd.get(), SIGTERM, nullptr, 0);
  pollfd fd{holder.pidfd.get(), POLLIN, 0};
  if (::poll(&fd, 1, kDownTimeoutMs) <= 0) {
    return Fail(Code::kDeadlineExceeded, "STILL_UP",
                fmt::format("process {} did not end within {} s", holder.pid, kDownTimeoutMs / 1000));
  }
  terminal::Print("down\n");
  return {};
}

}  // namespace

void AddDown(CLI::App& app, Globals& globals) {
  AddCommand<NoOptions>(app, globals, "down", "Stop everything that `allod up` started", &Down);
}

}  // namespace allod::cli::commands
