#include "cli/commands/tenant_tree.h"

#include <functional>
#include <map>
#include <set>

namespace allod::cli::commands {

std::vector<Placed> AsTree(const std::vector<Branch>& branches) {
  std::set<std::string> names;
  for (const Branch& branch : branches) names.insert(branch.name);
  std::map<std::string, std::vector<std::size_t>> below;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    below[names.contains(branches[i].parent) ? branches[i].parent : ""].push_back(i);
  }
  std::vector<Placed> out;
  const std::function<void(const std::string&, int)> add = [&](const std::string& parent, int depth) {
    for (const std::size_t at : below[parent]) {
      out.push_back({at, depth});
      add(branches[at].name, depth + 1);
    }
  };
  add("", 0);
  return out;
}

}  // namespace allod::cli::commands
