#include "gateway/http/connection_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace allod::gateway::http::connection_table_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ConnectionTableTest : public testing::Test {
 protected:
  ConnectionTable::Id Enter(const std::string& address, const std::string& name) {
    return table_.Enter(address, [this, name] { left_.push_back(name); });
  }

  ConnectionTable table_{4, 3};
  std::vector<std::string> left_;
};

TEST_F(ConnectionTableTest, WhoWaitsLongestMakesWay) {
  for (const char* name : {"a", "b"}) EXPECT_NE(Enter("one", name), 0U);
  for (const char* name : {"c", "d"}) EXPECT_NE(Enter("two", name), 0U);
  EXPECT_THAT(left_, IsEmpty());
  EXPECT_NE(Enter("three", "e"), 0U);
  EXPECT_THAT(left_, ElementsAre("a"));
  EXPECT_EQ(table_.count(), 4);
}

TEST_F(ConnectionTableTest, InItsOwnAddressShare) {
  EXPECT_NE(Enter("other", "first"), 0U);
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_NE(Enter("one", name), 0U);
  EXPECT_THAT(left_, ElementsAre("a"));
}

TEST_F(ConnectionTableTest, StrangersBeforeClientsAndNobodyWithARequest) {
  const auto client = Enter("one", "client");
  EXPECT_TRUE(table_.Begin(client, /*has_key=*/true));
  table_.End(client);
  const auto late_client = Enter("one", "late client");
  EXPECT_TRUE(table_.Begin(late_client, true));
  const auto stranger = Enter("two", "stranger");
  EXPECT_TRUE(table_.Begin(stranger, false));
  table_.End(stranger);
  const auto busy = Enter("two", "busy");
  EXPECT_TRUE(table_.Begin(busy, false));
  EXPECT_NE(Enter("three", "x"), 0U);
  EXPECT_THAT(left_, ElementsAre("stranger"));
  EXPECT_FALSE(table_.Begin(stranger, true)) << "it was told to leave";
  table_.End(late_client);
  const auto x = Enter("three", "y");
  EXPECT_TRUE(table_.Begin(x, true));
  EXPECT_NE(Enter("three", "z"), 0U);
  const auto z = Enter("four", "u");
  EXPECT_TRUE(table_.Begin(z, true));
  EXPECT_THAT(left_, ElementsAre("stranger", "x", "client", "z"));
}

TEST_F(ConnectionTableTest, WhenAllAreBusyNobodyComesIn) {
  std::vector<ConnectionTable::Id> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(Enter("one", "busy"));
    EXPECT_TRUE(table_.Begin(all.back(), true));
  }
  EXPECT_EQ(Enter("one", "new"), 0U) << "its address has no more";
  all.push_back(Enter("two", "busy"));
  EXPECT_TRUE(table_.Begin(all.back(), true));
  EXPECT_EQ(Enter("three", "new"), 0U);
  table_.Leave(all.front());
  EXPECT_NE(Enter("three", "new"), 0U);
  EXPECT_THAT(left_, IsEmpty());
}

TEST_F(ConnectionTableTest, WhatNeedsNoKeyMakesNobodyYounger) {
  const auto prober = Enter("one", "prober");
  Enter("one", "silent");
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(table_.Begin(prober, false));
    table_.End(prober);
  }
  Enter("two", "c");
  Enter("two", "d");
  Enter("two", "e");
  EXPECT_THAT(left_, ElementsAre("prober"));
  table_.Leave(prober);
  EXPECT_EQ(table_.count(), 4);
}

}  // namespace
}  // namespace allod::gateway::http::connection_table_test
