#include "gateway/access/api_keys.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <vector>

namespace allod::gateway::access::api_keys_test {
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
  for (const char* scheme : {"bEARER ", "Bearer  ", "Bearer \t ", "BEARER "}) {
    EXPECT_TRUE(table_.Authenticate(scheme + FormatApiKey(a_))) << scheme;
    EXPECT_TRUE(table_.Authenticate(scheme + FormatApiKey(a_) + " ")) << scheme;
  }
  for (const char* scheme : {"", "Bearer", "Bearer:", "Basic ", "Bear ", "Bearer x "}) {
    EXPECT_FALSE(table_.Authenticate(scheme + FormatApiKey(a_))) << scheme;
  }
  for (const char* nothing : {"", " ", "Bearer", "Bearer ", "Bearer \t "}) EXPECT_FALSE(table_.Authenticate(nothing));
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

TEST_F(ApiKeyTableTest, AKeyThatIsNotKnownWhileTheStreamIsBrokenMayBeANewOne) {
  Snapshot({a_});
  EXPECT_EQ(Authenticate(b_).error().code, Code::kUnauthenticated);
  table_.EndStream();
  EXPECT_EQ(Authenticate(b_).error().reason, "KEYS_NOT_SYNCED") << "clients try a 503 again, a 401 not";
  EXPECT_TRUE(Authenticate(a_)) << "what is known stands";
  EXPECT_EQ(Authenticate({a_.kid, b_.secret}).error().code, Code::kUnauthenticated);
  table_.BeginSnapshot();
  EXPECT_EQ(Authenticate(b_).error().reason, "KEYS_NOT_SYNCED");
  Snapshot({a_});
  EXPECT_EQ(Authenticate(b_).error().code, Code::kUnauthenticated);
}

TEST_F(ApiKeyTableTest, ForgetsRevokedKeys) {
  Snapshot({a_, b_});
  WatchApiKeysResponse change;
  Add(change, a_, true);
  table_.Apply(change);
  EXPECT_EQ(table_.size(), 1U);
}

TEST_F(ApiKeyTableTest, SaysToServicesWhichKeyOfWhichProjectAsks) {
  table_.BeginSnapshot();
  WatchApiKeysResponse message;
  Add(message, a_);
  Add(message, b_);
  message.mutable_keys(1)->add_scopes(ApiKey::SCOPE_PORTAL);
  message.mutable_keys(1)->add_roles(Role::ROLE_DEVELOPER);
  message.mutable_keys(1)->add_roles(Role::ROLE_BILLING);
  message.set_synced(true);
  table_.Apply(message);
  EXPECT_EQ(Authenticate(a_)->caller().ToString(), "tenant:ke project:p scopes:inference,portal roles: key:" + a_.kid);
  EXPECT_EQ(Authenticate(b_)->caller().ToString(),
            "tenant:ke project:p scopes:portal roles:developer,billing key:" + b_.kid);
}

// Nanoseconds of one look-up beside that many keys.
double NanosecondsPerLookUp(int keys) {
  ApiKeyTable table(kPepper);
  table.BeginSnapshot();
  WatchApiKeysResponse message;
  std::vector<std::string> asking;
  for (int i = 0; i < keys; ++i) {
    auto& key = *message.add_keys();
    const ApiKeyText text = i < 100 ? NewApiKey() : ApiKeyText{"kid" + std::to_string(i), ""};
    const ApiKeyDigest digest = i < 100 ? DigestApiKeySecret(kPepper, text.secret) : ApiKeyDigest{};
    key.set_name("tenants/ke/projects/p/apiKeys/" + text.kid);
    key.set_kid(text.kid);
    key.set_digest(std::string(digest.begin(), digest.end()));
    if (i < 100) asking.push_back("Bearer " + FormatApiKey(text));
  }
  message.set_synced(true);
  table.Apply(message);
  constexpr int kLookUps = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kLookUps; ++i) EXPECT_TRUE(table.Authenticate(asking[static_cast<std::size_t>(i) % 100]));
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / kLookUps;
}

TEST(ApiKeyTable, AuthenticationCostsTheSameBesideTwoHundredThousandKeysAsBesideAHundred) {
  const double few = NanosecondsPerLookUp(100);
  const double many = NanosecondsPerLookUp(200'000);
  std::printf("one authentication: %.0f ns beside 100 keys, %.0f ns beside 200,000\n", few, many);
  EXPECT_LT(many, 5 * few);
}

}  // namespace
}  // namespace allod::gateway::access::api_keys_test
