#include "inference/sandbox/layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace allod::inference::sandbox {

Status RequireStrict(const Layers& layers) {
  std::vector<std::string_view> missing;
  for (const std::string_view layer :
       {kUserNamespace, kMountNamespace, kPidNamespace, kIpcNamespace, kNetworkNamespace, kEmptyRoot, kOwnUid,
        kNoCapabilities, kNoNewPrivs, kNotDumpable, kRlimits, kSeccomp}) {
    if (!layers.Has(layer)) missing.push_back(layer);
  }
  if (missing.empty()) return {};
  return FailedPrecondition(
      "SANDBOX_INCOMPLETE",
      fmt::format("the node demands a strict sandbox, and this host does not give its workers and jobs: {}. Run the "
                  "node as root with user namespaces allowed, or set \"sandbox\": \"auto\"",
                  fmt::join(missing, ", ")));
}

}  // namespace allod::inference::sandbox
