#include "inference/zygote/uid_maps.h"

#include <fmt/format.h>
#include <unistd.h>

#include "inference/sandbox/namespaces.h"
#include "services/common/log.h"

namespace allod::inference::zygote {

std::uint32_t AskForUids(Channel& agent) {
  if (!agent.Send({{"type", "map"}})) return 0;
  const auto answer = agent.Receive();
  if (!answer || !*answer || (*answer)->type() != "mapped") return 0;
  return (*answer)->body.value("uids", 0U);
}

void GiveUids(Channel& process, pid_t pid, std::uint32_t first_uid, std::string_view who) {
  std::uint32_t uids = 0;
  if (geteuid() == 0 && first_uid != 0 && sandbox::WriteUidMaps(pid, first_uid, sandbox::kUidsPerZygote)) {
    uids = sandbox::kUidsPerZygote;
  } else if (const Status mapped = sandbox::WriteUidMaps(pid, geteuid(), 1); mapped) {
    uids = 1;
  } else {
    Log(LogLevel::kWarning, fmt::format("{} got no uids", who), {{"error", mapped.error().message}});
  }
  (void)process.Send({{"type", "mapped"}, {"uids", uids}});
}

}  // namespace allod::inference::zygote
