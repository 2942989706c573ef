#include "gateway/http_message.h"

#include <gtest/gtest.h>

namespace allod::gateway {
namespace {

TEST(HttpMessage, PercentDecodes) {
  EXPECT_EQ(*PercentDecode("path", "a%2Fb%20c+d"), "a/b c+d");
  EXPECT_EQ(*PercentDecode("path", ""), "");
  for (const char* broken : {"%", "%4", "%zz", "a%2", "%00"}) {
    const auto decoded = PercentDecode("path", broken);
    ASSERT_FALSE(decoded) << broken;
    EXPECT_EQ(decoded.error().reason, "INVALID_ENCODING");
  }
}

TEST(HttpMessage, SplitsQueriesInOrder) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(*ParseQuery(""), Pairs{});
  EXPECT_EQ(*ParseQuery("a=1&b=x%26y&a=2&flag&&c="),
            (Pairs{{"a", "1"}, {"b", "x&y"}, {"a", "2"}, {"flag", ""}, {"c", ""}}));
}

TEST(HttpMessage, BoundsTheNumberOfQueryParameters) {
  std::string query;
  for (int i = 0; i < 65; ++i) query += "a=1&";
  ASSERT_FALSE(ParseQuery(query));
  EXPECT_EQ(ParseQuery(query).error().reason, "INVALID_QUERY");
}

TEST(HttpMessage, FindsHeadersByLowerCaseName) {
  HttpRequest request;
  request.headers = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(request.Header("a"), "1");
  EXPECT_EQ(request.Header("none"), "");
}

}  // namespace
}  // namespace allod::gateway
