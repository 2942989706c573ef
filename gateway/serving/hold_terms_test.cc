#include "gateway/serving/hold_terms.h"

#include <gtest/gtest.h>

namespace allod::gateway::serving::hold_terms_test {
namespace {

TEST(HoldTerms, CoverTheSamePriceAndNoMoreTokens) {
  const HoldTerms held{{"v/q4", "priceBooks/a", "pooled"}, {200, 400}};
  struct Case {
    const char* says;
    HoldTerms needed;
    bool covered;
  };
  for (const Case& c : {
           Case{"the same", held, true},
           Case{"a smaller context", {{"v/q4", "priceBooks/a", "pooled"}, {100, 100}}, true},
           Case{"a longer prompt", {{"v/q4", "priceBooks/a", "pooled"}, {201, 400}}, false},
           Case{"a longer answer", {{"v/q4", "priceBooks/a", "pooled"}, {200, 401}}, false},
           Case{"another variant", {{"v/q8", "priceBooks/a", "pooled"}, {200, 400}}, false},
           Case{"another price book", {{"v/q4", "priceBooks/b", "pooled"}, {200, 400}}, false},
           Case{"a dearer class", {{"v/q4", "priceBooks/a", "dedicated"}, {200, 400}}, false},
       }) {
    EXPECT_EQ(Covers(held, c.needed), c.covered) << c.says;
  }
}

}  // namespace
}  // namespace allod::gateway::serving::hold_terms_test
