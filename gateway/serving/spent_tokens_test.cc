#include "gateway/serving/spent_tokens.h"

#include <gtest/gtest.h>

namespace allod::gateway::serving::spent_tokens_test {
namespace {

TEST(SpentTokens, WhatNoWorkerLookedAtCostsNothing) {
  SpentTokens spent(4000);
  EXPECT_EQ(spent.total(), 0);
  spent.Sent();
  spent.NotTakenUp();
  EXPECT_EQ(spent.total(), 0);
}

TEST(SpentTokens, WhatAWorkerRefusedCostsWhatReadingItDoes) {
  SpentTokens spent(4001);
  spent.Sent();
  EXPECT_EQ(spent.total(), 1001) << "also if the client left before the worker said anything";
}

TEST(SpentTokens, WhatWasComputedCountsOnceForEachTime) {
  SpentTokens spent(4000);
  spent.Sent();
  spent.Read(7);
  spent.Computed(1);
  spent.Computed(2);
  EXPECT_EQ(spent.total(), 10);
  spent.Sent();
  spent.Read(7);
  spent.Computed(5);
  EXPECT_EQ(spent.total(), 22) << "the replica was lost and another did it again";
}

TEST(SpentTokens, CountsThatMakeNoSenseGiveNothingBack) {
  SpentTokens spent(4000);
  spent.Sent();
  spent.Read(-7);
  spent.Computed(-1);
  EXPECT_EQ(spent.total(), 0);
}

}  // namespace
}  // namespace allod::gateway::serving::spent_tokens_test
