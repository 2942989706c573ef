// What the kernel says of a running process's user and confinement: the text of /proc/PID/status (proc(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace allod::cli::installation {

struct ProcessFacts {
  uid_t uid = 0;                    // effective
  std::vector<std::string> layers;  // as services/common/sandbox/layers.h names them, as far as the kernel tells
};

// Pure. Nothing when the text is not such a file.
std::optional<ProcessFacts> ParseProcessFacts(const std::string& status);

// Nothing when there is no such process.
std::optional<ProcessFacts> ReadProcessFacts(pid_t pid);

// Any running process whose effective user is one of `count` from `first` on.
std::optional<pid_t> FindProcessOfUsers(std::uint32_t first, std::uint32_t count);

// What is in force of a process: what the kernel tells now, then what the process told when it started and the kernel
// does not tell. `sharing` is how many processes of the installation have its user, itself included; its own uid is a
// layer when that is 1 and it is not root.
std::vector<std::string> LayersInForce(const ProcessFacts& facts, const std::vector<std::string>& told, int sharing);

}  // namespace allod::cli::installation
