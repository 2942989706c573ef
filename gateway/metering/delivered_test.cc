#include "gateway/metering/delivered.h"

#include <gtest/gtest.h>

namespace allod::gateway::metering::delivered_test {
namespace {

using http::Taken;

TEST(IsDelivered, WhatAClientBrokeOffCountsAndWhatWeBrokeOffDoesNot) {
  struct Case {
    Taken taken;
    bool stopping;
    bool delivered;
  };
  for (const Case& c : {
           Case{Taken::kNothing, false, false},
           Case{Taken::kNothing, true, false},
           Case{Taken::kSome, false, true},
           Case{Taken::kSome, true, false},
           Case{Taken::kAll, false, true},
           Case{Taken::kAll, true, true},
       }) {
    EXPECT_EQ(IsDelivered(c.taken, c.stopping), c.delivered) << static_cast<int>(c.taken) << c.stopping;
  }
}

}  // namespace
}  // namespace allod::gateway::metering::delivered_test
