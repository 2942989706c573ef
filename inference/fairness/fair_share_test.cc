#include "inference/fairness/fair_share.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace allod::inference::fairness::fair_share_test {
namespace {

// Turns that each tenant gets while all of them want more, every turn of one decoded token.
std::map<std::string, int> Serve(FairShare& share, const std::vector<std::string>& waiting, int turns,
                                 double cost = 4) {
  std::map<std::string, int> served;
  for (int i = 0; i < turns; ++i) {
    const std::string& next = waiting[share.Pick(waiting)];
    ++served[next];
    share.Charge(next, cost);
  }
  return served;
}

TEST(FairShare, EqualTenantsTakeEqualTurns) {
  FairShare share;
  const std::vector<std::string> all{"a", "b", "c"};
  for (const std::string& tenant : all) share.Enter(tenant, 1);
  for (const auto& [tenant, turns] : Serve(share, all, 300)) EXPECT_EQ(turns, 100) << tenant;
}

TEST(FairShare, ServesInProportionToWeights) {
  struct Case {
    double a, b;
    int turns_of_a;  // of 600
  };
  for (const Case& c : {Case{1, 1, 300}, Case{2, 1, 400}, Case{5, 1, 500}, Case{1, 3, 150}, Case{0, -7, 300}}) {
    FairShare share;
    share.Enter("a", c.a);
    share.Enter("b", c.b);
    EXPECT_NEAR(Serve(share, {"a", "b"}, 600)["a"], c.turns_of_a, 1) << c.a << ":" << c.b;
  }
}

TEST(FairShare, CountsTimeAndNotTurns) {
  FairShare share;
  share.Enter("long_turns", 1);
  share.Enter("short_turns", 1);
  const std::vector<std::string> both{"long_turns", "short_turns"};
  int of_short = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t next = share.Pick(both);
    of_short += next == 1 ? 1 : 0;
    share.Charge(both[next], next == 0 ? 0.050 : 0.0005);
  }
  EXPECT_NEAR(of_short, 990, 3);
}

TEST(FairShare, WhatCameToNothingIsChargedToo) {
  FairShare share;
  share.Enter("honest", 1);
  share.Charge("honest", 1);
  // Refused again and again: it never had work, but the others' time was used.
  for (int i = 0; i < 10; ++i) share.ChargeAhead("refused", 2, 0.4);
  EXPECT_DOUBLE_EQ(share.Served("refused"), 3);
  EXPECT_EQ(share.active_tenants(), 1U);
  EXPECT_TRUE(share.Enter("refused", 2));
  EXPECT_FALSE(share.Enter("refused", 2));
  EXPECT_NEAR(Serve(share, {"honest", "refused"}, 30, 0.1)["honest"], 23, 1);
  // Alone it kept nobody waiting.
  FairShare alone;
  alone.ChargeAhead("refused", 1, 5);
  alone.Enter("honest", 1);
  alone.Enter("refused", 1);
  EXPECT_EQ(alone.Served("refused"), 0);
}

TEST(FairShare, WhoLeftAheadOfTheOthersComesBackAheadOfThem) {
  FairShare share;
  share.Enter("stays", 1);
  share.Enter("bursts", 1);
  share.Charge("bursts", 3);
  share.Leave("bursts");
  share.Enter("bursts", 1);
  EXPECT_EQ(share.Served("bursts"), 3);
  share.Charge("stays", 5);
  share.Leave("bursts");
  share.Enter("bursts", 1);
  EXPECT_EQ(share.Served("bursts"), 5);
}

TEST(FairShare, WhoWasAwaySavedUpNothing) {
  FairShare share;
  share.Enter("a", 1);
  share.Enter("b", 1);
  share.Leave("b");
  Serve(share, {"a"}, 10'000);
  share.Enter("b", 1);
  EXPECT_NEAR(Serve(share, {"a", "b"}, 100)["b"], 50, 1);
}

TEST(FairShare, WhoComputedWhileNobodyElseWantedToOwesNothing) {
  FairShare share;
  share.Enter("a", 1);
  Serve(share, {"a"}, 10'000);
  share.Leave("a");  // between two requests
  share.Enter("b", 1);
  share.Enter("a", 1);
  EXPECT_NEAR(Serve(share, {"a", "b"}, 100)["a"], 50, 1);
}

TEST(FairShare, ComingAndGoingDoesNotWipeOutWhatWasServed) {
  FairShare share;
  share.Enter("honest", 1);
  share.Enter("flapping", 1);
  int of_flapping = 0;
  const std::vector<std::string> both{"honest", "flapping"};
  for (int i = 0; i < 1000; ++i) {
    const std::size_t next = share.Pick(both);
    of_flapping += next == 1 ? 1 : 0;
    share.Charge(both[next], 4);
    if (next == 0) continue;
    share.Leave("flapping");  // rests after each of its turns
    share.Enter("flapping", 1);
  }
  EXPECT_NEAR(of_flapping, 500, 1);
}

TEST(FairShare, WorkersOfOneTenantShareItsShare) {
  FairShare share;
  for (int i = 0; i < 7; ++i) share.Enter("many", 1);
  share.Enter("one", 1);
  const std::vector<std::string> waiting{"many", "many", "many", "many", "many", "many", "many", "one"};
  EXPECT_NEAR(Serve(share, waiting, 100)["one"], 50, 1);
  for (int i = 0; i < 6; ++i) share.Leave("many");
  EXPECT_EQ(share.active_tenants(), 2U);
  share.Leave("many");
  EXPECT_EQ(share.active_tenants(), 1U);
}

TEST(FairShare, NobodyIsStarvedByHoweverManyNewcomers) {
  FairShare share;
  share.Enter("old", 1);
  share.Charge("old", 1e6);
  share.Enter("peer", 1);
  int of_old = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string newcomer = "new" + std::to_string(i);
    share.Enter(newcomer, 1);
    const std::vector<std::string> waiting{"old", "peer", newcomer};
    const std::size_t next = share.Pick(waiting);
    of_old += next == 0 ? 1 : 0;
    share.Charge(waiting[next], 4);
    share.Leave(newcomer);
  }
  EXPECT_GE(of_old, 300);
}

TEST(FairShare, FirstComeFirstServedAmongEquals) {
  FairShare share;
  share.Enter("a", 1);
  share.Enter("b", 1);
  EXPECT_EQ(share.Pick(std::vector<std::string>{"b", "a"}), 0U);
  share.Charge("b", 1);
  EXPECT_EQ(share.Pick(std::vector<std::string>{"b", "a"}), 1U);
}

TEST(FairShare, NonsenseIsIgnored) {
  FairShare share;
  share.Leave("nobody");
  share.Charge("nobody", 5);
  EXPECT_EQ(share.Served("nobody"), 0);
  share.Enter("a", 1);
  share.Charge("a", -5);
  EXPECT_EQ(share.Served("a"), 0);
  share.ChargeAhead("a", 1, -5);
  EXPECT_EQ(share.Served("a"), 0);
  share.Leave("a");
  share.Leave("a");
  EXPECT_EQ(share.active_tenants(), 0U);
}

TEST(FairShare, IsBoundedByWhoIsActive) {
  FairShare share;
  share.Enter("stays", 1);
  for (int i = 0; i < 20'000; ++i) {
    share.Enter(std::to_string(i), 1);
    share.Leave(std::to_string(i));
  }
  share.Charge("stays", 4);
  EXPECT_EQ(share.Served("stays"), 4);
  EXPECT_EQ(share.active_tenants(), 1U);
}

TEST(FairShare, WhatCouldNotBeUsedIsNotSavedUp) {
  FairShare shares;
  shares.Enter("a", 1);
  shares.Enter("b", 1);
  shares.Charge("a", 5);
  shares.Rise("b", 4);
  EXPECT_EQ(shares.Served("b"), 4);
  shares.Rise("a", 4);
  EXPECT_EQ(shares.Served("a"), 5) << "it is not lowered";
}

}  // namespace
}  // namespace allod::inference::fairness::fair_share_test
