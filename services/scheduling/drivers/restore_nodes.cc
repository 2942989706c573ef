#include "services/scheduling/drivers/restore_nodes.h"

#include <algorithm>

#include "services/common/log.h"

namespace allod::scheduling::drivers {

Status RestoreNodes(Store& store, const Clock& clock, ProcessDriver& driver) {
  ALLOD_TRY(const std::vector<Node> nodes, store.ListNodes());
  // Silence before this service stopped counts, the time in which nobody listened does not.
  Time newest{};
  for (const Node& node : nodes) newest = std::max(newest, node.node.last_report);
  const Time now = clock.Now();
  for (const Node& node : nodes) {
    scheduler::Node restored = node.node;
    restored.last_report = now - (newest - node.node.last_report);
    if (const Status kept = driver.Restore(restored, node.session_epoch); !kept) {
      Log(LogLevel::kError, "a node of the database is one too many",
          {{"node", node.node.id}, {"message", kept.error().message}});
    }
  }
  return {};
}

}  // namespace allod::scheduling::drivers
