#include "cli/net/sse.h"

#include <gtest/gtest.h>

namespace allod::cli::net::sse_test {
namespace {

using Events = std::vector<std::string>;

TEST(SseReader, JoinsPiecesAndSkipsComments) {
  SseReader reader;
  EXPECT_EQ(reader.Feed(": keep-alive\n\ndata: {\"a\""), Events{});
  EXPECT_EQ(reader.Feed(":1}\n\ndata: x\r\n\r\nda"), (Events{"{\"a\":1}", "x"}));
  EXPECT_EQ(reader.Feed("ta:y\ndata: z\n\n"), Events{"y\nz"});
}

TEST(SseReader, DropsAnEventWithoutEnd) {
  SseReader reader;
  EXPECT_EQ(reader.Feed("data: never finished\n"), Events{});
}

}  // namespace
}  // namespace allod::cli::net::sse_test
