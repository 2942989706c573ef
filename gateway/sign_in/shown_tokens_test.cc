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

constexpr char kOfKe[] = "tenants/ke/identityProviders/a";
constexpr char kOfTz[] = "tenants/tz/identityProviders/a";

std::string Why(const Status& claimed) { return claimed ? "" : claimed.error().reason; }

TEST(ShownTokens, AreOfTheFirstForWhomTheyAreShown) {
  ShownTokens shown;
  const Time now{1000h};
  EXPECT_EQ(Why(shown.Claim(DigestOf(1), kOfKe, now + 10min, now)), "");
  EXPECT_EQ(Why(shown.Claim(DigestOf(1), kOfKe, now + 10min, now)), "");
  EXPECT_EQ(Why(shown.Claim(DigestOf(1), kOfTz, now + 10min, now)), "TOKEN_REPLAYED");
  EXPECT_EQ(Why(shown.Claim(DigestOf(2), kOfTz, now + 10min, now)), "");
  EXPECT_EQ(Why(shown.Claim(DigestOf(1), kOfTz, now + 20min, now + 10min)), "")
      << "the token itself is too old by then";
}

TEST(ShownTokens, OfOneTenantKeepNoOtherOut) {
  ShownTokens shown;
  const Time now{1000h};
  std::uint32_t token = 0;
  for (; token < ShownTokens::kPerTenantMax; ++token) {
    const std::string provider = std::string("tenants/ke/identityProviders/") + (token % 2 == 0 ? "a" : "b");
    ASSERT_EQ(Why(shown.Claim(DigestOf(token), provider, now + 1min, now)), "");
  }
  EXPECT_EQ(Why(shown.Claim(DigestOf(token), kOfKe, now + 1min, now)), "TOO_MANY_SIGN_INS");
  EXPECT_EQ(shown.Claim(DigestOf(token), kOfKe, now + 1min, now).error().code, Code::kResourceExhausted);
  EXPECT_EQ(Why(shown.Claim(DigestOf(0), kOfKe, now + 1min, now)), "") << "one that is remembered needs no place";
  EXPECT_EQ(Why(shown.Claim(DigestOf(token), kOfTz, now + 1min, now)), "");
  EXPECT_EQ(Why(shown.Claim(DigestOf(token + 1), kOfKe, now + 3min, now + 1min)), "") << "places become free";
}

TEST(ShownTokens, AreBounded) {
  ShownTokens shown;
  const Time now{1000h};
  const auto claim = [&](std::size_t i, Time at) {
    const std::string provider = "tenants/t" + std::to_string(i / ShownTokens::kPerTenantMax) + "/identityProviders/a";
    return Why(shown.Claim(DigestOf(static_cast<std::uint32_t>(i)), provider, at + 1min, at));
  };
  for (std::size_t i = 0; i < ShownTokens::kTokensMax; ++i) ASSERT_EQ(claim(i, now), "");
  EXPECT_EQ(claim(ShownTokens::kTokensMax, now), "TOO_MANY_SIGN_INS");
  EXPECT_EQ(claim(ShownTokens::kTokensMax, now + 2min), "");
}

}  // namespace
}  // namespace allod::gateway::sign_in::shown_tokens_test
