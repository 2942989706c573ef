// How the secret by which an issuer knows this installation goes through the RPCs.
#include <gmock/gmock.h>

#include "services/tenancy/testing/people_fixture.h"

namespace allod::tenancy::client_secret_service_test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(PeopleServiceTest, AClientsSecretIsTakenKeptReplacedAndShownToGatewaysOnly) {
  auto provider = Create(NewProvider(), Caller::Tenant("ke"));
  ASSERT_TRUE(provider) << provider.error().message;
  EXPECT_TRUE(provider->sign_in().has_client_secret());
  EXPECT_THAT(provider->SerializeAsString(), Not(HasSubstr(kSecret)));
  EXPECT_THAT(store_.GetProvider("ke", "corp")->sign_in->sealed_secret, Not(HasSubstr(kSecret)));
  EXPECT_EQ(Create(NewProvider())->etag(), provider->etag()) << "the same again";
  Gateway gateway(*identity_stub_);
  const auto secret_told = [&] {
    const auto told = gateway.Read();
    EXPECT_FALSE(told.identity_providers(0).sign_in().client_secret() == kSecret);
    const auto found = told.client_secrets().find(kProvider);
    gateway.Acknowledge();
    return found == told.client_secrets().end() ? "none" : found->second;
  };
  EXPECT_EQ(secret_told(), kSecret);
  provider->mutable_sign_in()->set_client_id("other");
  ASSERT_TRUE(provider = Update(*provider)) << provider.error().message;
  EXPECT_EQ(secret_told(), kSecret) << "it says nothing of the secret";
  EXPECT_TRUE(provider->sign_in().has_client_secret());
  provider->mutable_sign_in()->set_client_secret("new");
  EXPECT_EQ(Update(*provider, true)->etag(), "") << "it would be another";
  ASSERT_TRUE(provider = Update(*provider));
  EXPECT_EQ(secret_told(), "new");
  provider->mutable_sign_in()->set_client_secret("new");
  EXPECT_EQ(Update(*provider, true)->etag(), provider->etag()) << "it would be as it is";
  provider->mutable_sign_in()->set_client_secret("newer");
  provider->mutable_sign_in()->set_clear_client_secret(true);
  EXPECT_EQ(Why(Update(*provider)), "INVALID_SIGN_IN");
  provider->mutable_sign_in()->set_client_secret("");
  ASSERT_TRUE(provider = Update(*provider));
  EXPECT_EQ(secret_told(), "none");
  EXPECT_FALSE(provider->sign_in().has_client_secret());
  auto bad = NewProvider();
  bad.mutable_identity_provider()->mutable_sign_in()->set_client_secret("a\nb");
  EXPECT_EQ(Why(Create(bad)), "INVALID_SIGN_IN");
}

TEST_F(PeopleServiceTest, ASecretThatCannotBeOpenedIsNotShown) {
  auto request = NewProvider();
  ASSERT_TRUE(Create(request));
  IdentityProvider moved = *store_.GetProvider("ke", "corp");
  moved.id = "copy";
  moved.issuer = "https://copy.example";
  ASSERT_TRUE(store_.CreateProvider(moved, {}));
  feed_.Notify();
  Gateway gateway(*identity_stub_);
  auto told = gateway.Read();
  while (told.identity_providers_size() < 2) told = gateway.Read();
  EXPECT_EQ(told.client_secrets_size(), 1) << "a sealed secret opens under its own provider's name only";
}

}  // namespace
}  // namespace allod::tenancy::client_secret_service_test
