#include "cli/net/connections.h"

namespace allod::cli::net {

std::string ProcessOf(std::string_view full_service_name) {
  const auto begin = full_service_name.find('.') + 1;
  return std::string(full_service_name.substr(begin, full_service_name.find('.', begin) - begin));
}

bool AreListening(const installation::StateDir& state, const std::vector<std::string>& processes) {
  for (const std::string& process : processes) {
    // Looks at the connection only: every service listens once it can serve.
    const auto channel = MakeChannel(state.target(process));
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(50))) return false;
  }
  return true;
}

}  // namespace allod::cli::net
