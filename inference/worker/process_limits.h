// What a worker process gives up before it opens the model, and an honest account of what is in force.
#pragma once

#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::inference::worker {

// No new privileges through exec, no core files (they would hold prompts), no debugger or /proc/PID/mem access by other
// processes of the same user, few open files. With `die_with_parent` the kernel kills this process when the thread that
// started it ends. Cannot be undone. Call first, from the main thread. INTERNAL / CONFINE_FAILED names the layer.
Status LimitProcess(bool die_with_parent);

// The layers that the kernel says are in force now: "no_new_privs", "not_dumpable", "rlimits", "die_with_parent". Call
// from the main thread: the last belongs to it alone.
std::vector<std::string> LayersInForce();

}  // namespace allod::inference::worker
