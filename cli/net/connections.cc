#include "cli/net/connections.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "cli/supervisor/data_services.h"

namespace allod::cli {

Result<StateDir> RunningState(const Globals& globals) {
  ALLOD_TRY(StateDir state, StateDir::Resolve(globals.state));
  const int fd = ::open(state.lock().c_str(), O_RDONLY | O_CLOEXEC);
  const bool running = fd >= 0 && ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  if (fd >= 0) ::close(fd);
  if (!running) {
    return FailedPrecondition(
        "NOT_UP", fmt::format("{} is not up: run `allod up --state {}`", state.root().string(), state.root().string()));
  }
  return state;
}

bool ServicesReady(const StateDir& state) {
  std::vector<std::string> services = DatabaseServices();
  // The gateway opens this one after its HTTP port: a port that another installation holds does not pass for ours.
  services.emplace_back("gateway");
  for (const auto& service : services) {
    // Looks at the connection only: every service listens once it can serve.
    const auto channel = MakeChannel(state.target(service));
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(50))) return false;
  }
  return true;
}

}  // namespace allod::cli
