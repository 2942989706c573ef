#include "services/common/jose/key_set.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "services/common/jose/base64url.h"
#include "tests/support/token_issuer.h"

namespace allod::jose::key_set_test {
namespace {

using nlohmann::json;
using Kind = TokenIssuer::Kind;

std::string SetOf(const json& jwk) { return json{{"keys", json::array({jwk})}}.dump(); }

std::string WhyNot(const std::string& set) {
  const Result<KeySet> parsed = KeySet::Parse(set);
  if (parsed) return "";
  EXPECT_EQ(parsed.error().reason, "INVALID_KEY_SET");
  return parsed.error().message;
}

TEST(KeySet, TakesTheThreeKindsAndLeavesOthersOut) {
  TokenIssuer issuer;
  issuer.AddKey("rsa", Kind::kRsa2048);
  issuer.AddKey("ec", Kind::kP256);
  issuer.AddKey("ed", Kind::kEd25519);
  issuer.AddKey("weak", Kind::kRsa1024);
  issuer.AddKey("large", Kind::kP384);
  const Result<KeySet> keys = KeySet::Parse(issuer.KeySetJson());
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(keys->size(), 3U);
}

TEST(KeySet, SaysOfEachKeyWhyItIsLeftOut) {
  TokenIssuer issuer;
  issuer.AddKey("rsa", Kind::kRsa2048);
  issuer.AddKey("ec", Kind::kP256);
  issuer.AddKey("ed", Kind::kEd25519);
  issuer.AddKey("weak", Kind::kRsa1024);
  issuer.AddKey("large", Kind::kP384);
  const auto changed = [&](const char* kid, const char* member, const json& value) {
    json jwk = issuer.Jwk(kid);
    if (value.is_null()) {
      jwk.erase(member);
    } else {
      jwk[member] = value;
    }
    return WhyNot(SetOf(jwk));
  };
  using testing::HasSubstr;
  EXPECT_THAT(WhyNot(SetOf(issuer.Jwk("weak"))), HasSubstr("less than 2048 bits"));
  EXPECT_THAT(WhyNot(SetOf(issuer.Jwk("large"))), HasSubstr("not P-256"));
  EXPECT_THAT(changed("rsa", "alg", "RS512"), HasSubstr("algorithm"));
  EXPECT_THAT(changed("rsa", "alg", "HS256"), HasSubstr("algorithm"));
  EXPECT_THAT(changed("rsa", "alg", "none"), HasSubstr("algorithm"));
  EXPECT_THAT(changed("rsa", "alg", "ES256"), HasSubstr("algorithm"));
  EXPECT_THAT(changed("rsa", "alg", 5), HasSubstr("not a string"));
  EXPECT_THAT(changed("rsa", "use", "enc"), HasSubstr("not for signatures"));
  EXPECT_THAT(changed("rsa", "key_ops", json::array({"encrypt"})), HasSubstr("not to verify"));
  EXPECT_THAT(changed("rsa", "kid", nullptr), HasSubstr("no id"));
  EXPECT_THAT(changed("rsa", "kid", std::string(300, 'k')), HasSubstr("no id"));
  EXPECT_THAT(changed("rsa", "d", "AQAB"), HasSubstr("secret"));
  EXPECT_THAT(changed("rsa", "n", EncodeBase64Url(std::string(2000, '\xff'))), HasSubstr("more than 8192"));
  EXPECT_THAT(changed("rsa", "e", EncodeBase64Url("\x01")), HasSubstr("no valid key"));
  EXPECT_THAT(changed("rsa", "e", EncodeBase64Url(std::string(100, '\x01'))), HasSubstr("large exponent"));
  EXPECT_THAT(changed("rsa", "n", "AQ=="), HasSubstr("base64url"));
  EXPECT_THAT(changed("rsa", "n", nullptr), HasSubstr("base64url"));
  EXPECT_THAT(changed("ec", "x", EncodeBase64Url(std::string(32, '\x01'))), HasSubstr("no key"));
  EXPECT_THAT(changed("ec", "x", EncodeBase64Url(std::string(31, '\x01'))), HasSubstr("wrong sizes"));
  EXPECT_THAT(changed("ed", "x", EncodeBase64Url(std::string(31, '\x01'))), HasSubstr("wrong size"));
  EXPECT_THAT(changed("ed", "crv", "Ed448"), HasSubstr("not Ed25519"));
  EXPECT_THAT(WhyNot(R"({"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"}]})"), HasSubstr("secret"));
  EXPECT_THAT(WhyNot(R"({"keys":[{"kty":"XYZ","kid":"a"}]})"), HasSubstr("type"));
  EXPECT_THAT(WhyNot(R"({"keys":[7]})"), HasSubstr("no object"));
}

TEST(KeySet, RefusesWhatIsNoSetOrTooMuch) {
  using testing::HasSubstr;
  EXPECT_THAT(WhyNot(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(WhyNot("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(WhyNot("{}"), HasSubstr("no array"));
  EXPECT_THAT(WhyNot(R"({"keys":[]})"), HasSubstr("empty"));
  EXPECT_THAT(WhyNot(R"({"keys":[],"keys":[]})"), HasSubstr("twice"));
  EXPECT_THAT(WhyNot(std::string(KeySet::kBytesMax + 1, ' ')), HasSubstr("bytes"));
  json many = json::array();
  for (int i = 0; i < 65; ++i) many.push_back(json::object());
  EXPECT_THAT(WhyNot(json{{"keys", many}}.dump()), HasSubstr("64 keys"));
  EXPECT_THAT(WhyNot(R"({"keys":)" + std::string(100, '[') + std::string(100, ']') + "}"), HasSubstr("levels"));
}

}  // namespace
}  // namespace allod::jose::key_set_test
