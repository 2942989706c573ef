#include "services/tenancy/sign_in.h"

#include <gtest/gtest.h>

#include "services/tenancy/client_secrets.h"
#include "services/tenancy/identity.h"

namespace allod::tenancy::sign_in_test {
namespace {

constexpr char kPepper[] = "a pepper of some length";
constexpr char kProvider[] = "tenants/ke/identityProviders/corp";

std::string WhyNot(const SignIn& sign_in) {
  const auto valid = ValidSignIn(sign_in);
  return valid ? "" : valid.error().reason;
}

TEST(SignInTest, NamesTheClientAndWhatItAsksFor) {
  EXPECT_EQ(ValidSignIn({.client_id = "allod", .scopes = {}})->scopes, (std::vector<std::string>{"profile", "email"}));
  EXPECT_EQ(WhyNot({.client_id = "a b/c:d", .scopes = {"groups"}}), "");
  for (const std::string& id : {std::string(), std::string(257, 'a'), std::string("a\nb"), std::string("é")}) {
    EXPECT_EQ(WhyNot({.client_id = id, .scopes = {}}), "INVALID_SIGN_IN") << id;
  }
  for (const std::string& scope :
       {std::string(), std::string("a b"), std::string("a\"b"), std::string("openid"), std::string(129, 's')}) {
    EXPECT_EQ(WhyNot({.client_id = "allod", .scopes = {scope}}), "INVALID_SIGN_IN") << scope;
  }
  EXPECT_EQ(WhyNot({.client_id = "allod", .scopes = {"a", "a"}}), "INVALID_SIGN_IN");
  EXPECT_EQ(WhyNot({.client_id = "allod", .scopes = {"1", "2", "3", "4", "5", "6", "7", "8", "9"}}), "INVALID_SIGN_IN");
  EXPECT_TRUE(CheckClientSecret(std::string(512, 's')));
  EXPECT_FALSE(CheckClientSecret(std::string(513, 's')));
  EXPECT_FALSE(CheckClientSecret("a\x01"));
}

TEST(SignInTest, StandsInForAudiences) {
  IdentityProvider provider{.tenant = "ke", .id = "corp", .display_name = "Corp", .issuer = "https://corp.example"};
  EXPECT_EQ(ValidProvider(provider).error().reason, "INVALID_AUDIENCE");
  provider.sign_in = SignIn{.client_id = "allod", .scopes = {}};
  EXPECT_TRUE(ValidProvider(provider));
  provider.sign_in->client_id = "";
  EXPECT_EQ(ValidProvider(provider).error().reason, "INVALID_SIGN_IN");
}

TEST(SignInTest, AnUpdateKeepsTheSecretThatItSaysNothingOf) {
  IdentityProvider standing{.tenant = "ke", .id = "corp", .display_name = "Corp", .issuer = "https://corp.example"};
  standing.sign_in = SignIn{.client_id = "allod", .scopes = {"email"}, .sealed_secret = "sealed"};
  IdentityProvider wanted = standing;
  wanted.sign_in = SignIn{.client_id = "other", .scopes = {"email"}, .keeps_secret = true};
  EXPECT_EQ(Changed(standing, wanted)->sign_in->sealed_secret, "sealed");
  EXPECT_EQ(Changed(standing, wanted)->sign_in->client_id, "other");
  wanted.sign_in->keeps_secret = false;
  EXPECT_EQ(Changed(standing, wanted)->sign_in->sealed_secret, "");
  standing.sign_in.reset();
  wanted.sign_in->keeps_secret = true;
  EXPECT_EQ(Changed(standing, wanted)->sign_in->sealed_secret, "");
}

TEST(ClientSecretsTest, OpensWhatItSealedAndNothingElse) {
  const ClientSecrets secrets(kPepper);
  for (const std::string& secret : {std::string("s"), std::string("a secret"), std::string(512, 'x')}) {
    const std::string sealed = secrets.Seal(kProvider, secret);
    EXPECT_EQ(sealed.find("secret"), std::string::npos);
    EXPECT_LE(sealed.size(), 1024U) << "as the column holds";
    EXPECT_EQ(secrets.Seal(kProvider, secret), sealed) << "the same again is the same";
    EXPECT_EQ(secrets.Open(kProvider, sealed), secret);
    EXPECT_EQ(ClientSecrets(kPepper).Open(kProvider, sealed), secret) << "after a restart";
    EXPECT_FALSE(secrets.Open("tenants/ug/identityProviders/corp", sealed)) << "bound to the provider";
    EXPECT_FALSE(ClientSecrets("another pepper").Open(kProvider, sealed));
    for (std::size_t i = 0; i < sealed.size(); i += 7) {
      std::string changed = sealed;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(secrets.Open(kProvider, changed)) << "at " << i;
      EXPECT_FALSE(secrets.Open(kProvider, sealed.substr(0, i))) << "cut at " << i;
    }
  }
  EXPECT_NE(secrets.Seal(kProvider, "a"), secrets.Seal("tenants/ug/identityProviders/corp", "a"));
  EXPECT_FALSE(secrets.Open(kProvider, "no base64url!"));
}

}  // namespace
}  // namespace allod::tenancy::sign_in_test
