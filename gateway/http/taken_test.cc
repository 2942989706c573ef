#include "gateway/http/taken.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::taken_test {
namespace {

TEST(TakenOf, IsSomeFromTheFirstByteBehindTheHead) {
  struct Case {
    std::size_t written, head, size;
    Taken taken;
  };
  for (const Case& c : {
           Case{0, 100, 500, Taken::kNothing}, Case{99, 100, 500, Taken::kNothing},
           Case{100, 100, 500, Taken::kNothing}, Case{101, 100, 500, Taken::kSome}, Case{499, 100, 500, Taken::kSome},
           Case{500, 100, 500, Taken::kAll}, Case{0, 0, 500, Taken::kNothing}, Case{1, 0, 500, Taken::kSome},
           Case{100, 100, 100, Taken::kAll},  // nothing behind the head
       }) {
    EXPECT_EQ(TakenOf(c.written, c.head, c.size), c.taken) << c.written << " of " << c.size;
  }
}

}  // namespace
}  // namespace allod::gateway::http::taken_test
