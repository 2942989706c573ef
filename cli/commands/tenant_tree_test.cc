#include "cli/commands/tenant_tree.h"

#include <gtest/gtest.h>

namespace allod::cli::commands::tenant_tree_test {
namespace {

std::string Drawn(const std::vector<Branch>& branches) {
  std::string out;
  for (const Placed& placed : AsTree(branches)) {
    out += std::string(static_cast<std::size_t>(placed.depth), '-') + branches[placed.at].name + " ";
  }
  return out;
}

TEST(AsTree, PutsEachBehindItsParent) {
  EXPECT_EQ(Drawn({{"ke", ""}, {"ke-a", "ke"}, {"ke-a-x", "ke-a"}, {"ke-old", ""}, {"ke-z", "ke"}, {"ug", ""}}),
            "ke -ke-a --ke-a-x -ke-z ke-old ug ");
  EXPECT_EQ(Drawn({{"ke-a-x", "ke-a"}, {"ke-a", "ke"}, {"ke", ""}}), "ke -ke-a --ke-a-x ");
}

TEST(AsTree, BeginsWithWhatIsBelowNobodyThatIsShown) {
  EXPECT_EQ(Drawn({{"ke-a", "ke"}, {"ke-a-x", "ke-a"}}), "ke-a -ke-a-x ");
  EXPECT_EQ(Drawn({}), "");
}

}  // namespace
}  // namespace allod::cli::commands::tenant_tree_test
