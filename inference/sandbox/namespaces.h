// Namespaces for the processes that touch foreign models: first those of a zygote, then, inside them, those of each
// worker.
//
// Every step is attempted and its success recorded; what a host does not allow (a container without user namespaces, an
// agent that is not root) is missing from the layers and nothing else breaks. All functions are for a process with one
// thread. Linux only: namespaces(7), user_namespaces(7), pivot_root(2).
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "inference/sandbox/layers.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::sandbox {

// Uids that a zygote's user namespace maps: 0 is the zygote's own, the others are for its workers, one each.
inline constexpr std::uint32_t kUidsPerZygote = 1024;

struct ZygoteNamespaces {
  Layers layers;
  // Uids 1 to uids-1 are there for workers; at most 1: none.
  std::uint32_t uids = 0;
  // A /proc, as a descriptor that survives the empty root: workers write their uid maps through it. Of the zygote's own
  // pid namespace (kOwnProc), or the host's where a host refuses that.
  OwnedFd proc;
  // Supplementary groups of the host stay: who has them may open again, by its descriptor, a file that they may read.
  bool keep_groups = false;
  // The pid namespace in which the zygote itself is, to come back to after forking; none: workers share it.
  OwnedFd pid_namespace;
};

// Leaves the host's namespaces. `map_uids` is called when the new user namespace wants its maps, which only the parent
// may write; it returns how many uids were mapped (0: none). In the end the process is a new one, pid 1 of its pid
// namespace: the calling process stays behind as its parent, does nothing but wait, and ends as it ends.
ZygoteNamespaces EnterZygoteNamespaces(const std::function<std::uint32_t()>& map_uids, bool keep_groups = false);

// The maps of a child's user namespace: from 0 on, `count` uids from `first` of the caller's. Needs root unless `count`
// is 1 and `first` the caller's own. INTERNAL / CANNOT_MAP_UIDS.
Status WriteUidMaps(pid_t child, std::uint32_t first, std::uint32_t count);

// An empty, read-only root without any device, and nothing else mounted. The descriptors stay open; with
// `own_descriptors` /proc/self/fd is there too, for programs that open files by name only.
bool EnterEmptyRoot(bool own_descriptors = false);

// fork() whose child is pid 1 of a pid namespace of its own, if there can be one. `own_pid_namespace` says whether.
pid_t ForkIntoPidNamespace(const ZygoteNamespaces& zygote, bool& own_pid_namespace);

// In a worker just forked: its own uid, then user, mount, ipc, network and uts namespaces, then no capability at all.
// `uid` is one of the zygote's, or 0 to keep the zygote's own.
Layers EnterWorkerNamespaces(const ZygoteNamespaces& zygote, bool own_pid_namespace, std::uint32_t uid);

}  // namespace allod::inference::sandbox
