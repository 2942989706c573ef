// Tenants as a tree: each below its parent. Pure.
#pragma once

#include <string>
#include <vector>

namespace allod::cli::commands {

struct Branch {
  std::string name;    // "tenants/ke-health"
  std::string parent;  // empty: none
};

struct Placed {
  std::size_t at;  // in what was given
  int depth;       // 0: at the top
};

// Each behind its parent, those side by side in the order in which they were given. One whose parent is not among them
// is at the top: a member is shown what is below his own.
std::vector<Placed> AsTree(const std::vector<Branch>& branches);

}  // namespace allod::cli::commands
