#include "cli/commands/find_services.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "cli/commands/session_file.h"
#include "cli/installation/lock.h"
#include "cli/net/device_login.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

Result<std::string> PlainGateway(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (!url.empty()) ALLOD_CHECK_OK(net::CheckPrivate("the gateway", url));
  return url;
}

Result<net::Services> AsPerson(const Destination& destination, const SavedSession& session) {
  if (!destination.project.empty()) {
    ALLOD_TRY([[maybe_unused]] const auto ids, MatchName("--as-in", destination.project, "tenants/*/projects/*"));
  }
  return net::Services(net::GatewaySession{session.gateway, session.token, destination.project});
}

bool IsNamed(const installation::Given& state) {
  const char* in_env = std::getenv("ALLOD_STATE");
  return !state.dir.empty() || !state.as.empty() || (in_env != nullptr && *in_env != '\0');
}

}  // namespace

Result<std::string> NamedGateway(const Destination& destination) {
  if (!destination.gateway.empty()) return PlainGateway(destination.gateway);
  const char* named = std::getenv("ALLOD_GATEWAY");
  return PlainGateway(named == nullptr ? "" : named);
}

Result<SavedSession> SessionAt(const std::string& gateway) {
  ALLOD_TRY(SavedSession session, LoadSession(std::chrono::system_clock::now()));
  if (gateway.empty() || gateway == session.gateway) return session;
  return InvalidArgument("OTHER_GATEWAY", fmt::format("you are signed in at {}; sign in at {} first: allod login "
                                                      "TENANT --gateway {}",
                                                      session.gateway, gateway, gateway));
}

Result<net::Services> FindServices(const Destination& destination) {
  if (destination.as_person || !destination.gateway.empty()) {
    if (!destination.state.as.empty()) {
      return InvalidArgument("TWO_CALLERS",
                             "--as is for operators of this machine, --gateway and --as-person for people who signed "
                             "in; say one of them");
    }
    ALLOD_TRY(const std::string gateway, PlainGateway(destination.gateway));
    ALLOD_TRY(const SavedSession session, SessionAt(gateway));
    return AsPerson(destination, session);
  }
  const auto state = installation::FindRunning(destination.state);
  if (state) return net::Services(*state);
  // Who named an installation, or whose own cannot be looked at, means the operator.
  if (IsNamed(destination.state) || state.error().reason != "NOT_UP") return std::unexpected(state.error());
  const auto session = LoadSession(std::chrono::system_clock::now());
  if (session) return AsPerson(destination, *session);
  if (session.error().reason == "SESSION_EXPIRED") return std::unexpected(session.error());
  Error error = state.error();
  error.message += "; or act as a person of a tenant: `allod login TENANT --gateway https://HOST`";
  return std::unexpected(std::move(error));
}

Result<installation::StateDir> FindInstallation(const Destination& destination) {
  if (destination.as_person || !destination.gateway.empty()) {
    return FailedPrecondition("OPERATORS_ONLY",
                              "this is the operator's, at the installation on his machine: not with --gateway or "
                              "--as-person");
  }
  return installation::FindRunning(destination.state);
}

}  // namespace allod::cli::commands
