#include "services/tenancy/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/tenancy/key_rules.h"

namespace allod::tenancy::limits_test {
namespace {

using testing::HasSubstr;

TEST(Limits, RefusesWhatCanMatchNothing) {
  EXPECT_TRUE(CheckLimits("f", {}));
  EXPECT_TRUE(CheckLimits("f", {1, 1, 1, true}));
  EXPECT_EQ(CheckLimits("f", {.requests_per_minute = -1}).error().reason, "INVALID_LIMITS");
  EXPECT_EQ(CheckLimits("f", {.requests_per_minute = kRequestsPerMinuteMax + 1}).error().reason, "INVALID_LIMITS");
  EXPECT_THAT(CheckLimits("tenant.limits", {.shadow = true}).error().message, HasSubstr("tenant.limits.shadow"));
}

TEST(Limits, OneThatCouldNeverBeReachedInsideAnotherIsRefused) {
  const Limits tenant{.requests_per_minute = 100};
  EXPECT_TRUE(CheckLimitsWithin("f", {100, 9'000'000, 0, false}, "the tenant's", tenant));
  const Status beyond = CheckLimitsWithin("project.limits", {.requests_per_minute = 101}, "the tenant's", tenant);
  ASSERT_FALSE(beyond);
  EXPECT_THAT(beyond.error().message,
              HasSubstr("project.limits.requests_per_minute is 101 and could never be reached"));
  EXPECT_TRUE(CheckLimitsWithin("f", {.requests_per_minute = 101}, "the tenant's", {100, 0, 0, true}))
      << "one in shadow keeps nobody from anything";
  EXPECT_FALSE(CheckProjectLimits({.concurrency = 5}, {{"a", {.concurrency = 6}}}, {}));
  EXPECT_FALSE(CheckProjectLimits({}, {{"a", {.requests_per_minute = 200}}}, tenant));
  EXPECT_TRUE(CheckProjectLimits({.concurrency = 5}, {{"a", {.concurrency = 5}}}, tenant));
}

ApiKey Key(std::set<Scope> scopes, const Limits& limits) {
  ApiKey out;
  out.scopes = std::move(scopes);
  if (out.scopes.contains(Scope::kPortal)) out.roles = {Role::ROLE_ADMIN};
  out.limits = limits;
  return out;
}

TEST(Limits, AKeyHasNoMoreThanItsMaker) {
  const Time now{std::chrono::hours(24)};
  const ApiKey maker = Key(EveryScope(), {.requests_per_minute = 60, .tokens_per_minute = 1000});
  const auto made = [&](const ApiKey& key) { return HandOn(maker, key, now); };
  EXPECT_EQ(made(Key(EveryScope(), {}))->limits, maker.limits) << "none named is the maker's";
  EXPECT_EQ(made(Key(EveryScope(), {.requests_per_minute = 6, .concurrency = 2}))->limits, (Limits{6, 1000, 2, false}));
  EXPECT_EQ(made(Key(EveryScope(), {.requests_per_minute = 61})).error().reason, "LIMIT_NOT_HELD");
  EXPECT_EQ(made(Key(EveryScope(), {.requests_per_minute = 6, .shadow = true})).error().reason, "LIMIT_NOT_HELD");
  EXPECT_EQ(CheckHandsOn(maker, Key(EveryScope(), {}), now).error().reason, "LIMIT_NOT_HELD") << "of a rotation";
  const auto portal = made(Key({Scope::kPortal}, {}));
  ASSERT_TRUE(portal) << portal.error().message;
  EXPECT_EQ(portal->limits, (Limits{.requests_per_minute = 60})) << "it asks for no tokens";
  EXPECT_EQ(ValidApiKey(Key({Scope::kPortal}, {.tokens_per_minute = 5})).error().reason, "INVALID_LIMITS");
}

TEST(Limits, AreSaidInWords) {
  EXPECT_EQ(DetailText(Limits{}), "");
  EXPECT_EQ(DetailText(Limits{60, 0, 2, true}), "requests_per_minute=60,concurrency=2,shadow");
}

}  // namespace
}  // namespace allod::tenancy::limits_test
