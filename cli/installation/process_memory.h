// How much memory running processes use, from /proc (proc(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace allod::cli::installation {

// Of the process and everything below it: the proportional set size, in which shared pages are divided by their users,
// so that the sum over processes is what they use together. Of a process that is closed to debuggers nobody but root
// may see that; then it is what it has in memory of its own. 0 for a process that is gone.
std::int64_t TreeMemoryBytes(pid_t pid);

}  // namespace allod::cli::installation
