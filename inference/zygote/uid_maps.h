// How a process that left the host's user namespace gets its uids: it asks over its channel, and the agent, which alone
// may write the maps, does. Zygotes and jobs do it alike.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "inference/zygote/channel.h"

namespace allod::inference::zygote {

// In the process: asks with "map" and waits for the answer. How many uids were mapped; 0: none.
std::uint32_t AskForUids(Channel& agent);

// In the agent, which was asked: maps the block that begins with `first_uid`, if this process is root and there is one
// (not 0), else this process's own uid alone, and tells how many. `who` goes to the log when there are none.
void GiveUids(Channel& process, pid_t pid, std::uint32_t first_uid, std::string_view who);

}  // namespace allod::inference::zygote
