#include "gateway/access/api_keys.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <vector>

#include "services/common/rpc/timestamp.h"
#include "tests/support/fake_clock.h"

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
  // A snapshot of a_, changed.
  template <typename Change>
  void SnapshotOfA(Change change) {
    table_.BeginSnapshot();
    WatchApiKeysResponse message;
    Add(message, a_);
    change(*message.mutable_keys(0));
    message.set_synced(true);
    table_.Apply(message);
  }
  void Snapshot(std::initializer_list<ApiKeyText> keys) {
    table_.BeginSnapshot();
    WatchApiKeysResponse message;
    for (const ApiKeyText& key : keys) Add(message, key);
    message.set_synced(true);
    table_.Apply(message);
  }
  Result<Principal> Authenticate(const ApiKeyText& key, const std::string& from = "192.0.2.1") {
    return table_.Authenticate("Bearer " + FormatApiKey(key), IpAddress::Parse(from));
  }
  std::string ReasonOf(const std::string& from) {
    const auto principal = Authenticate(a_, from);
    return principal ? "" : principal.error().reason;
  }

  FakeClock clock_;
  KeyUses uses_;
  ApiKeyTable table_{kPepper, clock_, uses_};
  const ApiKeyText a_ = NewApiKey();
  const ApiKeyText b_ = NewApiKey();
};

TEST_F(ApiKeyTableTest, BeforeTheFirstSnapshotNobodyIsLetInAndJunkIsToldSo) {
  EXPECT_EQ(Authenticate(a_).error().reason, "KEYS_NOT_SYNCED");
  EXPECT_EQ(table_.Authenticate("Bearer sk-junk", std::nullopt).error().reason, "INVALID_API_KEY");
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
  EXPECT_FALSE(table_.Authenticate(FormatApiKey(a_), std::nullopt)) << "the scheme is required";
  for (const char* scheme : {"bEARER ", "Bearer  ", "Bearer \t ", "BEARER "}) {
    EXPECT_TRUE(table_.Authenticate(scheme + FormatApiKey(a_), std::nullopt)) << scheme;
    EXPECT_TRUE(table_.Authenticate(scheme + FormatApiKey(a_) + " ", std::nullopt)) << scheme;
  }
  for (const char* scheme : {"", "Bearer", "Bearer:", "Basic ", "Bear ", "Bearer x "}) {
    EXPECT_FALSE(table_.Authenticate(scheme + FormatApiKey(a_), std::nullopt)) << scheme;
  }
  for (const char* nothing : {"", " ", "Bearer", "Bearer ", "Bearer \t "})
    EXPECT_FALSE(table_.Authenticate(nothing, std::nullopt));
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
  EXPECT_EQ(Authenticate(a_)->caller().ToString(),
            "tenant:ke project:p key:" + a_.kid + " scopes:inference,portal roles:");
  EXPECT_EQ(Authenticate(b_)->caller().ToString(),
            "tenant:ke project:p key:" + b_.kid + " scopes:portal roles:developer,billing");
}

TEST_F(ApiKeyTableTest, AKeyExpiresByTheGatewaysClockWithoutBeingTold) {
  using namespace std::chrono_literals;
  SnapshotOfA([&](auto& key) { *key.mutable_expire_time() = ToTimestamp(clock_.Now() + 1h); });
  EXPECT_EQ(ReasonOf("192.0.2.1"), "");
  clock_.Advance(1h - 1us);
  EXPECT_EQ(ReasonOf("192.0.2.1"), "");
  clock_.Advance(1us);
  const auto expired = Authenticate(a_);
  EXPECT_EQ(expired.error().code, Code::kUnauthenticated);
  EXPECT_EQ(expired.error().reason, "API_KEY_EXPIRED");
  EXPECT_EQ(Authenticate({a_.kid, b_.secret}).error().reason, "INVALID_API_KEY") << "only its owner is told";
}

TEST_F(ApiKeyTableTest, WhoHasAValidKeyIsToldThatItsTenantIsSuspendedAndNobodyElse) {
  using namespace std::chrono_literals;
  using Standing = WatchApiKeysResponse::TenantStanding;
  const auto stand = [&](const std::string& tenant, Standing::Standing standing) {
    WatchApiKeysResponse message;
    auto& told = *message.add_tenant_standings();
    told.set_tenant(tenant);
    told.set_standing(standing);
    message.set_synced(true);
    table_.Apply(message);
  };
  SnapshotOfA([&](auto& key) {
    key.add_allowed_ip_ranges("192.0.2.0/24");
    *key.mutable_expire_time() = ToTimestamp(clock_.Now() + 1h);
  });
  stand("tenants/ug", Standing::STANDING_SUSPENDED);
  EXPECT_EQ(ReasonOf("192.0.2.1"), "");
  uses_.Take();
  stand("tenants/ke", Standing::STANDING_SUSPENDED);
  clock_.Advance(2min);
  const auto suspended = Authenticate(a_);
  ASSERT_FALSE(suspended);
  EXPECT_EQ(suspended.error().code, Code::kPermissionDenied);
  EXPECT_EQ(suspended.error().reason, "TENANT_SUSPENDED");
  EXPECT_EQ(uses_.size(), 0U) << "it was not let in";
  EXPECT_EQ(Authenticate({a_.kid, b_.secret}).error().reason, "INVALID_API_KEY");
  EXPECT_EQ(Authenticate(b_).error().reason, "INVALID_API_KEY");
  EXPECT_EQ(ReasonOf("198.51.100.1"), "ADDRESS_NOT_ALLOWED");
  stand("tenants/ke", Standing::STANDING_DELETING);
  EXPECT_EQ(ReasonOf("192.0.2.1"), "TENANT_SUSPENDED");
  EXPECT_NE(Authenticate(a_).error().message, suspended.error().message) << "which of the two it is";
  stand("tenants/ke", Standing::STANDING_UNSPECIFIED);
  EXPECT_EQ(ReasonOf("192.0.2.1"), "TENANT_SUSPENDED") << "what is not understood lets nobody in";
  stand("tenants/ke", Standing::STANDING_IN_FORCE);
  EXPECT_EQ(ReasonOf("192.0.2.1"), "");
  stand("tenants/ke", Standing::STANDING_SUSPENDED);
  clock_.Advance(1h);
  EXPECT_EQ(ReasonOf("192.0.2.1"), "API_KEY_EXPIRED") << "what is no valid key learns nothing";
  // A new stream that does not say so takes it back with its end.
  table_.BeginSnapshot();
  EXPECT_EQ(ReasonOf("192.0.2.1"), "API_KEY_EXPIRED");
  SnapshotOfA([](auto&) {});
  EXPECT_EQ(ReasonOf("192.0.2.1"), "");
}

TEST_F(ApiKeyTableTest, AKeyIsLetInFromItsRangesOnly) {
  SnapshotOfA([](auto& key) {
    key.add_allowed_ip_ranges("192.0.2.0/24");
    key.add_allowed_ip_ranges("2001:db8::/32");
  });
  for (const char* from : {"192.0.2.1", "::ffff:192.0.2.255", "2001:db8::7"}) EXPECT_EQ(ReasonOf(from), "") << from;
  for (const char* from : {"192.0.3.1", "::1", "2001:db9::7", "not known"}) {
    EXPECT_EQ(ReasonOf(from), "ADDRESS_NOT_ALLOWED") << from;
  }
  EXPECT_EQ(Authenticate({a_.kid, b_.secret}, "192.0.3.1").error().reason, "INVALID_API_KEY");
}

TEST_F(ApiKeyTableTest, AKeyWhoseLimitsAreNotUnderstoodIsNotLetIn) {
  SnapshotOfA([](auto& key) { key.add_allowed_ip_ranges("192.0.2.0/99"); });
  EXPECT_EQ(ReasonOf("192.0.2.1"), "INVALID_API_KEY");
}

TEST_F(ApiKeyTableTest, AKeyReachesItsInstances) {
  const std::string prefix = "tenants/ke/projects/p/instances/";
  SnapshotOfA([](auto&) {});
  EXPECT_TRUE(Authenticate(a_)->Reaches(prefix + "a"));
  SnapshotOfA([&](auto& key) {
    key.add_allowed_instances(prefix + "c");
    key.add_allowed_instances(prefix + "a");
  });
  const auto principal = Authenticate(a_);
  EXPECT_TRUE(principal->Reaches(prefix + "a") && principal->Reaches(prefix + "c"));
  EXPECT_FALSE(principal->Reaches(prefix + "b") || principal->Reaches("a") || principal->Reaches(""));
}

TEST_F(ApiKeyTableTest, NotesThatAKeyWasLetInOnceAMinute) {
  using namespace std::chrono_literals;
  SnapshotOfA([](auto& key) { key.add_allowed_ip_ranges("192.0.2.0/24"); });
  EXPECT_FALSE(Authenticate({a_.kid, b_.secret}));
  EXPECT_FALSE(Authenticate(a_, "192.0.3.1"));
  EXPECT_EQ(uses_.size(), 0U) << "who was not let in did not use it";
  const Time first = clock_.Now();
  EXPECT_TRUE(Authenticate(a_));
  EXPECT_EQ(uses_.Take(), (KeyUses::ByName{{"tenants/ke/projects/p/apiKeys/" + a_.kid, first}}));
  EXPECT_TRUE(Authenticate(a_));
  EXPECT_EQ(uses_.size(), 0U);
  clock_.Advance(1min);
  EXPECT_TRUE(Authenticate(a_));
  EXPECT_EQ(uses_.Take().size(), 1U);
}

// Nanoseconds of one look-up beside that many keys.
double NanosecondsPerLookUp(int keys) {
  const SystemClock clock;
  KeyUses uses;
  ApiKeyTable table(kPepper, clock, uses);
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
    *key.mutable_expire_time() = ToTimestamp(clock.Now() + std::chrono::hours(1));
    if (i < 100) asking.push_back("Bearer " + FormatApiKey(text));
  }
  message.set_synced(true);
  table.Apply(message);
  constexpr int kLookUps = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kLookUps; ++i)
    EXPECT_TRUE(table.Authenticate(asking[static_cast<std::size_t>(i) % 100], std::nullopt));
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
