#include "gateway/http/message.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::message_test {
namespace {

TEST(HttpMessage, WhatIsNotUtf8IsRefusedHoweverItIsWritten) {
  for (const char* broken : {"%ff", "\xff", "a%c3", "%ed%a0%80", "%c0%af", "\xc3%28"}) {
    Request in_path, in_query;
    ASSERT_TRUE(SetTarget(std::string("/v1/") + broken, in_path));
    ASSERT_TRUE(SetTarget(std::string("/v1?a=") + broken, in_query));
    EXPECT_EQ(CheckTarget(in_path).error().reason, "INVALID_ENCODING");
    EXPECT_EQ(CheckTarget(in_query).error().reason, "INVALID_ENCODING");
  }
}

TEST(HttpMessage, ReadsEveryFormOfATarget) {
  struct Row {
    const char* target;
    const char* path;
    const char* query;
  };
  const Row table[] = {{"/", "/", ""},
                       {"/v1/models?a=1?b", "/v1/models", "a=1?b"},
                       {"/v1/k%65", "/v1/k%65", ""},
                       {"http://gateway:8080/v1/models?a=1", "/v1/models", "a=1"},
                       {"HTTPS://gateway", "/", ""},
                       {"http://gateway?a=1", "/", "a=1"},
                       {"/x?u=http://y/", "/x", "u=http://y/"},
                       {"*", "*", ""}};
  for (const Row& row : table) {
    Request request;
    ASSERT_TRUE(SetTarget(row.target, request)) << row.target;
    EXPECT_TRUE(CheckTarget(request)) << row.target;
    EXPECT_EQ(request.path, row.path) << row.target;
    EXPECT_EQ(request.query, row.query) << row.target;
  }
  for (const char* broken : {"", "v1", "gateway:443", "ftp://gateway/"}) {
    Request request;
    EXPECT_EQ(SetTarget(broken, request).error().reason, "INVALID_TARGET") << broken;
  }
}

TEST(HttpMessage, ComparesTokensInAnyCase) {
  EXPECT_TRUE(SameToken("Chunked", "chunked"));
  EXPECT_TRUE(SameToken(" \tgzip ", "gzip"));
  EXPECT_FALSE(SameToken("gzip,", "gzip"));
  EXPECT_FALSE(SameToken("", "gzip"));
  EXPECT_FALSE(SameToken("gzi", "gzip"));
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

TEST(HttpMessage, TakesTheClientsTraceIfThereIsOneThatIsValid) {
  const std::string valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(TraceOf({{"host", "x"}, {"traceparent", valid}}).ToString(), valid);
  for (const Headers& headers :
       {Headers{}, Headers{{"traceparent", "nonsense"}}, Headers{{"traceparent", valid + "-more"}},
        Headers{{"traceparent", valid}, {"traceparent", valid}}}) {
    const Trace made = TraceOf(headers);
    EXPECT_EQ(Trace::Parse(made.ToString()), made);
    EXPECT_NE(made.ToString(), valid);
  }
}

TEST(HttpMessage, FindsHeadersByLowerCaseName) {
  Request request;
  request.headers = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(request.Header("a"), "1");
  EXPECT_EQ(request.Header("none"), "");
}

}  // namespace
}  // namespace allod::gateway::http::message_test
