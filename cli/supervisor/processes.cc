#include "cli/supervisor/processes.h"

namespace allod::cli::supervisor {

const std::vector<std::string>& PlatformProcesses() {
  static const std::vector<std::string> names = {"tenancy", "catalog", "billing", "scheduling", "node", "gateway"};
  return names;
}

const std::vector<std::string>& DatabaseServices() {
  static const std::vector<std::string> names = {"tenancy", "catalog", "billing", "scheduling"};
  return names;
}

const std::vector<std::string>& GrpcServers() {
  static const std::vector<std::string> names = {"tenancy", "catalog", "billing", "scheduling", "gateway"};
  return names;
}

}  // namespace allod::cli::supervisor
