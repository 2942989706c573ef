#include "gateway/metering/settle_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace allod::gateway::metering::settle_queue_test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReserveTimeMax(7000);

Settlement Of(bool reserved, std::int64_t completion_tokens) {
  Settlement out;
  out.entry.admit_time = Time(std::chrono::seconds(1'900'000'000));
  out.reserved = reserved;
  out.completion_tokens = completion_tokens;
  return out;
}

TEST(Judge, DropsNothingThatBillingRefuses) {
  for (const Code code : {Code::kInvalidArgument, Code::kAlreadyExists, Code::kFailedPrecondition, Code::kOutOfRange,
                          Code::kPermissionDenied, Code::kUnauthenticated, Code::kUnimplemented, Code::kInternal,
                          Code::kUnknown, Code::kDataLoss, Code::kNotFound}) {
    EXPECT_EQ(Judge(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kRefused) << CodeName(code);
  }
  EXPECT_EQ(Judge(Code::kOk, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kSettled);
}

TEST(Judge, TellsBillingThatIsAwayFromATenantThatIsBusy) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kCancelled}) {
    EXPECT_EQ(Judge(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kAway) << CodeName(code);
  }
  for (const Code code : {Code::kResourceExhausted, Code::kAborted}) {
    EXPECT_EQ(Judge(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kBusy)
        << CodeName(code) << ": one tenant's lock must not slow the others' settlements";
  }
}

TEST(Judge, ForgetsOnlyWhatWasNeverReservedAndNeverRan) {
  const Time admitted = Of(false, 0).entry.admit_time;
  const auto judge = [&](bool reserved, std::int64_t tokens, milliseconds after) {
    return Judge(Code::kNotFound, Of(reserved, tokens), admitted + after, kReserveTimeMax);
  };
  EXPECT_EQ(judge(false, 0, kReserveTimeMax - milliseconds(1)), SettleVerdict::kInDoubt);
  EXPECT_EQ(judge(false, 0, kReserveTimeMax), SettleVerdict::kVoid);
  EXPECT_EQ(judge(true, 0, kReserveTimeMax), SettleVerdict::kRefused) << "billing had it once";
  EXPECT_EQ(judge(false, 1, kReserveTimeMax), SettleVerdict::kRefused) << "tokens were delivered";
}

using Fate = SettleQueue::Fate;
using Step = SettleQueue::Step;
using SteadyTime = SettleQueue::SteadyTime;

constexpr SteadyTime kStart{std::chrono::seconds(1000)};

SteadyTime At(int ms) { return kStart + milliseconds(ms); }
Step Settle(int slot) { return {.slot = slot}; }
Step WaitUntil(int ms) { return {.until = At(ms)}; }
const Step kWaitForNews;

TEST(SettleQueue, WhatAnAnswerMeansForItsSlot) {
  struct Case {
    const char* says;
    SettleVerdict verdict;
    Fate fate;
    Step next;
    std::size_t pending, refused;
  };
  for (const Case& c : {
           Case{"billing knows of it", SettleVerdict::kSettled, Fate::kDone, kWaitForNews, 0, 0},
           Case{"there is nothing to know of", SettleVerdict::kVoid, Fate::kDone, kWaitForNews, 0, 0},
           Case{"a reservation may be on its way", SettleVerdict::kInDoubt, Fate::kKept, WaitUntil(500), 1, 0},
           Case{"the tenant's books are busy", SettleVerdict::kBusy, Fate::kKept, WaitUntil(500), 1, 0},
           Case{"it is refused", SettleVerdict::kRefused, Fate::kRefused, WaitUntil(1000), 1, 1},
           Case{"billing is away", SettleVerdict::kAway, Fate::kKept, WaitUntil(100), 1, 0},
       }) {
    SettleQueue queue;
    queue.Add(7);
    EXPECT_EQ(queue.NextStep(At(0)), Settle(7)) << c.says;
    EXPECT_EQ(queue.pending(), 1U) << c.says << ": also while it is asked";
    EXPECT_EQ(queue.OnAnswer(7, c.verdict, At(0)), c.fate) << c.says;
    EXPECT_EQ(queue.NextStep(At(0)), c.next) << c.says;
    EXPECT_EQ(queue.pending(), c.pending) << c.says;
    EXPECT_EQ(queue.refused(), c.refused) << c.says;
    if (!c.next.until) continue;
    EXPECT_EQ(queue.NextStep(*c.next.until), Settle(7)) << c.says;
  }
}

TEST(SettleQueue, OneThatIsRefusedRestsLongerEachTimeAndIsReportedOnce) {
  SettleQueue queue;
  queue.Add(1);
  int now = 0;
  for (const int rest : {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000}) {
    ASSERT_EQ(queue.NextStep(At(now)), Settle(1));
    EXPECT_EQ(queue.OnAnswer(1, SettleVerdict::kRefused, At(now)), now == 0 ? Fate::kRefused : Fate::kKept);
    EXPECT_EQ(queue.NextStep(At(now + rest - 1)), WaitUntil(now + rest));
    now += rest;
  }
  EXPECT_EQ(queue.NextStep(At(now)), Settle(1));
  EXPECT_EQ(queue.OnAnswer(1, SettleVerdict::kSettled, At(now)), Fate::kDone);
  EXPECT_EQ(queue.refused(), 0U);
}

TEST(SettleQueue, OneThatIsRefusedOrBusyHoldsUpNoOther) {
  for (const SettleVerdict verdict : {SettleVerdict::kRefused, SettleVerdict::kBusy, SettleVerdict::kInDoubt}) {
    SettleQueue queue;
    queue.Add(1);
    queue.Add(2);
    EXPECT_EQ(queue.NextStep(At(0)), Settle(1));
    queue.OnAnswer(1, verdict, At(0));
    EXPECT_EQ(queue.NextStep(At(0)), Settle(2));
    queue.OnAnswer(2, SettleVerdict::kSettled, At(0));
    EXPECT_TRUE(queue.idle()) << "what rests is not waited for at the end";
  }
}

TEST(SettleQueue, WhileBillingIsAwayOneAttemptAtATimeProbesIt) {
  SettleQueue queue;
  for (const int slot : {1, 2, 3}) queue.Add(slot);
  for (const int slot : {1, 2}) EXPECT_EQ(queue.NextStep(At(0)), Settle(slot));
  EXPECT_EQ(queue.OnAnswer(1, SettleVerdict::kAway, At(0)), Fate::kKept);
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews) << "the other attempt is the probe";
  EXPECT_EQ(queue.OnAnswer(2, SettleVerdict::kAway, At(10)), Fate::kKept);
  int now = 10;
  int slot = 3;
  for (const int pause : {200, 400, 800, 1600, 2000, 2000}) {
    EXPECT_EQ(queue.NextStep(At(now + pause - 1)), WaitUntil(now + pause));
    now += pause;
    EXPECT_EQ(queue.NextStep(At(now)), Settle(slot)) << "in turn";
    EXPECT_EQ(queue.NextStep(At(now)), kWaitForNews);
    EXPECT_EQ(queue.OnAnswer(slot, SettleVerdict::kAway, At(now)), Fate::kKept);
    slot = slot % 3 + 1;
  }
  now += 2000;
  EXPECT_EQ(queue.NextStep(At(now)), Settle(slot));
  EXPECT_EQ(queue.OnAnswer(slot, SettleVerdict::kSettled, At(now)), Fate::kDone);
  EXPECT_TRUE(queue.NextStep(At(now)).slot) << "it is back: the others go at once";
  EXPECT_TRUE(queue.NextStep(At(now)).slot);
  EXPECT_EQ(queue.pending(), 2U);
}

TEST(SettleQueue, BoundsHowManyAreUnderWay) {
  SettleQueue queue;
  for (int slot = 0; slot < 20; ++slot) queue.Add(slot);
  for (int slot = 0; slot < 16; ++slot) EXPECT_EQ(queue.NextStep(At(0)), Settle(slot));
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews);
  EXPECT_EQ(queue.pending(), 20U);
  EXPECT_EQ(queue.OnAnswer(3, SettleVerdict::kSettled, At(0)), Fate::kDone);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(16));
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews);
}

}  // namespace
}  // namespace allod::gateway::metering::settle_queue_test
