#include "gateway/http/cors.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::cors_test {
namespace {

Request From(const std::string& origin, const Headers& more = {}) {
  Request request;
  request.headers = more;
  if (!origin.empty()) request.headers.emplace_back("origin", origin);
  return request;
}

std::string Find(const Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(Cors, IsOffUnlessOriginsAreNamed) {
  const Cors off({});
  EXPECT_TRUE(off.HeadersFor(From("https://a.example")).empty());
  EXPECT_TRUE(
      off.PreflightHeaders(From("https://a.example", {{"access-control-request-method", "POST"}}), "POST").empty());
}

TEST(Cors, NamedOriginsAreAllowedAndNoOthers) {
  const Cors cors({"https://a.example", "http://localhost:3000"});
  const Headers allowed = cors.HeadersFor(From("http://localhost:3000"));
  EXPECT_EQ(Find(allowed, "access-control-allow-origin"), "http://localhost:3000");
  EXPECT_EQ(Find(allowed, "vary"), "origin");
  for (const char* exposed : {"x-request-id", "retry-after", "x-ratelimit-remaining-requests", "x-should-retry"}) {
    EXPECT_NE(Find(allowed, "access-control-expose-headers").find(exposed), std::string::npos) << exposed;
  }
  EXPECT_EQ(Find(allowed, "access-control-allow-credentials"), "");
  for (const char* other : {"", "null", "https://b.example", "https://a.example.evil.example", "https://A.example",
                            "http://a.example", "https://a.example:444"}) {
    const Headers refused = cors.HeadersFor(From(other));
    EXPECT_EQ(Find(refused, "access-control-allow-origin"), "") << other;
    EXPECT_EQ(Find(refused, "vary"), "origin") << "a cache must not give this answer to an allowed page";
  }
  EXPECT_EQ(Find(Cors({"*"}).HeadersFor(From("null")), "access-control-allow-origin"), "*");
}

TEST(Cors, APreflightIsToldWhatItAskedFor) {
  const Cors cors({"https://a.example"});
  const std::string asked = "authorization,content-type,x-stainless-lang";
  const Headers headers = cors.PreflightHeaders(
      From("https://a.example", {{"access-control-request-method", "POST"}, {"access-control-request-headers", asked}}),
      "POST, OPTIONS");
  EXPECT_EQ(Find(headers, "access-control-allow-methods"), "POST, OPTIONS");
  EXPECT_EQ(Find(headers, "access-control-allow-headers"), asked);
  EXPECT_NE(Find(headers, "access-control-max-age"), "");
  const Headers hostile = cors.PreflightHeaders(
      From("https://a.example",
           {{"access-control-request-method", "POST"}, {"access-control-request-headers", "a\xff: b"}}),
      "POST");
  EXPECT_EQ(Find(hostile, "access-control-allow-headers"), "") << "only names are sent back";
  EXPECT_TRUE(cors.PreflightHeaders(From("https://a.example"), "POST").empty()) << "an OPTIONS that asks nothing";
}

TEST(Cors, OriginsAreCheckedWhenTheyAreConfigured) {
  EXPECT_TRUE(Cors::Check({}));
  EXPECT_TRUE(Cors::Check({"*"}));
  EXPECT_TRUE(Cors::Check({"https://a.example", "http://localhost:3000", "http://[::1]:8080"}));
  for (const char* bad :
       {"", "a.example", "https://", "https://a.example/", "https://a.example/app", "https://A.example",
        "https://*.example", "https://a.example,https://b.example", "https://a example"}) {
    const Status checked = Cors::Check({bad});
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().reason, "INVALID_ORIGIN");
  }
  EXPECT_FALSE(Cors::Check({"*", "https://a.example"}));
}

}  // namespace
}  // namespace allod::gateway::http::cors_test
