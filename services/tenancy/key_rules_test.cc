#include "services/tenancy/key_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace allod::tenancy::key_rules_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = Time(std::chrono::hours(24 * 365 * 55));

std::vector<IpRange> Ranges(const std::vector<std::string>& texts) { return ParseIpRanges("r", texts, 100).value(); }

ApiKey Key() {
  ApiKey key{"ke", "desk", "abcdefghijkl", "", EveryScope(), {Role::ROLE_ADMIN}, {}, kNow, std::nullopt};
  return key;
}

std::string ReasonOf(const Result<ApiKey>& made) { return made ? "" : made.error().reason; }

TEST(CheckExpireTime, TakesTheFutureButNotAllOfIt) {
  EXPECT_TRUE(CheckExpireTime("t", std::nullopt, kNow));
  EXPECT_TRUE(CheckExpireTime("t", kNow + 1s, kNow));
  EXPECT_TRUE(CheckExpireTime("t", kNow + kKeyLifeMax, kNow));
  for (const Time time : {kNow, kNow - 1s, kNow + kKeyLifeMax + 1s}) {
    EXPECT_EQ(CheckExpireTime("t", time, kNow).error().reason, "INVALID_EXPIRE_TIME");
  }
}

TEST(ValidInstances, AreThoseOfTheKeysProjectAndSoManyAtMost) {
  const auto ids = [](const std::vector<std::string>& names) { return ValidInstances("i", "ke", "desk", names); };
  EXPECT_EQ(*ids({"tenants/ke/projects/desk/instances/b", "tenants/ke/projects/desk/instances/a",
                  "tenants/ke/projects/desk/instances/b"}),
            (std::vector<std::string>{"a", "b"}));
  for (const char* name : {"", "a", "tenants/ug/projects/desk/instances/a", "tenants/ke/projects/other/instances/a",
                           "tenants/ke/projects/desk/instances/", "tenants/ke/projects/desk/instances/A",
                           "tenants/ke/projects/desk/apiKeys/a"}) {
    EXPECT_EQ(ids({name}).error().reason, "INVALID_INSTANCE") << name;
  }
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= kInstancesPerKeyMax; ++i) {
    many.push_back("tenants/ke/projects/desk/instances/i" + std::to_string(i));
  }
  EXPECT_EQ(ids(many).error().reason, "TOO_MANY_INSTANCES");
  many.pop_back();
  EXPECT_TRUE(ids(many));
}

TEST(HandOn, LeavesToAKeyWhatItsMakerHas) {
  ApiKey maker = Key();
  maker.expire_time = kNow + 1h;
  maker.allowed_ip_ranges = Ranges({"10.0.0.0/8", "2001:db8::/32"});
  maker.allowed_instances = {"a", "b"};
  const auto made = HandOn(maker, Key(), kNow);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->expire_time, maker.expire_time);
  EXPECT_EQ(made->allowed_ip_ranges, maker.allowed_ip_ranges);
  EXPECT_EQ(made->allowed_instances, maker.allowed_instances);
}

TEST(HandOn, NamesWhatIsMoreThanTheMakers) {
  ApiKey maker = Key();
  maker.expire_time = kNow + 1h;
  maker.allowed_ip_ranges = Ranges({"10.0.0.0/8", "2001:db8::/32"});
  maker.allowed_instances = {"a", "b"};
  ApiKey key = Key();
  key.expire_time = kNow + 1h + 1us;
  EXPECT_EQ(ReasonOf(HandOn(maker, key, kNow)), "EXPIRY_NOT_HELD");
  key.expire_time = kNow + 30min;
  EXPECT_TRUE(HandOn(maker, key, kNow));
  key.allowed_ip_ranges = Ranges({"10.2.0.0/16", "11.0.0.0/16"});
  EXPECT_EQ(ReasonOf(HandOn(maker, key, kNow)), "IP_RANGE_NOT_HELD");
  key.allowed_ip_ranges = Ranges({"10.2.0.0/16", "2001:db8:1::/48"});
  EXPECT_TRUE(HandOn(maker, key, kNow));
  key.allowed_instances = {"b", "c"};
  EXPECT_EQ(ReasonOf(HandOn(maker, key, kNow)), "INSTANCE_NOT_HELD");
  key.allowed_instances = {"b"};
  EXPECT_TRUE(HandOn(maker, key, kNow));
  maker.scopes = {Scope::kInference};
  maker.roles = {};
  EXPECT_EQ(ReasonOf(HandOn(maker, key, kNow)), "SCOPE_NOT_HELD");
  maker = Key();
  maker.roles = {Role::ROLE_DEVELOPER};
  EXPECT_EQ(ReasonOf(HandOn(maker, Key(), kNow)), "ROLE_NOT_HELD");
}

TEST(HandOn, IsForMakersThatHold) {
  ApiKey maker = Key();
  maker.expire_time = kNow;
  EXPECT_EQ(ReasonOf(HandOn(maker, Key(), kNow)), "MAKER_NOT_VALID");
  maker = Key();
  maker.revoke_time = kNow;
  EXPECT_EQ(ReasonOf(HandOn(maker, Key(), kNow)), "MAKER_NOT_VALID");
}

KeyRotation Rotation(std::chrono::microseconds overlap) {
  return {"ke", "desk", "abcdefghijkl", overlap, std::nullopt, "successorkid", {}, kNow};
}

TEST(Rotate, GivesNobodyAKeyThatHeCouldNotMake) {
  ApiKey key = Key();
  key.scopes = {Scope::kPortal};
  key.roles = {Role::ROLE_ADMIN};
  KeyRotation by_a_developer = Rotation(0s);
  by_a_developer.held = {
      .scopes = EveryScope(), .roles = {Role::ROLE_DEVELOPER}, .usual_roles = {Role::ROLE_DEVELOPER}};
  const auto rotated = Rotate(key, by_a_developer, nullptr);
  ASSERT_FALSE(rotated);
  EXPECT_EQ(rotated.error().reason, "ROLE_NOT_HELD");
  key.roles = {Role::ROLE_DEVELOPER};
  EXPECT_TRUE(Rotate(key, by_a_developer, nullptr));
}

TEST(CheckMayGrantAtLarge, IsNotForAKeyThatIsNarrow) {
  const ApiKey plain = Key();
  EXPECT_TRUE(CheckMayGrantAtLarge(plain, kNow));
  ApiKey limited = Key();
  limited.limits.requests_per_minute = 30;
  EXPECT_EQ(CheckMayGrantAtLarge(limited, kNow).error().reason, "MAKER_IS_NARROWED")
      << "a rule's tokens have no such limit";
}

TEST(Rotate, MakesASuccessorWithTheSamePropertiesAndLetsThePresentOneHoldALittleLonger) {
  ApiKey key = Key();
  key.display_name = "app";
  key.allowed_ip_ranges = Ranges({"10.0.0.0/8"});
  key.allowed_instances = {"a"};
  key.last_used_time = kNow - 1min;
  key.expire_time = kNow + 24h * 90;
  const auto rotated = Rotate(key, Rotation(24h), nullptr);
  ASSERT_TRUE(rotated) << rotated.error().message;
  EXPECT_EQ(rotated->present.expire_time, kNow + 24h);
  EXPECT_FALSE(rotated->present.revoke_time);
  EXPECT_EQ(rotated->present.last_used_time, key.last_used_time);
  const ApiKey& successor = rotated->successor;
  EXPECT_EQ(successor.kid, "successorkid");
  EXPECT_EQ(successor.display_name, "app");
  EXPECT_EQ(successor.scopes, key.scopes);
  EXPECT_EQ(successor.roles, key.roles);
  EXPECT_EQ(successor.expire_time, key.expire_time);
  EXPECT_EQ(successor.allowed_ip_ranges, key.allowed_ip_ranges);
  EXPECT_EQ(successor.allowed_instances, key.allowed_instances);
  EXPECT_FALSE(successor.last_used_time);

  EXPECT_EQ(Rotate(key, Rotation(0s), nullptr)->present.revoke_time, kNow) << "without overlap it ends at once";
  key.expire_time = kNow + 1h;
  EXPECT_EQ(Rotate(key, Rotation(24h), nullptr)->present.expire_time, kNow + 1h) << "never prolonged";
  key.expire_time = kNow;
  EXPECT_EQ(Rotate(key, Rotation(24h), nullptr).error().reason, "API_KEY_NOT_VALID");
  EXPECT_EQ(CheckOverlap(-1us).error().reason, "INVALID_OVERLAP");
  EXPECT_EQ(CheckOverlap(24h * 30 + 1us).error().reason, "INVALID_OVERLAP");
}

TEST(Rotate, ByAKeyGivesNothingThatItCouldNotMakeItself) {
  const ApiKey wide = Key();
  ApiKey narrow = Key();
  narrow.kid = "narrowkeykid";
  for (const auto& [narrowed, reason] :
       std::initializer_list<std::pair<ApiKey, std::string>>{{[&] {
                                                                ApiKey k = narrow;
                                                                k.expire_time = kNow + 1h;
                                                                return k;
                                                              }(),
                                                              "EXPIRY_NOT_HELD"},
                                                             {[&] {
                                                                ApiKey k = narrow;
                                                                k.allowed_ip_ranges = Ranges({"10.0.0.0/8"});
                                                                return k;
                                                              }(),
                                                              "IP_RANGE_NOT_HELD"},
                                                             {[&] {
                                                                ApiKey k = narrow;
                                                                k.allowed_instances = {"a"};
                                                                return k;
                                                              }(),
                                                              "INSTANCE_NOT_HELD"},
                                                             {[&] {
                                                                ApiKey k = narrow;
                                                                k.scopes = {Scope::kPortal};
                                                                return k;
                                                              }(),
                                                              "SCOPE_NOT_HELD"},
                                                             {[&] {
                                                                ApiKey k = narrow;
                                                                k.roles = {Role::ROLE_DEVELOPER};
                                                                return k;
                                                              }(),
                                                              "ROLE_NOT_HELD"}}) {
    const auto rotated = Rotate(wide, Rotation(0s), &narrowed);
    ASSERT_FALSE(rotated) << reason;
    EXPECT_EQ(rotated.error().reason, reason);
    KeyRotation itself = Rotation(0s);
    EXPECT_TRUE(Rotate(narrowed, itself, &narrowed)) << reason;
    itself.expire_time = kNow + 2h;
    EXPECT_EQ(Rotate(narrowed, itself, &narrowed).has_value(), !narrowed.expire_time.has_value());
  }
}

// What a key lets whoever has it do, asked one by one and not by the rules under test.
struct Probes {
  std::vector<IpAddress> addresses;
  std::vector<std::string> instances;
  std::vector<Time> times;
};

StandingRoles RolesOf(const std::vector<std::vector<std::string>>& permissions) {
  std::vector<TenantRole> roles;
  for (std::size_t i = 0; i < permissions.size(); ++i) {
    TenantRole role{.tenant = "ke", .id = "r" + std::to_string(i)};
    role.permissions = permissions[i];
    roles.push_back(std::move(role));
  }
  return StandingRoles(roles);
}

Rights RightsOf(const ApiKey& key, const StandingRoles& roles) { return roles.RightsLeft(key.roles, key.custom_roles); }
bool LetsInFrom(const ApiKey& key, const IpAddress& address) {
  return key.allowed_ip_ranges.empty() ||
         std::ranges::any_of(key.allowed_ip_ranges, [&](const IpRange& range) { return range.Contains(address); });
}
bool Reaches(const ApiKey& key, const std::string& instance) {
  return key.allowed_instances.empty() || std::ranges::count(key.allowed_instances, instance) > 0;
}

::testing::AssertionResult IsWithin(const ApiKey& key, const ApiKey& maker, const Probes& probes) {
  for (const Scope scope : key.scopes) {
    if (!maker.scopes.contains(scope)) return ::testing::AssertionFailure() << "scope " << WordOf(scope);
  }
  for (const Time time : probes.times) {
    if (key.HoldsAt(time) && !maker.HoldsAt(time)) return ::testing::AssertionFailure() << "time";
  }
  for (const IpAddress& address : probes.addresses) {
    if (LetsInFrom(key, address) && !LetsInFrom(maker, address)) {
      return ::testing::AssertionFailure() << address.ToString();
    }
  }
  for (const std::string& instance : probes.instances) {
    if (Reaches(key, instance) && !Reaches(maker, instance)) return ::testing::AssertionFailure() << instance;
  }
  return ::testing::AssertionSuccess();
}

class Chains {
 public:
  // A key as somebody might ask for it; of few addresses, instances and times, so that they often meet.
  ApiKey Asked() {
    ApiKey key = Key();
    key.scopes.clear();
    key.roles = {};
    if (Chance(2)) key.scopes.insert(Scope::kInference);
    if (Chance(2)) key.scopes.insert(Scope::kPortal);
    for (const Role role : kRolesOfKeys.List()) {
      if (Chance(4)) key.roles.Add(role);
    }
    for (unsigned i = 0; i < kCustomRoles; ++i) {
      if (Chance(4)) key.custom_roles.push_back("r" + std::to_string(i));
    }
    if (Chance(2)) key.expire_time = kNow + std::chrono::hours(1 + Below(48));
    for (unsigned i = Below(3); i > 0; --i) key.allowed_ip_ranges.push_back(RandomRange());
    std::ranges::sort(key.allowed_ip_ranges);
    for (const char* instance : {"a", "b", "c", "d"}) {
      if (Chance(5)) key.allowed_instances.emplace_back(instance);
    }
    return key;
  }
  Probes MakeProbes() {
    Probes out{{}, {"a", "b", "c", "d", "e"}, {}};
    for (int i = 0; i < 12; ++i) out.addresses.push_back(RandomAddress());
    for (int hours = 0; hours <= 50; hours += 5) out.times.push_back(kNow + std::chrono::hours(hours) + 30min);
    return out;
  }
  // Roles of a tenant as somebody might make them; some permit what others do.
  std::vector<std::vector<std::string>> CustomRoles() {
    static const std::vector<std::string> kPatterns = {
        "*.*.get",           "scheduling.*.*",         "scheduling.instances.*", "scheduling.instances.get",
        "tenancy.apiKeys.*", "tenancy.apiKeys.create", "billing.*.list",         "catalog.*.*"};
    std::vector<std::vector<std::string>> out(kCustomRoles);
    for (auto& permissions : out) {
      for (unsigned i = 1 + Below(3); i > 0; --i) permissions.push_back(kPatterns[Below(kPatterns.size())]);
    }
    return out;
  }
  static constexpr unsigned kCustomRoles = 4;
  unsigned Below(unsigned end) { return random_() % end; }
  bool Chance(unsigned of) { return Below(of) == 0; }

 private:
  std::string AddressText() {
    if (Chance(3)) return "2001:db8:" + std::to_string(Below(2)) + "::" + std::to_string(Below(3));
    return "10." + std::to_string(Below(2)) + "." + std::to_string(Below(2) * 128) + "." + std::to_string(Below(3));
  }
  IpAddress RandomAddress() { return IpAddress::Parse(AddressText()).value(); }
  IpRange RandomRange() {
    const std::string address = AddressText();
    const bool v4 = address.starts_with("10.");
    static constexpr unsigned kV4[] = {0, 8, 15, 16, 17, 24, 32};
    static constexpr unsigned kV6[] = {0, 32, 47, 48, 64, 127, 128};
    const auto made = IpRange::Parse("r", address + "/" + std::to_string((v4 ? kV4 : kV6)[Below(7)]));
    if (made) return *made;
    const std::string& message = made.error().message;  // names the range around it
    const std::size_t begin = message.find("is ", message.find("around it")) + 3;
    return IpRange::Parse("r", message.substr(begin, message.find(';', begin) - begin)).value();
  }
  std::mt19937 random_{20'261'128};
};

TEST(Keys, NeverExceedTheirMakersInAHundredThousandRandomChainsOfMakingAndRotating) {
  Chains chains;
  int made_count = 0;
  int refused = 0;
  for (int chain = 0; chain < 100'000; ++chain) {
    ApiKey first = chains.Asked();
    auto permissions = chains.CustomRoles();
    StandingRoles roles = RolesOf(permissions);
    const auto root = ValidApiKey(first, {}, roles);
    if (!root) continue;  // roles without the portal
    const Probes probes = chains.MakeProbes();
    const Rights of_root = RightsOf(*root, roles);
    ApiKey maker = *root;
    for (int step = 0; step < 4; ++step) {
      Result<ApiKey> made = Internal("");
      if (chains.Chance(4)) {
        // Any key of the project, most of them nothing to do with the maker.
        const auto other = ValidApiKey(chains.Asked(), {}, roles);
        if (!other) continue;
        const auto rotated = Rotate(chains.Chance(2) ? maker : *other, Rotation(0s), &maker, roles);
        if (rotated) made = rotated->successor;
      } else {
        made = HandOn(maker, chains.Asked(), kNow, roles);
      }
      if (!made) {
        ++refused;
        continue;
      }
      ++made_count;
      ASSERT_TRUE(IsWithin(*made, maker, probes)) << "chain " << chain << " step " << step;
      ASSERT_TRUE(IsWithin(*made, *root, probes)) << "chain " << chain << " step " << step;
      const Rights has = RightsOf(*made, roles);
      ASSERT_TRUE(Covers(RightsOf(maker, roles), has)) << has.ToString() << ", chain " << chain << " step " << step;
      ASSERT_TRUE(Covers(of_root, has)) << has.ToString() << ", chain " << chain << " step " << step;
      maker = *made;
      if (!chains.Chance(3)) continue;
      // A role is narrowed, and with it what the key is permitted and what it hands on.
      permissions[chains.Below(Chains::kCustomRoles)].resize(1);
      roles = RolesOf(permissions);
      ASSERT_TRUE(Covers(has, RightsOf(maker, roles)));
    }
  }
  EXPECT_GT(made_count, 40'000);
  EXPECT_GT(refused, 50'000);
}

}  // namespace
}  // namespace allod::tenancy::key_rules_test
