// What the tests of UsageCollector share: a billing service that can be made to fail, and workers' rings.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "inference/node/usage_collector.h"
#include "inference/usage/ring_recorder.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod::inference::node {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

inline const std::string kReplica = "01900000-0000-7000-8000-00000000abcd";
inline const std::string kTenant = "01900000-0000-5000-8000-0000000000aa";
inline const std::string kInstance = "tenants/ke/projects/p/instances/i";
// Of another tenant; its rows are broken where billing postpones.
inline const std::string kOtherTenant = "01900000-0000-5000-8000-0000000000bb";
inline const std::string kOtherInstance = "tenants/tz/projects/p/instances/i";

inline std::string RequestId(int i) { return Uuid::FromName("request/" + std::to_string(i)).ToString(); }

inline bool Eventually(const std::function<bool()>& check) {
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

}  // namespace allod::inference::node
