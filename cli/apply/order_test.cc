#include "cli/apply/order.h"

#include <gtest/gtest.h>

#include <map>

namespace allod::cli::apply::order_test {
namespace {

using Befores = std::map<std::string, std::vector<std::string>>;

std::vector<std::string> Ordered(const std::vector<std::string>& names, const Befores& befores) {
  std::vector<Document> documents;
  for (const std::string& name : names) {
    documents.emplace_back();
    documents.back().name = name;
  }
  std::vector<std::string> out;
  for (const Document& document : InOrder(std::move(documents), [&](const Document& d) {
         const auto found = befores.find(d.name);
         return found == befores.end() ? std::vector<std::string>() : found->second;
       })) {
    out.push_back(document.name);
  }
  return out;
}

TEST(InOrder, LeavesWhatComesAfterNothing) {
  EXPECT_EQ(Ordered({"c", "a", "b"}, {}), (std::vector<std::string>{"c", "a", "b"}));
  EXPECT_EQ(Ordered({"c", "a"}, {{"c", {"elsewhere"}}}), (std::vector<std::string>{"c", "a"}));
}

TEST(InOrder, PutsTheTopFirst) {
  EXPECT_EQ(
      Ordered({"x", "ke-health-x", "ke-health", "y", "ke"}, {{"ke-health-x", {"ke-health"}}, {"ke-health", {"ke"}}}),
      (std::vector<std::string>{"x", "ke", "ke-health", "ke-health-x", "y"}));
}

TEST(InOrder, ComesToAnEndInARing) {
  EXPECT_EQ(Ordered({"a", "b"}, {{"a", {"b"}}, {"b", {"a"}}}).size(), 2U);
  EXPECT_EQ(Ordered({"a"}, {{"a", {"a"}}}).size(), 1U);
}

}  // namespace
}  // namespace allod::cli::apply::order_test
