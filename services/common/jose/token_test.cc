#include "services/common/jose/token.h"

#include <gtest/gtest.h>

#include "services/common/digest.h"
#include "services/common/jose/base64url.h"
#include "tests/support/token_issuer.h"

namespace allod::jose::token_test {
namespace {

using nlohmann::json;
using Kind = TokenIssuer::Kind;
using namespace std::chrono_literals;

const Time kNow{std::chrono::seconds(1'800'000'000)};
constexpr std::int64_t kNowSeconds = 1'800'000'000;
constexpr char kIssuer[] = "https://ci.example";

// One issuer for all: keys are slow to make.
const TokenIssuer& Issuer() {
  static const TokenIssuer issuer = [] {
    TokenIssuer out;
    out.AddKey("rsa", Kind::kRsa2048);
    out.AddKey("ec", Kind::kP256);
    out.AddKey("ed", Kind::kEd25519);
    return out;
  }();
  return issuer;
}

json Good() {
  return {{"iss", kIssuer},
          {"aud", "https://allod.example"},
          {"sub", "repo:ke/services:ref:main"},
          {"iat", kNowSeconds - 10},
          {"exp", kNowSeconds + 300}};
}

Result<Claims> Check(const std::string& token, const std::string& key_set, Time now = kNow) {
  ALLOD_TRY(const KeySet keys, KeySet::Parse(key_set));
  ALLOD_TRY(const UnverifiedToken parsed, UnverifiedToken::Parse(token));
  return Verify(parsed, keys, {.issuer = kIssuer, .audiences = {"other", "https://allod.example"}, .now = now});
}

// Why it is refused; "accepted" if it is not, which no case here may be.
std::string Why(const std::string& token, Time now = kNow) {
  const Result<Claims> claims = Check(token, Issuer().KeySetJson(), now);
  if (claims) return "accepted";
  EXPECT_EQ(claims.error().code, Code::kUnauthenticated) << claims.error().message;
  EXPECT_FALSE(claims.error().message.empty());
  return claims.error().reason;
}

std::string With(const char* claim, const json& value, const char* kid = "ed") {
  json claims = Good();
  if (value.is_null()) {
    claims.erase(claim);
  } else {
    claims[claim] = value;
  }
  return Issuer().Sign(kid, claims);
}

std::string WithHeader(const char* name, const json& value, const char* kid = "ed") {
  json header = Issuer().Header(kid);
  if (value.is_null()) {
    header.erase(name);
  } else {
    header[name] = value;
  }
  return Issuer().Sign(kid, header.dump(), Good().dump());
}

TEST(Token, OfEachAlgorithmIsTaken) {
  for (const char* kid : {"rsa", "ec", "ed"}) {
    const Result<Claims> claims = Check(Issuer().Sign(kid, Good()), Issuer().KeySetJson());
    ASSERT_TRUE(claims) << kid << ": " << claims.error().message;
    EXPECT_EQ(claims->subject(), "repo:ke/services:ref:main");
    EXPECT_EQ(claims->expire_time(), kNow + 300s);
  }
  for (const char* type : {"at+jwt", "JWT", "application/at+jwt", "jwt"}) {
    EXPECT_EQ(Why(WithHeader("typ", type)), "accepted") << type;
  }
  EXPECT_EQ(Why(WithHeader("typ", nullptr)), "accepted");
  EXPECT_EQ(Why(With("aud", json::array({"somebody", "other"}))), "accepted");
  EXPECT_EQ(Why(With("exp", 1'800'000'300.75)), "accepted");
}

TEST(Token, ClaimsAreFoundByNameAlsoInObjects) {
  json claims = Good();
  claims["ref"] = "refs/heads/main";
  claims["run"] = 7;
  claims["kubernetes.io"] = {{"namespace", "payments"}, {"serviceaccount", {{"name", "builder"}}}};
  claims["https://a.example/group"] = "ops";
  const Result<Claims> read = Check(Issuer().Sign("ed", claims), Issuer().KeySetJson());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->Text("ref"), "refs/heads/main");
  EXPECT_EQ(read->Text("run"), std::nullopt);
  EXPECT_EQ(read->Text("nothing"), std::nullopt);
  EXPECT_EQ(read->Text("kubernetes.io/namespace"), "payments");
  EXPECT_EQ(read->Text("kubernetes.io/serviceaccount/name"), "builder");
  EXPECT_EQ(read->Text("kubernetes.io/serviceaccount"), std::nullopt);
  EXPECT_EQ(read->Text("kubernetes.io/other"), std::nullopt);
  EXPECT_EQ(read->Text("https://a.example/group"), "ops");
  EXPECT_EQ(read->Text("ref/heads"), std::nullopt);
  EXPECT_EQ(read->Text("/"), std::nullopt);
  EXPECT_EQ(read->Text(""), std::nullopt);
}

TEST(Token, OfAnotherAlgorithmIsRefused) {
  for (const char* name : {"none", "None", "NONE", "", "HS256", "HS384", "HS512", "RS512", "PS256", "ES384", "ES256K",
                           "rs256", "Ed25519"}) {
    EXPECT_EQ(Why(WithHeader("alg", name)), "TOKEN_ALGORITHM") << name;
  }
  EXPECT_EQ(Why(WithHeader("alg", nullptr)), "TOKEN_ALGORITHM");
  EXPECT_EQ(Why(WithHeader("alg", json::array({"EdDSA"}))), "TOKEN_MALFORMED");
  // Without a signature, as "none" is written.
  const std::string unsigned_token = EncodeBase64Url(R"({"alg":"none"})") + "." + EncodeBase64Url(Good().dump()) + ".";
  EXPECT_EQ(Why(unsigned_token), "TOKEN_MALFORMED");
  EXPECT_EQ(Why(unsigned_token + "AA"), "TOKEN_ALGORITHM");
}

TEST(Token, MadeWithThePublicKeyAsASecretIsRefused) {
  const std::string claims = EncodeBase64Url(Good().dump());
  for (const std::string& secret : {Issuer().PublicPem("rsa"), Issuer().Jwk("rsa").dump(), Issuer().KeySetJson()}) {
    for (const char* name : {"HS256", "RS256"}) {
      const std::string text = EncodeBase64Url(json{{"alg", name}, {"kid", "rsa"}}.dump()) + "." + claims;
      const Digest256 mac = HmacSha256(secret, text);
      const std::string token =
          text + "." + EncodeBase64Url(std::string(reinterpret_cast<const char*>(mac.data()), mac.size()));
      EXPECT_EQ(Why(token), std::string_view(name) == "HS256" ? "TOKEN_ALGORITHM" : "TOKEN_SIGNATURE");
    }
  }
}

TEST(Token, WhoseHeaderNamesAnotherKeyOrAlgorithmIsRefused) {
  EXPECT_EQ(Why(WithHeader("kid", "rsa", "ed")), "TOKEN_ALGORITHM") << "the key's algorithm holds, not the token's";
  EXPECT_EQ(Why(WithHeader("alg", "ES256", "rsa")), "TOKEN_ALGORITHM");
  EXPECT_EQ(Why(WithHeader("kid", "unknown")), "TOKEN_KEY_UNKNOWN");
  EXPECT_EQ(Why(WithHeader("kid", nullptr)), "TOKEN_KEY_UNKNOWN");
  EXPECT_EQ(Why(WithHeader("kid", "")), "TOKEN_KEY_UNKNOWN");
  EXPECT_EQ(Why(WithHeader("kid", 1)), "TOKEN_MALFORMED");
  // What a token says of its key is not looked at.
  TokenIssuer stranger;
  stranger.AddKey("ed", Kind::kEd25519);
  json header = stranger.Header("ed");
  header["jwk"] = stranger.Jwk("ed");
  header["jku"] = "https://stranger.example/keys";
  EXPECT_EQ(Why(stranger.Sign("ed", header.dump(), Good().dump())), "TOKEN_SIGNATURE");
}

TEST(Token, WithAnIdThatSeveralKeysHaveIsRefused) {
  TokenIssuer issuer;
  issuer.AddKey("same", Kind::kEd25519);
  issuer.AddKey("same", Kind::kP256);
  json keys = json::array({issuer.Jwk("same"), Issuer().Jwk("ed")});
  keys[1]["kid"] = "same";
  const Result<Claims> claims = Check(issuer.Sign("same", Good()), json{{"keys", keys}}.dump());
  ASSERT_FALSE(claims);
  EXPECT_EQ(claims.error().reason, "TOKEN_KEY_AMBIGUOUS");
}

TEST(Token, ChangedAnywhereIsRefused) {
  for (const char* kid : {"rsa", "ec", "ed"}) {
    const std::string token = Issuer().Sign(kid, Good());
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_NE(Why(changed), "accepted") << kid << " at " << i;
    }
    for (std::size_t size = 0; size < token.size(); ++size) EXPECT_NE(Why(token.substr(0, size)), "accepted") << size;
    for (const char* more : {"=", "==", ".", ".AA", " ", "\n", "AAAA"})
      EXPECT_NE(Why(token + more), "accepted") << more;
    EXPECT_NE(Why(" " + token), "accepted");
  }
}

TEST(Token, WithASignatureThatIsNoneIsRefused) {
  const std::string token = Issuer().Sign("ec", Good());
  const std::string text = token.substr(0, token.rfind('.') + 1);
  for (const std::string& signature : {std::string(64, '\0'), std::string(64, '\xff'), std::string(63, '\1'),
                                       std::string(65, '\1'), std::string(1, '\0'), std::string(4096, '\1')}) {
    EXPECT_EQ(Why(text + EncodeBase64Url(signature)), "TOKEN_SIGNATURE") << signature.size();
  }
}

TEST(Token, ThatIsNotThreePartsIsRefused) {
  for (const char* text :
       {"", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "a..c", ".b.c", "a.b.", "e30.e30.AA", "€.e30.AA"}) {
    EXPECT_NE(Why(text), "accepted") << text;
  }
  EXPECT_EQ(Why("a.b.c.d.e"), "TOKEN_MALFORMED");
  EXPECT_EQ(Why(std::string(kTokenBytesMax + 1, 'a')), "TOKEN_TOO_LARGE");
  EXPECT_EQ(Why(With("more", std::string(kTokenBytesMax, 'a'))), "TOKEN_TOO_LARGE");
}

TEST(Token, WhoseJsonTwoReadersMayReadDifferentlyIsRefused) {
  const std::string header = Issuer().Header("ed").dump();
  const std::string claims = Good().dump();
  const auto why = [&](const std::string& a_header, const std::string& some_claims) {
    return Why(Issuer().Sign("ed", a_header, some_claims));
  };
  EXPECT_EQ(why(header, claims), "accepted");
  EXPECT_EQ(why(header, R"({"sub":"root",)" + claims.substr(1)), "TOKEN_MALFORMED") << "a member twice";
  EXPECT_EQ(why(R"({"alg":"none",)" + header.substr(1), claims), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, R"({"a":{"b":1,"b":2},)" + claims.substr(1)), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, R"({"s\u0075b":"root",)" + claims.substr(1)), "TOKEN_MALFORMED") << "written otherwise";
  EXPECT_EQ(why(header, claims + "x"), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, claims + claims), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, "/* */" + claims), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, "[" + claims + "]"), "TOKEN_MALFORMED");
  EXPECT_EQ(why("[]", claims), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, "\"claims\""), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, "null"), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, "{\"x\":\"\xff\xfe\"," + claims.substr(1)), "TOKEN_MALFORMED") << "not UTF-8";
  EXPECT_EQ(why(header, "{\"x\":\"\xed\xa0\x80\"," + claims.substr(1)), "TOKEN_MALFORMED") << "a surrogate";
  EXPECT_EQ(why(header, R"({"x":"\ud800",)" + claims.substr(1)), "TOKEN_MALFORMED") << "half a pair";
  EXPECT_EQ(why(header, "\xef\xbb\xbf" + claims.substr(0, 5)), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, R"({"x":1e99999,)" + claims.substr(1)), "TOKEN_MALFORMED") << "a huge number";
  EXPECT_EQ(why(header, R"({"x":)" + std::string(9, '[') + std::string(9, ']') + "," + claims.substr(1)),
            "TOKEN_MALFORMED");
  std::string many = "{";
  for (int i = 0; i < 1100; ++i) many += "\"a" + std::to_string(i) + "\":0,";
  EXPECT_EQ(why(header, many + claims.substr(1)), "TOKEN_MALFORMED");
  EXPECT_EQ(why(header, claims.substr(0, claims.size() - 1)), "TOKEN_MALFORMED");
}

TEST(Token, ThatIsExpiredOrNotYetValidIsRefused) {
  EXPECT_EQ(Why(With("exp", kNowSeconds - 59)), "accepted") << "clocks may be a minute apart";
  EXPECT_EQ(Why(With("exp", kNowSeconds - 60)), "TOKEN_EXPIRED");
  EXPECT_EQ(Why(With("exp", 0)), "TOKEN_EXPIRED");
  EXPECT_EQ(Why(With("exp", 7'258'118'399LL)), "accepted") << "the last second of 2199";
  EXPECT_EQ(Why(With("nbf", kNowSeconds + 60)), "accepted");
  EXPECT_EQ(Why(With("nbf", kNowSeconds + 61)), "TOKEN_NOT_YET_VALID");
  EXPECT_EQ(Why(With("iat", kNowSeconds + 61)), "TOKEN_NOT_YET_VALID");
  for (const char* claim : {"exp", "iat"}) EXPECT_EQ(Why(With(claim, nullptr)), "TOKEN_CLAIM") << claim;
  for (const char* claim : {"exp", "iat", "nbf"}) {
    for (const json& value : {json("1900000000"), json(-1), json(1e300), json(true), json::array(), json::object(),
                              json(18'446'744'073'709'551'615ULL), json(9'223'372'036'854'775'807LL), json(1e10),
                              json(2e11), json(10'000'000'000LL), json(200'000'000'000LL), json(7'258'118'400LL)}) {
      EXPECT_EQ(Why(With(claim, value)), "TOKEN_CLAIM") << claim << " " << value;
    }
  }
}

TEST(Token, ThatIsForgedIsRefusedForThatWhateverItClaims) {
  TokenIssuer stranger;
  stranger.AddKey("ed", Kind::kEd25519);
  stranger.AddKey("rsa", Kind::kEd25519);
  const auto why = [&](const char* claim, const json& value, const char* kid = "ed") {
    json claims = Good();
    claims[claim] = value;
    return Why(stranger.Sign(kid, claims));
  };
  for (const json& value : {json(0), json(kNowSeconds - 60), json(kNowSeconds + 61), json(1e10), json("x"), json()}) {
    for (const char* claim : {"exp", "iat", "nbf", "sub", "aud"}) {
      EXPECT_EQ(why(claim, value), "TOKEN_SIGNATURE") << claim << " " << value;
    }
  }
  EXPECT_EQ(why("exp", 0, "rsa"), "TOKEN_ALGORITHM");
}

TEST(Token, ForSomebodyElseIsRefused) {
  for (const json& audience :
       {json("https://allod.example/"), json("https://ALLOD.example"), json("https://allod.example "), json(""),
        json::array(), json::array({"someone"}), json::array({"https://allod.exampl"})}) {
    EXPECT_EQ(Why(With("aud", audience)), "TOKEN_AUDIENCE") << audience;
  }
  EXPECT_EQ(Why(With("aud", nullptr)), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("aud", 5)), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("aud", json::array({json::array({"other"})}))), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("aud", json{{"other", "other"}})), "TOKEN_CLAIM");
  for (const char* issuer :
       {"https://ci.example/", "https://CI.example", "http://ci.example", "https://ci.example.evil"}) {
    EXPECT_EQ(Why(With("iss", issuer)), "TOKEN_ISSUER") << issuer;
  }
  EXPECT_EQ(Why(With("iss", nullptr)), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("iss", json::array({kIssuer}))), "TOKEN_MALFORMED");
}

TEST(Token, WithoutASubjectIsRefused) {
  EXPECT_EQ(Why(With("sub", nullptr)), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("sub", "")), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("sub", std::string(1025, 's'))), "TOKEN_CLAIM");
  EXPECT_EQ(Why(With("sub", 12)), "TOKEN_MALFORMED");
  EXPECT_EQ(Why(With("sub", std::string("a\0b", 3))), "TOKEN_MALFORMED");
  EXPECT_EQ(Why(With("sub", "a\nb\x01")), "TOKEN_MALFORMED");
}

TEST(Token, OfAnotherKindIsRefused) {
  for (const char* type :
       {"logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "at+jwt+x", "application/application/jwt"}) {
    EXPECT_EQ(Why(WithHeader("typ", type)), "TOKEN_TYPE") << type;
  }
  EXPECT_EQ(Why(WithHeader("typ", 1)), "TOKEN_MALFORMED");
  EXPECT_EQ(Why(WithHeader("crit", json::array({"exp"}))), "TOKEN_CRITICAL");
  EXPECT_EQ(Why(WithHeader("crit", json::array())), "TOKEN_CRITICAL");
}

}  // namespace
}  // namespace allod::jose::token_test
