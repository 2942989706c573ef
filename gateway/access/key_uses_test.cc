#include "gateway/access/key_uses.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "services/common/rpc/timestamp.h"

namespace allod::gateway::access::key_uses_test {
namespace {

using namespace std::chrono_literals;

TEST(KeyUses, KeepTheNewestTimeOfEachKey) {
  KeyUses uses;
  uses.Note("a", Time(2min));
  uses.Note("b", Time(1min));
  uses.Note("a", Time(1min));
  EXPECT_EQ(uses.Take(), (KeyUses::ByName{{"a", Time(2min)}, {"b", Time(1min)}}));
  EXPECT_EQ(uses.size(), 0U);
  uses.Note("a", Time(3min));
  uses.PutBack({{"a", Time(2min)}, {"b", Time(1min)}});
  EXPECT_EQ(uses.Take(), (KeyUses::ByName{{"a", Time(3min)}, {"b", Time(1min)}}));
}

TEST(KeyUses, AreBounded) {
  KeyUses uses;
  for (std::size_t i = 0; i < KeyUses::kKeysMax + 10; ++i) uses.Note(std::to_string(i), Time(1min));
  EXPECT_EQ(uses.size(), KeyUses::kKeysMax);
  uses.Note("0", Time(2min));
  EXPECT_EQ(uses.Take().at("0"), Time(2min)) << "those that are known still move";
}

// What a reporter told, which may fail.
struct Told {
  std::mutex mutex;
  std::map<std::string, Time> times;
  int calls = 0;
  int largest = 0;
  int failures = 0;
  std::condition_variable changed;

  Status Take(const tenancy::v1::ReportApiKeyUseRequest& request) {
    const std::lock_guard lock(mutex);
    ++calls;
    changed.notify_all();
    if (failures > 0) {
      --failures;
      return Fail(Code::kUnavailable, "RPC_FAILED", "away");
    }
    largest = std::max(largest, request.uses_size());
    for (const auto& use : request.uses()) times[use.name()] = TimeFrom("t", use.use_time()).value();
    return {};
  }
  bool Await(const std::function<bool()>& done) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 30s, done);
  }
};

TEST(KeyUseReporter, TellsWhatWasNotedInCallsOfAThousand) {
  KeyUses uses;
  Told told;
  for (int i = 0; i < 2500; ++i) uses.Note(std::to_string(i), Time(1min));
  KeyUseReporter reporter(uses, 1ms, [&](const auto& request) { return told.Take(request); });
  EXPECT_TRUE(told.Await([&] { return told.times.size() == 2500; }));
  reporter.Stop();
  EXPECT_EQ(told.calls, 3) << "and nothing while nothing was used";
  EXPECT_EQ(told.largest, 1000);
}

TEST(KeyUseReporter, AsksForFewTenantsAtOnce) {
  KeyUses uses;
  Told told;
  for (int i = 0; i < 120; ++i) {
    for (const char* key : {"a", "b"}) {
      uses.Note("tenants/t" + std::to_string(i) + "/projects/p/apiKeys/" + key, Time(1min));
    }
  }
  KeyUseReporter reporter(uses, 1ms, [&](const auto& request) { return told.Take(request); });
  EXPECT_TRUE(told.Await([&] { return told.times.size() == 240; }));
  reporter.Stop();
  EXPECT_EQ(told.calls, 3);
  EXPECT_EQ(told.largest, 100);
}

TEST(KeyUseReporter, WhatFailsTakesNothingWithItThatWasTold) {
  KeyUses uses;
  Told told;
  for (int i = 0; i < 2500; ++i) uses.Note(std::to_string(i), Time(1min));
  int calls = 0;
  KeyUseReporter reporter(uses, 1h, [&](const auto& request) -> Status {
    if (++calls == 2) return Fail(Code::kUnavailable, "RPC_FAILED", "away");
    return told.Take(request);
  });
  reporter.Stop();
  EXPECT_EQ(told.times.size(), 1000U);
  EXPECT_EQ(uses.size(), 1500U);
}

TEST(KeyUseReporter, TellsAgainWhatItCouldNotTellAndTheRestWhenItStops) {
  KeyUses uses;
  Told told;
  told.failures = 2;
  uses.Note("a", Time(1min));
  KeyUseReporter reporter(uses, 1ms, [&](const auto& request) { return told.Take(request); });
  EXPECT_TRUE(told.Await([&] { return told.times.contains("a"); }));
  EXPECT_EQ(told.calls, 3);
  reporter.Stop();
  KeyUseReporter slow(uses, 1h, [&](const auto& request) { return told.Take(request); });
  uses.Note("b", Time(1min));
  slow.Stop();
  EXPECT_TRUE(told.times.contains("b"));
}

}  // namespace
}  // namespace allod::gateway::access::key_uses_test
