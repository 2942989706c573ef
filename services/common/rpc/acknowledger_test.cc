#include "services/common/rpc/acknowledger.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace allod::acknowledger_test {
namespace {

using namespace std::chrono_literals;

// Takes what is told; refuses the first few calls if it is made to.
class Service {
 public:
  Status Tell(const std::string& watcher_id, std::int64_t version) {
    std::unique_lock lock(mutex_);
    ++calls_;
    while (hangs_) changed_.wait(lock);
    if (throws_ > 0) {
      --throws_;
      throw std::runtime_error("out of luck");
    }
    if (refusals_ > 0) {
      --refusals_;
      return std::unexpected(Error{Code::kUnavailable, "RPC_FAILED", "away"});
    }
    told_.emplace_back(watcher_id, version);
    changed_.notify_all();
    return {};
  }
  bool WaitFor(const std::string& watcher_id, std::int64_t version) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s,
                             [&] { return !told_.empty() && told_.back() == std::pair(watcher_id, version); });
  }
  std::size_t told() {
    const std::lock_guard lock(mutex_);
    return told_.size();
  }
  void Refuse(int count) {
    const std::lock_guard lock(mutex_);
    refusals_ = count;
  }
  void Throw(int count) {
    const std::lock_guard lock(mutex_);
    throws_ = count;
  }
  void SetHangs(bool hangs) {
    const std::lock_guard lock(mutex_);
    hangs_ = hangs;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  int refusals_ = 0;
  int throws_ = 0;
  bool hangs_ = false;
  std::vector<std::pair<std::string, std::int64_t>> told_;
};

class AcknowledgerTest : public testing::Test {
 protected:
  Service service_;
  Acknowledger acknowledger_{
      [this](const std::string& id, std::int64_t version) { return service_.Tell(id, version); }};
};

TEST_F(AcknowledgerTest, TellsTheNewestVersionOfTheStreamThatRuns) {
  const std::string first = acknowledger_.BeginStream();
  acknowledger_.Applied(3);
  EXPECT_TRUE(service_.WaitFor(first, 3));
  acknowledger_.EndStream();
  const std::string second = acknowledger_.BeginStream();
  EXPECT_NE(first, second);
  acknowledger_.Applied(1);
  EXPECT_TRUE(service_.WaitFor(second, 1)) << "a new stream counts anew";
}

TEST_F(AcknowledgerTest, TellsAgainUntilItIsHeard) {
  service_.Refuse(2);
  const std::string id = acknowledger_.BeginStream();
  acknowledger_.Applied(5);
  EXPECT_TRUE(service_.WaitFor(id, 5));
}

TEST_F(AcknowledgerTest, GoesOnAfterACallThatThrows) {
  service_.Throw(2);
  const std::string id = acknowledger_.BeginStream();
  acknowledger_.Applied(5);
  EXPECT_TRUE(service_.WaitFor(id, 5));
}

TEST_F(AcknowledgerTest, WhatIsAppliedMeanwhileIsToldInOneCall) {
  service_.SetHangs(true);
  const std::string id = acknowledger_.BeginStream();
  for (int version = 1; version <= 100; ++version) acknowledger_.Applied(version);
  service_.SetHangs(false);
  EXPECT_TRUE(service_.WaitFor(id, 100));
  EXPECT_LE(service_.told(), 2U);
}

}  // namespace
}  // namespace allod::acknowledger_test
