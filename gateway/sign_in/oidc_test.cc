#include "gateway/sign_in/oidc.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/fake_clock.h"
#include "tests/support/token_issuer.h"

namespace allod::gateway::sign_in::oidc_test {
namespace {

using nlohmann::json;

constexpr char kRedirect[] = "https://allod.example/auth/callback";

Attempt SomeAttempt() { return {"tenants/ke/identityProviders/staff", "/", "the state", "the nonce", "verifier", {}}; }

federation::Issuer SomeIssuer() {
  return {.keys = {},
          .authorization_endpoint = "https://id.example/authorize",
          .token_endpoint = "https://id.example/token"};
}

const federation::Provider kProvider{
    .name = "tenants/ke/identityProviders/staff", .display_name = "Staff", .issuer = "https://id.example"};

TEST(AuthorizationUrl, SaysWhatIsWanted) {
  // The challenge of RFC 7636 appendix B.
  Attempt attempt = SomeAttempt();
  attempt.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  EXPECT_EQ(
      AuthorizationUrl(SomeIssuer(), {"an id&", "", {"profile", "email"}}, attempt, kRedirect).value(),
      "https://id.example/authorize?response_type=code&client_id=an%20id%26&redirect_uri=https%3A%2F%2Fallod.example"
      "%2Fauth%2Fcallback&scope=openid%20profile%20email&state=the%20state&nonce=the%20nonce&code_challenge="
      "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256");
  federation::Issuer issuer = SomeIssuer();
  issuer.authorization_endpoint = "https://id.example/authorize?realm=ke";
  EXPECT_TRUE(AuthorizationUrl(issuer, {"c", "", {}}, attempt, kRedirect)
                  ->starts_with("https://id.example/authorize?realm=ke&response_type=code"));
  issuer.authorization_endpoint = "http://127.0.0.1:4000/authorize";
  EXPECT_TRUE(AuthorizationUrl(issuer, {"c", "", {}}, attempt, kRedirect));
  for (const char* url :
       {"", "http://id.example/authorize", "javascript:alert(1)", "http://127.0.0.1.evil.example/", "//id.example/",
        "http://localhost.evil.example/", "http://127.0.0.1:1@evil.example/", "https://user@id.example/", "https://"}) {
    issuer.authorization_endpoint = url;
    EXPECT_EQ(AuthorizationUrl(issuer, {"c", "", {}}, attempt, kRedirect).error().reason, "ISSUER_MISCONFIGURED")
        << url;
  }
}

TEST(ReadCode, TakesTheAnswerToThisAttemptAlone) {
  federation::Issuer issuer = SomeIssuer();
  const auto read = [&](const char* query) {
    const auto out = ReadCode(query, SomeAttempt(), kProvider, issuer);
    return out ? *out : out.error().reason + ": " + out.error().message;
  };
  EXPECT_EQ(read("state=the%20state&code=a%2Bb"), "a+b");
  EXPECT_EQ(read("state=the%20state&code=c&session_state=x"), "c");
  EXPECT_EQ(read("state=the%20state&code=c&iss=https%3A%2F%2Fid.example"), "c");
  EXPECT_TRUE(read("state=the%20state&code=c&iss=https%3A%2F%2Fevil.example").starts_with("SIGN_IN_FAILED"));
  EXPECT_TRUE(read("code=c").starts_with("OTHER_ATTEMPT"));
  EXPECT_TRUE(read("state=other&code=c").starts_with("OTHER_ATTEMPT"));
  EXPECT_TRUE(read("state=the%20state").starts_with("SIGN_IN_FAILED"));
  EXPECT_TRUE(read("state=the%20state&code=c&code=d").starts_with("INVALID_QUERY"));
  EXPECT_TRUE(read("%zz").starts_with("INVALID"));
  EXPECT_EQ(read("state=the%20state&error=access_denied&error_description=x"),
            "SIGN_IN_FAILED: the identity provider says: access_denied");
  EXPECT_EQ(read("state=the%20state&error=%3Cscript%3E"), "SIGN_IN_FAILED: the identity provider says: an error");
  EXPECT_TRUE(read("state=other&error=access_denied").starts_with("OTHER_ATTEMPT: this answer belongs to another"));
  issuer.names_itself = true;
  EXPECT_TRUE(read("state=the%20state&code=c").starts_with("SIGN_IN_FAILED")) << "RFC 9207";
}

TEST(CodeRequest, ShowsTheClientAsItIs) {
  const auto open = CodeRequest(SomeIssuer(), {"client", "", {}}, SomeAttempt(), "the code", kRedirect);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->url, "https://id.example/token");
  EXPECT_EQ(open->authorization, "");
  EXPECT_EQ(open->form,
            "grant_type=authorization_code&code=the%20code&redirect_uri=https%3A%2F%2Fallod.example%2Fauth%2Fcallback&"
            "code_verifier=verifier&client_id=client");
  const auto closed = CodeRequest(SomeIssuer(), {"client", "s:e/cret", {}}, SomeAttempt(), "c", kRedirect);
  EXPECT_EQ(closed->authorization, "Basic Y2xpZW50OnMlM0FlJTJGY3JldA==");
  EXPECT_EQ(closed->form.find("client_id"), std::string::npos);
  EXPECT_FALSE(CodeRequest({}, {"client", "", {}}, SomeAttempt(), "c", kRedirect));
}

TEST(IdToken, IsInTheAnswer) {
  EXPECT_EQ(IdTokenOf(R"({"access_token":"a","id_token":"x.y.z"})").value(), "x.y.z");
  for (const char* answer : {"", "[]", "{}", R"({"id_token":7})", R"({"id_token":"a","id_token":"b"})"}) {
    EXPECT_EQ(IdTokenOf(answer).error().reason, "SIGN_IN_FAILED") << answer;
  }
}

class CheckIdTokenTest : public testing::Test {
 protected:
  CheckIdTokenTest() {
    issuer_.AddKey("k", TokenIssuer::Kind::kEd25519);
    keys_ = jose::KeySet::Parse(issuer_.KeySetJson()).value();
  }
  // The reason of the refusal; empty: it is taken.
  std::string Check(const json& more, const std::string& nonce = "n", const char* type = "JWT") {
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
    json claims{{"iss", "https://id.example"},
                {"aud", "client"},
                {"sub", "s"},
                {"iat", now},
                {"exp", now + 60},
                {"nonce", "n"}};
    claims.update(more);
    json header = issuer_.Header("k");
    header["typ"] = type;
    const auto token = jose::UnverifiedToken::Parse(issuer_.Sign("k", header.dump(), claims.dump()));
    const auto verified =
        jose::Verify(*token, keys_, {.issuer = "https://id.example", .audiences = {"client"}, .now = clock_.Now()});
    if (!verified) return verified.error().reason;
    name_ = DisplayNameOf(*verified);
    const Status checked = CheckIdToken(*token, *verified, "client", nonce);
    return checked ? "" : checked.error().reason;
  }
  FakeClock clock_;
  TokenIssuer issuer_;
  jose::KeySet keys_;
  std::string name_;
};

TEST_F(CheckIdTokenTest, IsForThisClientAndThisAttempt) {
  EXPECT_EQ(Check(json::object()), "");
  EXPECT_EQ(Check({{"aud", json::array({"client"})}, {"azp", "client"}}), "");
  EXPECT_EQ(Check({{"aud", json::array({"client", "other"})}, {"azp", "client"}}), "TOKEN_AUDIENCE");
  EXPECT_EQ(Check({{"azp", "other"}}), "TOKEN_AUDIENCE");
  EXPECT_EQ(Check({{"aud", "other"}}), "TOKEN_AUDIENCE");
  EXPECT_EQ(Check(json::object(), "another"), "TOKEN_NONCE");
  EXPECT_EQ(Check({{"nonce", nullptr}}), "TOKEN_NONCE");
  EXPECT_EQ(Check({{"nonce", nullptr}}, ""), "") << "none is asked for";
  EXPECT_EQ(Check(json::object(), ""), "TOKEN_NONCE") << "it was made for an attempt in a browser";
  EXPECT_EQ(Check(json::object(), "n", "at+jwt"), "TOKEN_TYPE");
  EXPECT_EQ(Check({{"sub", std::string(256, 's')}}), "TOKEN_CLAIM");
}

TEST_F(CheckIdTokenTest, CallsAPersonByWhatTheProviderSays) {
  Check({{"name", "Amina"}, {"email", "a@ke.example"}});
  EXPECT_EQ(name_, "Amina");
  Check({{"name", "a\nb"}, {"email", "a@ke.example"}});
  EXPECT_EQ(name_, "a\nb") << "line breaks are text";
  Check({{"name", "a\x01"}, {"email", "a@ke.example"}});
  EXPECT_EQ(name_, "a@ke.example");
  Check({{"name", std::string(200, 'x')}});
  EXPECT_EQ(name_.size(), 128U);
  Check(json::object());
  EXPECT_EQ(name_, "");
}

}  // namespace
}  // namespace allod::gateway::sign_in::oidc_test
