#include "gateway/access/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace allod::gateway::access::admission_test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr SteadyTime kStart{std::chrono::hours(1000)};

Principal Key(const std::string& kid, const std::string& tenant) {
  Principal out;
  out.id = kid;
  out.tenant = "tenants/" + tenant;
  return out;
}

std::string Find(const http::Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

// The reason's message; empty: admitted.
std::string Ask(Admission& admission, const Principal& principal, SteadyTime now = kStart) {
  http::Headers headers;
  const auto permit = admission.Admit(principal, now, headers);
  return permit ? "" : permit.error().message;
}

TEST(Admission, ATenantIsBoundHoweverManyKeysItMakes) {
  Admission admission({.key = {.requests_per_minute = 5}, .tenant = {.requests_per_minute = 12}}, std::nullopt);
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += Ask(admission, Key("k" + std::to_string(i), "ke")).empty() ? 1 : 0;
  EXPECT_EQ(admitted, 12);
  EXPECT_THAT(Ask(admission, Key("fresh", "ke")), HasSubstr("this tenant"));
  EXPECT_EQ(Ask(admission, Key("k", "tz")), "") << "another tenant has its own";
  EXPECT_EQ(Ask(admission, Key("fresh", "ke"), kStart + seconds(10)), "");
}

TEST(Admission, AKeyThatIsRefusedTakesNothingFromItsNeighbours) {
  Admission admission({.key = {.requests_per_minute = 5}, .tenant = {.requests_per_minute = 12}}, std::nullopt);
  for (int i = 0; i < 1000; ++i) (void)Ask(admission, Key("flood", "ke"));
  EXPECT_THAT(Ask(admission, Key("flood", "ke")), HasSubstr("this key"));
  int admitted = 0;
  for (int i = 0; i < 5; ++i) admitted += Ask(admission, Key("calm", "ke")).empty() ? 1 : 0;
  EXPECT_EQ(admitted, 5);
}

TEST(Admission, HeadersTellOfTheLimitThatLeavesLess) {
  Admission admission({.key = {.requests_per_minute = 5, .tokens_per_minute = 1000},
                       .tenant = {.requests_per_minute = 6, .tokens_per_minute = 500}},
                      std::nullopt);
  http::Headers headers;
  auto permit = admission.Admit(Key("a", "ke"), kStart, headers);
  ASSERT_TRUE(permit);
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-requests"), "5");
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-requests"), "4");
  EXPECT_EQ(Find(headers, "x-ratelimit-limit-tokens"), "500");
  permit->ChargeTokens(450, kStart);
  headers.clear();
  // Of another key of the tenant, which has used nothing itself.
  ASSERT_TRUE(admission.Admit(Key("b", "ke"), kStart, headers));
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-tokens"), "50");
  permit->ChargeTokens(100, kStart);
  headers.clear();
  const auto refused = admission.Admit(Key("b", "ke"), kStart, headers);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("500 tokens per minute"));
  EXPECT_EQ(refused.error().reason, "RATE_LIMIT_EXCEEDED");
  EXPECT_GT(*refused.error().retry_after, seconds(5));
  EXPECT_EQ(Find(headers, "x-ratelimit-remaining-tokens"), "0");
}

TEST(Admission, PlacesAreGivenBackAtBothLevels) {
  Admission admission({.key = {.concurrency = 2}, .tenant = {.concurrency = 3}}, std::nullopt);
  http::Headers headers;
  std::vector<Admission::Permit> running;
  for (const char* kid : {"a", "a", "b"}) {
    auto permit = admission.Admit(Key(kid, "ke"), kStart, headers);
    ASSERT_TRUE(permit);
    running.push_back(*std::move(permit));
  }
  EXPECT_THAT(Ask(admission, Key("a", "ke")), HasSubstr("this key has 2 requests running"));
  EXPECT_THAT(Ask(admission, Key("b", "ke")), HasSubstr("3 requests running"));
  running.clear();
  EXPECT_EQ(Ask(admission, Key("a", "ke")), "");
  // What the tenant refused left the key's place free.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(admission, Key("b", "ke")), "");
}

}  // namespace
}  // namespace allod::gateway::access::admission_test
