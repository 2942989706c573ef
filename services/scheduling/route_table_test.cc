#include "services/scheduling/route_table.h"

#include <gtest/gtest.h>

namespace allod::scheduling::route_table_test {
namespace {

Route To(const std::string& instance, std::vector<std::string> targets = {}) {
  Route route;
  route.instance = instance;
  route.targets = std::move(targets);
  return route;
}

TEST(RouteChanges, AreWhatTurnsOneTableIntoTheNext) {
  struct Case {
    RouteTable before, now;
    std::vector<std::string> changed, removed;
  };
  Route again = To("b");
  again.id = Uuid::FromName("another instance of that name");
  for (const Case& c :
       {Case{{}, {}, {}, {}}, Case{{}, {To("a"), To("b")}, {"a", "b"}, {}},
        Case{{To("a"), To("b")}, {}, {}, {"a", "b"}}, Case{{To("a"), To("c")}, {To("b"), To("c")}, {"b"}, {"a"}},
        Case{{To("a"), To("b")}, {To("a", {"unix:/w"}), To("b")}, {"a"}, {}}, Case{{To("b")}, {again}, {"b"}, {}},
        Case{{To("a"), To("b"), To("c"), To("d")}, {To("b"), To("e")}, {"e"}, {"a", "c", "d"}}}) {
    const RouteChanges changes = ChangesBetween(c.before, c.now);
    std::vector<std::string> changed;
    for (const Route* route : changes.routes) changed.push_back(route->instance);
    EXPECT_EQ(changed, c.changed);
    EXPECT_EQ(changes.removed, c.removed);
  }
}

TEST(FindRoute, FindsByTheWholeName) {
  const RouteTable table{To("a"), To("b"), To("bb")};
  EXPECT_EQ(FindRoute(table, "b"), &table[1]);
  EXPECT_EQ(FindRoute(table, "ba"), nullptr);
  EXPECT_EQ(FindRoute(table, "c"), nullptr);
  EXPECT_EQ(FindRoute({}, "a"), nullptr);
}

}  // namespace
}  // namespace allod::scheduling::route_table_test
