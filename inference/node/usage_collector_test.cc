// Rings into billing: everything once, whatever gets lost on the way.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "inference/node/usage_collector_fixture.h"

namespace allod::inference::node::usage_collector_test {
namespace {

TEST_F(UsageCollectorTest, HandsOnEachRequestOnceWithAllThatIsKnown) {
  Start();
  const auto worker = Worker(1);
  auto slot = Begin(*worker, 1);
  Do(*worker, 2);
  ASSERT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
  slot->CountSampled();
  slot->Finish(ports::UsageOutcome::kCancelled);
  ASSERT_TRUE(Eventually([&] { return billing_.events().size() == 2; }));
  for (const auto& event : billing_.events()) {
    const bool cancelled = event.request_id() == RequestId(1);
    EXPECT_EQ(event.tenant_uid(), kTenant);
    EXPECT_EQ(event.instance(), kInstance);
    EXPECT_EQ(event.node(), "nodes/local");
    EXPECT_EQ(event.replica_uid(), kReplica);
    EXPECT_EQ(event.prompt_tokens_computed(), 10);
    EXPECT_EQ(event.prompt_tokens_cached(), 4);
    EXPECT_EQ(event.sampled_tokens(), cancelled ? 2 : 1);
    EXPECT_EQ(event.outcome(),
              cancelled ? billing::v1::COMPUTED_OUTCOME_CANCELLED : billing::v1::COMPUTED_OUTCOME_COMPLETED);
    EXPECT_GT(event.start_time().seconds(), 0);
    EXPECT_GE(event.end_time().seconds(), event.start_time().seconds());
  }
  EXPECT_EQ(billing_.repeated(), 0);
}

TEST_F(UsageCollectorTest, AskedAgainAfterALostAnswerItTellsTheSameEvents) {
  Start();
  billing_.mood = BillingPeer::Mood::kLosesAnswers;
  const auto worker = Worker(1);
  for (int i = 0; i < 20; ++i) Do(*worker, i);
  ASSERT_TRUE(Eventually([&] { return billing_.repeated() >= 20; }));
  billing_.mood = BillingPeer::Mood::kFine;
  collector_->WorkerEnded(1);
  ASSERT_TRUE(Eventually([&] { return Files() == 0; }));
  EXPECT_EQ(billing_.events().size(), 20U);
  EXPECT_EQ(billing_.changed(), 0);
}

TEST_F(UsageCollectorTest, ARefusalIsFinal) {
  Start();
  billing_.mood = BillingPeer::Mood::kRefuses;
  const auto worker = Worker(1);
  Do(*worker, 1);
  collector_->WorkerEnded(1);
  EXPECT_TRUE(Eventually([&] { return Files() == 0; }));
  EXPECT_TRUE(billing_.events().empty());
}

TEST_F(UsageCollectorTest, WhatADeadWorkerHadOpenIsLostAndItsFileGoes) {
  Start();
  const auto worker = Worker(1);
  const auto slot = Begin(*worker, 1);
  EXPECT_EQ(Files(), 1U);
  collector_->WorkerEnded(1);
  collector_->WorkerEnded(1);
  collector_->WorkerEnded(4711);  // nobody
  ASSERT_TRUE(Eventually([&] { return Files() == 0; }));
  ASSERT_EQ(billing_.events().size(), 1U);
  EXPECT_EQ(billing_.events()[0].outcome(), billing::v1::COMPUTED_OUTCOME_LOST);
  EXPECT_EQ(billing_.events()[0].sampled_tokens(), 1);
}

TEST_F(UsageCollectorTest, WhatAKilledAgentLeftIsTakenOverOnce) {
  fs::create_directories(directory_);
  {
    // As an agent and a worker leave it that were killed during one request and after another.
    auto made = usage::RingFile::Create(directory_ / "old.ring", Uuid::V7(), kReplica);
    ASSERT_TRUE(made);
    usage::RingRecorder worker(*usage::RingMapping::FromFd(made->fd()));
    Do(worker, 1);
    const fs::path copy = dir_ / "copy";
    auto open = Begin(worker, 2);
    fs::copy_file(directory_ / "old.ring", copy);
    open.reset();
    fs::rename(copy, directory_ / "old.ring");
  }
  billing_.mood = BillingPeer::Mood::kLosesAnswers;
  Start();
  ASSERT_TRUE(Eventually([&] { return billing_.events().size() == 2; }));
  collector_.reset();  // another agent dies, another one comes
  EXPECT_EQ(Files(), 1U);
  billing_.mood = BillingPeer::Mood::kFine;
  Start();
  ASSERT_TRUE(Eventually([&] { return Files() == 0; }));
  ASSERT_EQ(billing_.events().size(), 2U);
  EXPECT_EQ(billing_.changed(), 0);
  std::set<int> outcomes;
  for (const auto& event : billing_.events()) outcomes.insert(event.outcome());
  EXPECT_EQ(outcomes, (std::set<int>{billing::v1::COMPUTED_OUTCOME_COMPLETED, billing::v1::COMPUTED_OUTCOME_LOST}));
}

TEST_F(UsageCollectorTest, ADamagedRingIsSetAsideAndHoldsNothingUp) {
  fs::create_directories(directory_);
  std::ofstream(directory_ / "bad.ring") << "this is no ring";
  Start();
  EXPECT_EQ(Files(".damaged"), 1U);
  Do(*Worker(1), 1);
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
}

TEST_F(UsageCollectorTest, KeepsEverythingWhileBillingIsAway) {
  server_->Stop(milliseconds(0));
  Start();
  const auto worker = Worker(1);
  for (int i = 0; i < 10; ++i) Do(*worker, i);
  collector_->WorkerEnded(1);
  collector_.reset();
  EXPECT_EQ(Files(), 1U);
  StartServer();
  Start();
  ASSERT_TRUE(Eventually([&] { return Files() == 0; }));
  EXPECT_EQ(billing_.events().size(), 10U);
}

TEST_F(UsageCollectorTest, ARingThatBillingCannotTakeDoesNotKeepOthersFromIt) {
  Start();
  billing_.mood = BillingPeer::Mood::kBroken;
  const auto hostile = Worker(1);
  const auto honest = Worker(2);
  Do(*hostile, 666);
  ASSERT_TRUE(Eventually([&] { return billing_.calls() >= 1; }));
  Do(*honest, 1);
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
}

TEST_F(UsageCollectorTest, WhatIsPostponedOfAPooledRingKeepsNobodyElseWaiting) {
  Start();
  billing_.mood = BillingPeer::Mood::kPostpones;
  const auto worker = Worker(1);
  collector_->AddMembers(1, {{.instance = kOtherInstance, .tenant = *Uuid::Parse(kOtherTenant), .context_tokens = 64}});
  const auto finish = [&](int request, const std::string& tenant, const std::string& instance) {
    auto slot = worker->Open(RequestId(request), tenant, instance);
    ASSERT_TRUE(slot);
    (*slot)->CountSampled();
    (*slot)->Finish(ports::UsageOutcome::kCompleted);
  };
  // More than one batch of them, and what comes after them.
  for (int i = 0; i < 600; ++i) finish(i, kOtherTenant, kOtherInstance);
  for (int i = 600; i < 1000; ++i) finish(i, kTenant, kInstance);
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 400U; }));
  // Their slots are free again: one more ring's worth of the others' requests goes through beside those that wait.
  for (int i = 1000; i < 2024; ++i) {
    ASSERT_TRUE(Eventually([&] {
      auto slot = worker->Open(RequestId(i), kTenant, kInstance);
      if (slot) (*slot)->Finish(ports::UsageOutcome::kCompleted);
      return slot.has_value();
    })) << i;
  }
  collector_->WorkerEnded(1);
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 1424U; }));
  EXPECT_EQ(Files(), 1U) << "until it is empty";
  billing_.mood = BillingPeer::Mood::kFine;
  EXPECT_TRUE(Eventually([&] { return Files() == 0; })) << "they are told again";
  EXPECT_EQ(billing_.events().size(), 2024U);
  EXPECT_EQ(billing_.repeated(), 0) << "only what was postponed is told again";
}

TEST_F(UsageCollectorTest, SendsBatchesThatBillingTakes) {
  Start();
  billing_.mood = BillingPeer::Mood::kAway;
  const auto worker = Worker(1);
  for (int i = 0; i < static_cast<int>(usage::kSlotsDefault); ++i) Do(*worker, i);
  EXPECT_EQ(worker->Open(RequestId(9999), kTenant, kInstance).error().reason, "USAGE_RING_FULL");
  billing_.mood = BillingPeer::Mood::kFine;
  ASSERT_TRUE(Eventually([&] { return billing_.events().size() == usage::kSlotsDefault; }));
  EXPECT_LE(billing_.largest(), 500);
  EXPECT_TRUE(Eventually([&] { return worker->Open(RequestId(9999), kTenant, kInstance).has_value(); }));
}

TEST_F(UsageCollectorTest, HandsOnWhatItCanBeforeItEnds) {
  Start();
  const auto worker = Worker(1);
  for (int i = 0; i < 5; ++i) Do(*worker, i);
  collector_.reset();
  EXPECT_EQ(billing_.events().size(), 5U);
}

TEST_F(UsageCollectorTest, AMemberThatCameLaterIsAMember) {
  Start();
  const std::string other = "tenants/ug/projects/p/instances/i";
  const std::string tenant = Uuid::FromName("tenants/ug").ToString();
  const auto worker = Worker(1);
  collector_->AddMembers(1, {{.instance = other, .tenant = *Uuid::Parse(tenant), .context_tokens = 64}});
  (*worker->Open(RequestId(1), tenant, other))->Finish(ports::UsageOutcome::kCompleted);
  Do(*worker, 2);  // the earlier one's requests go on
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 2; }));
  EXPECT_TRUE(collector_->TakeLies().empty());
}

TEST_F(UsageCollectorTest, RefusesADirectoryThatIsNone) {
  const auto file = dir_.Write("file", "");
  const auto refused = UsageCollector::Start(file, "nodes/local", MakeChannel(target_), Caller::Node("local"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "NO_USAGE_DIR");
}

}  // namespace
}  // namespace allod::inference::node::usage_collector_test
