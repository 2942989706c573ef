#include "services/common/api_key_format.h"

#include <gtest/gtest.h>

#include <set>

namespace allod::api_key_format_test {
namespace {

TEST(ParseApiKey, GivesBackWhatWasFormatted) {
  const ApiKeyText key = NewApiKey();
  const auto parsed = ParseApiKey(FormatApiKey(key));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->kid, key.kid);
  EXPECT_EQ(parsed->secret, key.secret);
  EXPECT_EQ(key.kid.size(), 12u);
  EXPECT_EQ(key.secret.size(), 52u);
}

TEST(ParseApiKey, NeverGivesTheSameKeyTwice) {
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.insert(FormatApiKey(NewApiKey()));
  EXPECT_EQ(keys.size(), 100u);
}

TEST(ParseApiKey, RefusesAChangeOfAnyCharacter) {
  const std::string text = FormatApiKey(NewApiKey());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'a' ? 'b' : 'a';
    const auto parsed = ParseApiKey(changed);
    ASSERT_FALSE(parsed) << i;
    EXPECT_EQ(parsed.error().code, Code::kUnauthenticated);
    EXPECT_EQ(parsed.error().reason, "INVALID_API_KEY");
  }
}

TEST(ParseApiKey, RefusesOtherLengthsAndNeverRepeatsTheText) {
  const std::string text = FormatApiKey(NewApiKey());
  for (const std::string& bad : {std::string(), std::string("ald_"), text.substr(0, text.size() - 1), text + "0",
                                 "sk-" + text, std::string(1 << 20, 'a')}) {
    const auto parsed = ParseApiKey(bad);
    ASSERT_FALSE(parsed);
    EXPECT_LT(parsed.error().message.size(), 300u);
    EXPECT_EQ(parsed.error().message.find(text.substr(10, 20)), std::string::npos);
  }
}

TEST(DigestApiKeySecret, DependsOnThePepperAndTheSecret) {
  const ApiKeyDigest digest = DigestApiKeySecret("pepper", "secret");
  EXPECT_TRUE(SameDigest(digest, DigestApiKeySecret("pepper", "secret")));
  EXPECT_FALSE(SameDigest(digest, DigestApiKeySecret("Pepper", "secret")));
  EXPECT_FALSE(SameDigest(digest, DigestApiKeySecret("pepper", "secreT")));
}

}  // namespace
}  // namespace allod::api_key_format_test
