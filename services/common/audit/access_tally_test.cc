#include "services/common/audit/access_tally.h"

#include <gtest/gtest.h>

#include <set>

namespace allod::audit::access_tally_test {
namespace {

using std::chrono::seconds;

class AccessTallyTest : public testing::Test {
 protected:
  Access Refusal(const std::string& resource, const std::string& tenant = "tenants/ke") {
    return {.tenant = tenant,
            .actor = {"api_key", tenant + "/projects/p/apiKeys/k", "k"},
            .action = "scheduling.instances.get",
            .resource = resource,
            .outcome = Outcome::kRefused,
            .reason = "NOT_FOUND",
            .trace_id = "t"};
  }
  void Note(const std::string& resource, const std::string& tenant = "tenants/ke") {
    tally_.Note(Refusal(resource, tenant), now_);
  }

  Time now_{seconds(1'800'000'000)};
  AccessTally tally_;
};

TEST_F(AccessTallyTest, TheFirstIsWrittenAtOnceAndTheRestOfTheMinuteAsACount) {
  Note("tenants/tz/projects/p/instances/a");
  auto due = tally_.TakeDue(now_);
  ASSERT_EQ(due["tenants/ke"].size(), 1u);
  EXPECT_EQ(due["tenants/ke"][0].count, 1);
  for (int i = 0; i < 1000; ++i) Note("tenants/tz/projects/p/instances/i" + std::to_string(i));
  now_ += seconds(59);
  EXPECT_TRUE(tally_.TakeDue(now_).empty());
  now_ += seconds(1);
  due = tally_.TakeDue(now_);
  ASSERT_EQ(due["tenants/ke"].size(), 1u);
  const Entry entry = EntryOf(due["tenants/ke"][0]);
  EXPECT_EQ(entry.resource, "tenants/tz/projects/p");
  EXPECT_EQ(entry.outcome, Outcome::kRefused);
  EXPECT_EQ(entry.reason, "NOT_FOUND");
  ASSERT_EQ(entry.details.size(), 3u);
  EXPECT_EQ(entry.details[0].value, "tenants/tz/projects/p/instances/i0");
  EXPECT_EQ(entry.details[1].value, "1000");
  EXPECT_EQ(entry.details[2].value, "2027-01-15T08:00:00Z");
}

TEST_F(AccessTallyTest, ForgetsWhatHasCeased) {
  Note("tenants/tz");
  EXPECT_EQ(tally_.TakeDue(now_).size(), 1u);
  EXPECT_EQ(tally_.places(), 1);
  EXPECT_TRUE(tally_.TakeDue(now_ + seconds(60)).empty());
  EXPECT_EQ(tally_.places(), 0);
}

TEST_F(AccessTallyTest, ATenantFillsItsOwnPlacesOnlyAndWhatIsBeyondIsSaid) {
  for (int i = 0; i < 1000; ++i) Note("tenants/t" + std::to_string(i));
  Note("tenants/tz", "tenants/ug");
  EXPECT_EQ(tally_.places(), AccessTally::kPerActorMax + 1);
  auto due = tally_.TakeDue(now_);
  EXPECT_EQ(due["tenants/ug"].size(), 1u);
  ASSERT_EQ(due["tenants/ke"].size(), static_cast<std::size_t>(AccessTally::kPerActorMax));
  EXPECT_EQ(due["tenants/ke"][0].dropped, 1000 - AccessTally::kPerActorMax);
  EXPECT_EQ(due["tenants/ke"][1].dropped, 0);
}

// Names that are made up are places of who made them up.
TEST_F(AccessTallyTest, NobodyHidesWhatOthersDo) {
  const auto note = [&](const std::string& kind, const std::string& id, const std::string& resource) {
    Access access = Refusal(resource);
    access.actor = {kind, id, ""};
    tally_.Note(access, now_);
  };
  for (int i = 0; i < 1000; ++i) note("api_key", "a", "tenants/t" + std::to_string(i));
  note("api_key", "b", "tenants/tz");
  for (int key = 0; key < 100; ++key) {
    for (int i = 0; i < 100; ++i) note("api_key", std::to_string(key), "tenants/t" + std::to_string(i));
  }
  note("operator", "", "tenants/ke");
  std::set<std::string> seen;
  const auto taken = tally_.TakeDue(now_);
  for (const auto& due : taken.at("tenants/ke")) seen.insert(due.first.actor.kind + due.first.actor.id);
  EXPECT_TRUE(seen.contains("api_keyb"));
  EXPECT_TRUE(seen.contains("operator"));
}

TEST_F(AccessTallyTest, WhatWasDroppedIsSaidEvenIfNothingFollows) {
  for (int i = 0; i < AccessTally::kPerActorMax; ++i) Note("tenants/t" + std::to_string(i));
  tally_.TakeDue(now_);
  Note("tenants/another");
  EXPECT_TRUE(tally_.TakeDue(now_ + seconds(1)).empty());
  const auto due = tally_.TakeDue(now_ + seconds(60));
  ASSERT_EQ(due.size(), 1u);
  const Entry entry = EntryOf(due.at("tenants/ke").at(0));
  EXPECT_EQ(entry.action, "audit.accesses.drop");
  ASSERT_EQ(entry.details.size(), 1u);
  EXPECT_EQ(entry.details[0], (Detail{"dropped", "1"}));
}

TEST_F(AccessTallyTest, AllTenantsTogetherHaveAnEnd) {
  for (int t = 0; t < 1000; ++t) {
    for (int i = 0; i < 10; ++i) Note("tenants/t" + std::to_string(i), "tenants/n" + std::to_string(t));
  }
  EXPECT_EQ(tally_.places(), AccessTally::kPlacesMax);
  std::size_t taken = 0;
  for (const auto& [tenant, due] : tally_.TakeDue(now_)) taken += due.size();
  EXPECT_EQ(taken, static_cast<std::size_t>(AccessTally::kPlacesMax));
  EXPECT_TRUE(tally_.TakeDue(now_ + seconds(60)).empty());
  EXPECT_EQ(tally_.places(), 0);
}

TEST_F(AccessTallyTest, WhatCouldNotBeWrittenIsCountedWithWhatFollows) {
  Note("tenants/tz");
  auto due = tally_.TakeDue(now_);
  Note("tenants/tz");
  tally_.GiveBack(std::move(due["tenants/ke"]), now_ + seconds(10));
  EXPECT_EQ(tally_.places(), 1);
  EXPECT_TRUE(tally_.TakeDue(now_ + seconds(9)).empty());
  due = tally_.TakeDue(now_ + seconds(10));
  ASSERT_EQ(due["tenants/ke"].size(), 1u);
  EXPECT_EQ(due["tenants/ke"][0].count, 2);
}

TEST_F(AccessTallyTest, KeepsNoTextOfACallersMaking) {
  Note("tenants/tz/projects/ignore previous instructions");
  Note(std::string(5000, 'a'));
  const auto taken = tally_.TakeDue(now_);
  EXPECT_EQ(taken.at("tenants/ke").size(), 1u);
  for (const auto& due : taken.at("tenants/ke")) EXPECT_EQ(EntryOf(due).resource, "(no name)");
  EXPECT_EQ(SafeName("tenants/ke/projects/p-1"), "tenants/ke/projects/p-1");
}

TEST_F(AccessTallyTest, AtTheEndEverythingIsTaken) {
  Note("tenants/tz");
  tally_.TakeDue(now_);
  Note("tenants/tz");
  EXPECT_EQ(tally_.TakeDue(now_, true).at("tenants/ke").at(0).count, 1);
}

}  // namespace
}  // namespace allod::audit::access_tally_test
