// Rings into billing: everything once, whatever gets lost on the way.

#include "inference/node/usage_collector.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "inference/usage/ring_recorder.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/instrumented.h"
#include "tests/support/temp_dir.h"

namespace allod::inference::node {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

const std::string kReplica = "01900000-0000-7000-8000-00000000abcd";
const std::string kTenant = "01900000-0000-5000-8000-0000000000aa";
const std::string kInstance = "tenants/ke/projects/p/instances/i";
// Of another tenant; its rows are broken where billing postpones.
const std::string kOtherTenant = "01900000-0000-5000-8000-0000000000bb";
const std::string kOtherInstance = "tenants/tz/projects/p/instances/i";

std::string RequestId(int i) { return Uuid::FromName("request/" + std::to_string(i)).ToString(); }

bool Eventually(const std::function<bool()>& check) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!check()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

// Keeps what it is told by event id; a call can be made to fail before or after it took effect.
class BillingPeer final : public billing::v1::ComputedUsageService::Service {
 public:
  enum class Mood { kFine, kAway, kLosesAnswers, kBroken, kRefuses, kPostpones };
  std::atomic<Mood> mood = Mood::kFine;

  grpc::Status RecordComputedUsage(grpc::ServerContext*, const billing::v1::RecordComputedUsageRequest* request,
                                   billing::v1::RecordComputedUsageResponse* response) override {
    const std::lock_guard lock(mutex_);
    if (meanwhile_) meanwhile_();
    ++calls_;
    largest_ = std::max(largest_, request->events_size());
    if (mood == Mood::kAway) return {grpc::StatusCode::UNAVAILABLE, "away"};
    if (mood == Mood::kBroken) {
      for (const auto& event : request->events()) {
        if (event.request_id() == RequestId(666)) return {grpc::StatusCode::INTERNAL, "cannot take this one"};
      }
    }
    for (const auto& event : request->events()) {
      if (mood == Mood::kRefuses) {
        auto& refusal = *response->add_refusals();
        refusal.set_event_id(event.event_id());
        refusal.set_reason("NO_BILLING_ACCOUNT");
        continue;
      }
      if (mood == Mood::kPostpones && event.instance() == kOtherInstance) {
        response->add_postponed_event_ids(event.event_id());
        continue;
      }
      const auto [known, is_new] = events_.emplace(event.event_id(), event);
      if (!is_new) {
        ++repeated_;
        if (known->second.SerializeAsString() != event.SerializeAsString()) ++changed_;
      }
    }
    if (mood == Mood::kLosesAnswers) return {grpc::StatusCode::UNAVAILABLE, "the answer is lost"};
    return grpc::Status::OK;
  }

  // Called during each call.
  void SetMeanwhile(std::function<void()> meanwhile) {
    const std::lock_guard lock(mutex_);
    meanwhile_ = std::move(meanwhile);
  }
  std::vector<billing::v1::ComputedUsage> events() const {
    const std::lock_guard lock(mutex_);
    std::vector<billing::v1::ComputedUsage> out;
    for (const auto& [id, event] : events_) out.push_back(event);
    return out;
  }
  int calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  int repeated() const {
    const std::lock_guard lock(mutex_);
    return repeated_;
  }
  int changed() const {
    const std::lock_guard lock(mutex_);
    return changed_;
  }
  int largest() const {
    const std::lock_guard lock(mutex_);
    return largest_;
  }

 private:
  mutable std::mutex mutex_;
  std::function<void()> meanwhile_;
  std::map<std::string, billing::v1::ComputedUsage> events_;
  int calls_ = 0;
  int repeated_ = 0;
  int changed_ = 0;
  int largest_ = 0;
};

class UsageCollectorTest : public testing::Test {
 protected:
  UsageCollectorTest() { StartServer(); }
  ~UsageCollectorTest() override {
    collector_.reset();
    server_->Stop(milliseconds(0));
  }
  void StartServer() { server_ = *Server::Start({.listen = target_}, {&billing_}); }
  void Start() {
    auto collector = UsageCollector::Start(directory_, "nodes/local", MakeChannel(target_), Caller::Node("local"));
    ASSERT_TRUE(collector) << collector.error().message;
    collector_ = *std::move(collector);
  }
  // A worker's recorder on a new ring.
  std::unique_ptr<usage::RingRecorder> Worker(std::uint64_t id) {
    const auto ring = collector_->Open(
        id, kReplica, {{.instance = kInstance, .tenant = *Uuid::Parse(kTenant), .context_tokens = 64}});
    EXPECT_TRUE(ring);
    return std::make_unique<usage::RingRecorder>(*usage::RingMapping::FromFd(ring->get()));
  }
  static std::unique_ptr<ports::UsageSlot> Begin(usage::RingRecorder& worker, int request) {
    auto slot = worker.Open(RequestId(request), kTenant, kInstance);
    EXPECT_TRUE(slot);
    (*slot)->CountPrompt(10, 4);
    (*slot)->CountSampled();
    return *std::move(slot);
  }
  static void Do(usage::RingRecorder& worker, int request) {
    Begin(worker, request)->Finish(ports::UsageOutcome::kCompleted);
  }
  std::size_t Files(const std::string& extension = ".ring") const {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(directory_)) files += entry.path().extension() == extension ? 1 : 0;
    return files;
  }

  TempDir dir_;
  const fs::path directory_ = dir_ / "usage";
  const std::string target_ = "unix:" + (dir_ / "b.sock").string();
  BillingPeer billing_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<UsageCollector> collector_;
};

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

// A worker that was taken over writes what it likes, and its agent may be killed at any time.
class LyingRing : public UsageCollectorTest {
 protected:
  void Lie(usage::RingMapping& ring, const std::function<void(usage::RingSlot&)>& spoil) {
    usage::RingSlot& slot = ring.slot(0);
    const Uuid request = *Uuid::Parse(RequestId(1));
    const Uuid tenant = *Uuid::Parse(kTenant);
    std::ranges::copy(request.bytes(), slot.request_id);
    std::ranges::copy(tenant.bytes(), slot.tenant_uid);
    kInstance.copy(slot.instance, sizeof(slot.instance) - 1);
    slot.sequence = 1;
    slot.prompt_tokens = 1;
    slot.outcome = 1;
    spoil(slot);
    slot.state = usage::SlotState::kClosed;
    ring.head().closed_total.fetch_add(1);
  }
  usage::RingMapping OpenRing(std::uint64_t id) {
    ring_fd_ = *collector_->Open(id, kReplica,
                                 {{.instance = kInstance, .tenant = *Uuid::Parse(kTenant), .context_tokens = 64}});
    return *usage::RingMapping::FromFd(ring_fd_.get());
  }
  std::string WaitForLie(std::uint64_t id) {
    std::string what;
    Eventually([&] {
      for (const auto& lie : collector_->TakeLies()) {
        if (lie.worker_id == id) what = lie.what;
      }
      return !what.empty();
    });
    return what;
  }
  // Whenever billing is told something, what was freed before is closed again, each time as another request.
  void FillWithoutEnd() {
    const auto ring = std::make_shared<usage::RingMapping>(OpenRing(1));
    const auto fill = [ring, sequence = std::uint64_t{0}]() mutable {
      for (std::uint32_t i = 0; i < ring->slot_count(); ++i) {
        usage::RingSlot& slot = ring->slot(i);
        if (slot.state == usage::SlotState::kClosed) continue;
        std::ranges::copy(Uuid::Parse(kTenant)->bytes(), slot.tenant_uid);
        kInstance.copy(slot.instance, sizeof(slot.instance) - 1);
        slot.outcome = 1;
        slot.sequence = ++sequence;
        slot.state = usage::SlotState::kClosed;
        ring->head().closed_total.fetch_add(1);
      }
    };
    began_ = std::chrono::steady_clock::now();
    billing_.SetMeanwhile(fill);
    Do(*Worker(3), 3);  // the first call
  }
  std::chrono::steady_clock::time_point began_;
  static void NameAnotherTenant(usage::RingSlot& slot) { slot.tenant_uid[15] ^= 1; }
  OwnedFd ring_fd_;
};

TEST_F(LyingRing, NeverReachesAnotherTenantsBooks) {
  Start();
  auto ring = OpenRing(1);
  const auto honest = Worker(2);
  Lie(ring, NameAnotherTenant);
  EXPECT_NE(WaitForLie(1).find("does not answer"), std::string::npos);
  Do(*honest, 7);
  ASSERT_TRUE(Eventually([&] { return !billing_.events().empty(); }));
  for (const auto& event : billing_.events()) EXPECT_EQ(event.tenant_uid(), kTenant);
  EXPECT_EQ(billing_.events().size(), 1U);
  EXPECT_TRUE(collector_->TakeLies().empty());  // the honest one is not accused
  collector_->WorkerEnded(1);
  collector_->WorkerEnded(2);
  EXPECT_TRUE(Eventually([&] { return Files() == 0 && Files(".deed") == 0; }));
}

TEST_F(LyingRing, NorWhenAnotherAgentTakesTheRingOver) {
  Start();
  auto ring = OpenRing(1);
  server_->Stop(milliseconds(0));
  Lie(ring, NameAnotherTenant);
  std::memset(ring.head().ring_id, 7, sizeof(ring.head().ring_id));  // to pass for another ring
  collector_.reset();
  StartServer();
  Start();
  EXPECT_TRUE(Eventually([&] { return Files() == 0; }));
  EXPECT_TRUE(billing_.events().empty());
}

TEST_F(LyingRing, CountsAtMostWhatTheRequestCouldHaveCost) {
  Start();
  auto ring = OpenRing(1);
  Lie(ring, [](usage::RingSlot& slot) {
    slot.prompt_tokens = INT64_MIN;
    slot.sampled_tokens = INT64_MAX;
  });
  EXPECT_NE(WaitForLie(1), "");
  ASSERT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
  EXPECT_EQ(billing_.events()[0].prompt_tokens_computed(), 0);
  EXPECT_EQ(billing_.events()[0].sampled_tokens(), 64);
  EXPECT_EQ(billing_.events()[0].outcome(), billing::v1::COMPUTED_OUTCOME_FAILED);
}

TEST_F(LyingRing, CannotEndTheAgentByCuttingItsFile) {
  Start();
  (void)OpenRing(1);
  const auto honest = Worker(2);
  ASSERT_EQ(ftruncate(ring_fd_.get(), 0), 0);
  EXPECT_NE(WaitForLie(1).find("size"), std::string::npos);
  ASSERT_EQ(ftruncate(ring_fd_.get(), 1 << 30), 0);
  collector_->WorkerEnded(1);
  Do(*honest, 7);
  EXPECT_TRUE(Eventually([&] { return billing_.events().size() == 1; }));
  EXPECT_TRUE(Eventually([&] { return Files() == 1; }));
}

TEST_F(LyingRing, ThatIsFilledWithoutEndKeepsNobodyFromBillingAndIsAccused) {
  Start();
  FillWithoutEnd();
  ASSERT_TRUE(Eventually([&] { return billing_.calls() >= 3; }));
  const auto honest = Worker(2);
  Do(*honest, 7);
  EXPECT_TRUE(Eventually([&] {
    return std::ranges::any_of(billing_.events(), [](const auto& e) { return e.request_id() == RequestId(7); });
  }));
  if (test::kInstrumented) GTEST_SKIP() << "too slow to flood from here on";
  EXPECT_NE(WaitForLie(1).find("requests a second"), std::string::npos);
  // A second's worth in a second, and what of the last batch is beyond it.
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - began_).count() + 1;
  EXPECT_LE(std::ssize(billing_.events()), seconds * (UsageCollector::kClosedPerSecondMax + 500));
}

TEST_F(LyingRing, ThatIsFilledWithoutEndDoesNotKeepTheAgentFromEnding) {
  Start();
  FillWithoutEnd();
  ASSERT_TRUE(Eventually([&] { return billing_.calls() >= 3; }));
  const auto start = std::chrono::steady_clock::now();
  collector_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, test::kSlowness * std::chrono::seconds(8));
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
}  // namespace allod::inference::node
