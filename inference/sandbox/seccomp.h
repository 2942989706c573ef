// Which system calls a process may make, as two allow-lists: one for a zygote and a worker that starts, and a tighter
// one for a worker that serves. What is not listed fails with EPERM.
//
// The programs are built once, in the zygote, because building takes longer than forking. Built with libseccomp.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <vector>

#include "inference/sandbox/layers.h"
#include "services/common/result.h"

namespace allod::inference::sandbox {

class SyscallFilter {
 public:
  // May fork, make namespaces, change its uid, map code.
  static Result<SyscallFilter> ForStart();
  // Serves on descriptors that it has: no files, no new sockets, no processes (threads yes), no namespaces, no code
  // mapped. `self` is its pid in its own pid namespace: the one process that it may signal.
  static Result<SyscallFilter> ForServing(pid_t self);

  // Computes on files that it has as descriptors, opens them again by /proc/self/fd, and does nothing else: no sockets,
  // no processes (threads yes), no namespaces, no code mapped. `self` as above.
  static Result<SyscallFilter> ForJob(pid_t self);

  // For all threads of the process, for good. Needs no_new_privs or root. Whether it took effect.
  bool Apply() const;

 private:
  std::vector<sock_filter> program_;
};

}  // namespace allod::inference::sandbox
