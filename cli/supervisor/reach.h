// Shows a directory to a user who may not enter one of its parents, such as root's home.
//
// In a mount namespace of the child's own, the topmost parent that is closed is covered by an empty file system, and
// the directory is mounted into it at its own path: so paths mean the same to every process, and nothing else of the
// closed parent is there.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/supervisor/service_users.h"

namespace allod::cli::supervisor {

// Whether `user` may enter every directory on the way to `path`.
bool CanReach(const ServiceUser& user, const std::filesystem::path& path);

struct ReachPlan {
  std::string cover;               // the topmost closed parent; empty: nothing to do
  std::vector<std::string> below;  // directories from there down to `directory`, which is the last
};

// `directory` is absolute and without links.
ReachPlan PlanReach(const ServiceUser& user, const std::filesystem::path& directory);

// Between fork and exec, as root: makes only async-signal-safe calls. Null, or the step that failed, with errno.
const char* MakeReachable(const ReachPlan& plan);

}  // namespace allod::cli::supervisor
