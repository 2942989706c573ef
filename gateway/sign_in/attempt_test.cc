#include "gateway/sign_in/attempt.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace allod::gateway::sign_in::attempt_test {
namespace {

using namespace std::chrono_literals;

TEST(Attempt, ComesBackUnchangedWithinTenMinutes) {
  FakeClock clock;
  const AttemptSealer sealer("a pepper of some length");
  const Attempt made = NewAttempt("tenants/ke/identityProviders/staff", "/portal", clock.Now());
  const std::string sealed = sealer.Seal(made);
  const auto back = sealer.Open(sealed, clock.Now() + 9min);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->provider, made.provider);
  EXPECT_EQ(back->return_to, made.return_to);
  EXPECT_EQ(back->state, made.state);
  EXPECT_EQ(back->nonce, made.nonce);
  EXPECT_EQ(back->verifier, made.verifier);
  EXPECT_GE(made.verifier.size(), 43U) << "RFC 7636 section 4.1";
  EXPECT_NE(made.state, made.nonce);
  EXPECT_NE(made.state, NewAttempt("p", "/", clock.Now()).state);
  EXPECT_EQ(sealer.Open(sealed, clock.Now() + 10min).error().reason, "NO_ATTEMPT");
  for (std::string text : {std::string(), std::string("x"), sealed.substr(1), sealed + "A", std::string(5000, 'A')}) {
    EXPECT_EQ(sealer.Open(text, clock.Now()).error().reason, "NO_ATTEMPT");
  }
  const AttemptSealer other("another pepper of some length");
  EXPECT_FALSE(other.Open(sealed, clock.Now()));
}

TEST(SafePath, IsOfThisOrigin) {
  for (const char* path : {"/", "/a/b?c=d#e", "/auth/whoami"}) EXPECT_EQ(SafePath(path), path);
  for (const char* path :
       {"", "a", "//host", "/\\host", "https://host/", "/a b", "/a\r\nSet-Cookie: x", "\t//host", "/\xc3\xa9"}) {
    EXPECT_EQ(SafePath(path), "/auth/whoami") << path;
  }
  EXPECT_EQ(SafePath("/" + std::string(600, 'a')), "/auth/whoami");
}

}  // namespace
}  // namespace allod::gateway::sign_in::attempt_test
