#include "inference/node/process/cgroup_path.h"

#include <fstream>

namespace allod::inference::node::process {

// Lines are "id:controller,controller:/path", with no controllers for version 2 (cgroups(7)).
std::string OwnCgroup(const std::string& controller) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool match = controller.empty() ? names == ",," : names.find("," + controller + ",") != std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return "";
}

}  // namespace allod::inference::node::process
