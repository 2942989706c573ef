#include "gateway/sign_in/shown_tokens.h"

#include <gtest/gtest.h>

#include <cstring>

namespace allod::gateway::sign_in::shown_tokens_test {
namespace {

using namespace std::chrono_literals;

Digest256 DigestOf(std::uint32_t number) {
  Digest256 out{};
  std::memcpy(out.data(), &number, sizeof number);
  return out;
}

TEST(ShownTokens, AreOfTheFirstForWhomTheyAreShown) {
  ShownTokens shown;
  const Time now{1000h};
  EXPECT_TRUE(shown.Claim(DigestOf(1), "tenants/ke/identityProviders/a", now + 10min, now));
  EXPECT_TRUE(shown.Claim(DigestOf(1), "tenants/ke/identityProviders/a", now + 10min, now));
  EXPECT_FALSE(shown.Claim(DigestOf(1), "tenants/tz/identityProviders/a", now + 10min, now));
  EXPECT_TRUE(shown.Claim(DigestOf(2), "tenants/tz/identityProviders/a", now + 10min, now));
  EXPECT_TRUE(shown.Claim(DigestOf(1), "tenants/tz/identityProviders/a", now + 20min, now + 10min))
      << "the token itself is too old by then";
}

TEST(ShownTokens, AreBounded) {
  ShownTokens shown;
  const Time now{1000h};
  for (std::uint32_t i = 0; i < ShownTokens::kTokensMax; ++i)
    ASSERT_TRUE(shown.Claim(DigestOf(i), "p", now + 1min, now));
  EXPECT_FALSE(shown.Claim(DigestOf(ShownTokens::kTokensMax), "p", now + 1min, now));
  EXPECT_TRUE(shown.Claim(DigestOf(ShownTokens::kTokensMax), "p", now + 9min, now + 2min));
}

}  // namespace
}  // namespace allod::gateway::sign_in::shown_tokens_test
