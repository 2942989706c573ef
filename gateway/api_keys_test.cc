#include "gateway/api_keys.h"

#include <gtest/gtest.h>

namespace allod::gateway {
namespace {

using tenancy::v1::ApiKey;
using tenancy::v1::WatchApiKeysResponse;

constexpr char kPepper[] = "pepper";

class ApiKeyTableTest : public testing::Test {
 protected:
  static void Add(WatchApiKeysResponse& message, const ApiKeyText& text, bool revoked = false) {
    const ApiKeyDigest digest = DigestApiKeySecret(kPepper, text.secret);
    auto& key = *message.add_keys();
    key.set_name("tenants/ke/projects/p/apiKeys/" + text.kid);
    key.set_kid(text.kid);
    key.set_digest(std::string(digest.begin(), digest.end()));
    key.set_revoked(revoked);
  }
  void Snapshot(std::initializer_list<ApiKeyText> keys) {
    table_.BeginSnapshot();
    WatchApiKeysResponse message;
    for (const ApiKeyText& key : keys) Add(message, key);
    message.set_synced(true);
    table_.Apply(message);
  }
  Result<Principal> Authenticate(const ApiKeyText& key) { return table_.Authenticate("Bearer " + FormatApiKey(key)); }

  ApiKeyTable table_{kPepper};
  const ApiKeyText a_ = NewApiKey();
  const ApiKeyText b_ = NewApiKey();
};

TEST_F(ApiKeyTableTest, BeforeTheFirstSnapshotNobodyIsLetInAndJunkIsToldSo) {
  EXPECT_EQ(Authenticate(a_).error().reason, "KEYS_NOT_SYNCED");
  EXPECT_EQ(table_.Authenticate("Bearer sk-junk").error().reason, "INVALID_API_KEY");
  table_.BeginSnapshot();
  WatchApiKeysResponse half;
  Add(half, a_);
  table_.Apply(half);
  EXPECT_EQ(Authenticate(a_).error().reason, "KEYS_NOT_SYNCED") << "half a snapshot is none";
}

TEST_F(ApiKeyTableTest, KnowsWhoAKeyActsFor) {
  Snapshot({a_});
  const auto principal = Authenticate(a_);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->tenant, "tenants/ke");
  EXPECT_EQ(principal->tenant_id, "ke");
  EXPECT_EQ(principal->project, "tenants/ke/projects/p");
  EXPECT_TRUE(principal->inference && principal->portal) << "no scopes means every scope";
}

TEST_F(ApiKeyTableTest, RightKidWithAnotherSecretIsRefused) {
  Snapshot({a_});
  EXPECT_FALSE(Authenticate({a_.kid, b_.secret}));
  EXPECT_FALSE(Authenticate(b_));
  EXPECT_FALSE(table_.Authenticate(FormatApiKey(a_))) << "the scheme is required";
  EXPECT_TRUE(table_.Authenticate("bEARER " + FormatApiKey(a_)));
}

TEST_F(ApiKeyTableTest, RevocationAndNewKeysCountAtOnce) {
  Snapshot({a_});
  WatchApiKeysResponse change;
  Add(change, a_, true);
  Add(change, b_);
  table_.Apply(change);
  EXPECT_FALSE(Authenticate(a_));
  EXPECT_TRUE(Authenticate(b_));
}

TEST_F(ApiKeyTableTest, OldKeysStandWhileANewSnapshotComesAndAreReplacedByIt) {
  Snapshot({a_});
  table_.BeginSnapshot();
  EXPECT_TRUE(Authenticate(a_));
  Snapshot({b_});
  EXPECT_FALSE(Authenticate(a_)) << "revoked while the stream was broken";
  EXPECT_TRUE(Authenticate(b_));
}

}  // namespace
}  // namespace allod::gateway
