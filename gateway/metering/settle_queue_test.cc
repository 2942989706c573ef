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
    EXPECT_EQ(Judge(code), SettleVerdict::kRefused) << CodeName(code);
    EXPECT_EQ(JudgeOld(code, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kRefused) << CodeName(code);
  }
  EXPECT_EQ(Judge(Code::kOk), SettleVerdict::kSettled);
  EXPECT_EQ(JudgeOld(Code::kOk, Of(true, 5), Time::max(), kReserveTimeMax), SettleVerdict::kSettled);
}

TEST(Judge, TellsBillingThatIsAwayFromATenantThatIsBusy) {
  for (const Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kCancelled}) {
    EXPECT_EQ(Judge(code), SettleVerdict::kAway) << CodeName(code);
  }
  for (const Code code : {Code::kResourceExhausted, Code::kAborted}) {
    EXPECT_EQ(Judge(code), SettleVerdict::kBusy)
        << CodeName(code) << ": one tenant's lock must not slow the others' settlements";
  }
}

TEST(Judge, OfBeforeLeasesForgetsOnlyWhatWasNeverReservedAndNeverRan) {
  const Time admitted = Of(false, 0).entry.admit_time;
  const auto judge = [&](bool reserved, std::int64_t tokens, milliseconds after) {
    return JudgeOld(Code::kNotFound, Of(reserved, tokens), admitted + after, kReserveTimeMax);
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

using Batch = SettleQueue::Batch;
using Verdicts = std::vector<SettleVerdict>;
using Fates = std::vector<Fate>;

SteadyTime At(int ms) { return kStart + milliseconds(ms); }
const SettleQueue::Lane kKe{"tenants/ke", false};
const SettleQueue::Lane kTz{"tenants/tz", false};
const SettleQueue::Lane kOld{"tenants/ke", true};
Step Settle(const SettleQueue::Lane& lane, std::vector<int> slots) { return {.batch = Batch{lane, std::move(slots)}}; }
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
  for (const SettleQueue::Lane& lane : {kKe, kOld}) {
    for (const Case& c : {
             Case{"billing knows of it", SettleVerdict::kSettled, Fate::kDone, kWaitForNews, 0, 0},
             Case{"there is nothing to know of", SettleVerdict::kVoid, Fate::kDone, kWaitForNews, 0, 0},
             Case{"a reservation may be on its way", SettleVerdict::kInDoubt, Fate::kKept, WaitUntil(510), 1, 0},
             Case{"the tenant's books are busy", SettleVerdict::kBusy, Fate::kKept, WaitUntil(510), 1, 0},
             Case{"it is refused", SettleVerdict::kRefused, Fate::kRefused, WaitUntil(1010), 1, 1},
             Case{"billing is away", SettleVerdict::kAway, Fate::kKept, WaitUntil(110), 1, 0},
         }) {
      SettleQueue queue;
      queue.Add(7, lane);
      EXPECT_EQ(queue.NextStep(At(0)), Settle(lane, {7})) << c.says;
      EXPECT_EQ(queue.pending(), 1U) << c.says << ": also while it is asked";
      EXPECT_EQ(queue.OnAnswer({lane, {7}}, c.verdict, At(10)), Fates{c.fate}) << c.says;
      EXPECT_EQ(queue.NextStep(At(10)), c.next) << c.says;
      EXPECT_EQ(queue.pending(), c.pending) << c.says;
      EXPECT_EQ(queue.refused(), c.refused) << c.says;
      if (!c.next.until) continue;
      EXPECT_EQ(queue.NextStep(*c.next.until), Settle(lane, {7})) << c.says;
    }
  }
}

TEST(SettleQueue, WhatOneTenantHasDueGoesTogetherAndOneBatchAtATime) {
  SettleQueue queue;
  queue.Add(1, kKe);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1})) << "at once";
  for (const int slot : {2, 3}) queue.Add(slot, kKe);
  queue.Add(4, kTz);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kTz, {4})) << "others need not wait for it";
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews);
  EXPECT_EQ(queue.OnAnswer({kKe, {1}}, Verdicts{SettleVerdict::kSettled}, At(11)), Fates{Fate::kDone});
  EXPECT_EQ(queue.NextStep(At(11)), Settle(kKe, {2, 3}));
  EXPECT_EQ(queue.pending(), 3U);
}

TEST(SettleQueue, ABusyTenantsBatchesBegin10MillisecondsApart) {
  SettleQueue queue;
  EXPECT_TRUE(queue.Add(1, kKe)) << "there is something to begin";
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1}));
  EXPECT_FALSE(queue.Add(2, kKe));
  queue.OnAnswer({kKe, {1}}, SettleVerdict::kSettled, At(1));
  EXPECT_FALSE(queue.Add(3, kKe)) << "nobody is woken for it";
  EXPECT_EQ(queue.NextStep(At(1)), WaitUntil(10));
  EXPECT_FALSE(queue.idle()) << "it is waited for at the end";
  EXPECT_TRUE(queue.Add(4, kTz)) << "others do not wait for it";
  EXPECT_EQ(queue.NextStep(At(1)), Settle(kTz, {4}));
  EXPECT_EQ(queue.NextStep(At(10)), Settle(kKe, {2, 3}));
  queue.OnAnswer({kTz, {4}}, SettleVerdict::kSettled, At(12));
  for (int slot = 5; slot < 1005; ++slot) queue.Add(slot, kKe);
  queue.OnAnswer({kKe, {2, 3}}, SettleVerdict::kSettled, At(12));
  EXPECT_EQ(queue.NextStep(At(12)).batch->slots.size(), 1000U) << "a whole batch is there";
}

TEST(SettleQueue, WhoIsQuietIsSettledAtOnceAgain) {
  SettleQueue queue;
  queue.Add(1, kKe);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1}));
  queue.OnAnswer({kKe, {1}}, SettleVerdict::kSettled, At(1));
  EXPECT_EQ(queue.NextStep(At(1)), WaitUntil(10));
  EXPECT_EQ(queue.NextStep(At(10)), kWaitForNews);
  EXPECT_TRUE(queue.idle());
  EXPECT_TRUE(queue.Add(2, kKe));
  EXPECT_EQ(queue.NextStep(At(11)), Settle(kKe, {2}));
}

TEST(SettleQueue, ABatchHasAtMostSoMany) {
  SettleQueue queue;
  for (int slot = 0; slot < 1200; ++slot) queue.Add(slot, kKe);
  EXPECT_EQ(queue.NextStep(At(0)).batch->slots.size(), 1000U);
}

TEST(SettleQueue, ThoseOfBeforeLeasesGoOneByOne) {
  SettleQueue queue;
  for (const int slot : {1, 2}) queue.Add(slot, kOld);
  queue.Add(3, kKe);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kOld, {1}));
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {3}));
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews);
  queue.OnAnswer({kOld, {1}}, SettleVerdict::kSettled, At(1));
  EXPECT_EQ(queue.NextStep(At(1)), Settle(kOld, {2}));
}

TEST(SettleQueue, EachOfABatchHasAnAnswerOfItsOwn) {
  SettleQueue queue;
  for (const int slot : {1, 2, 3}) queue.Add(slot, kKe);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1, 2, 3}));
  EXPECT_EQ(queue.OnAnswer({kKe, {1, 2, 3}},
                           Verdicts{SettleVerdict::kSettled, SettleVerdict::kRefused, SettleVerdict::kSettled}, At(10)),
            (Fates{Fate::kDone, Fate::kRefused, Fate::kDone}));
  EXPECT_EQ(queue.pending(), 1U);
  queue.Add(4, kKe);
  EXPECT_EQ(queue.NextStep(At(11)), Settle(kKe, {4})) << "the refused one rests";
  queue.OnAnswer({kKe, {4}}, Verdicts{SettleVerdict::kSettled}, At(12));
  EXPECT_EQ(queue.NextStep(At(1010)), Settle(kKe, {2}));
}

TEST(SettleQueue, ABatchThatIsRefusedAsAWholeIsTriedInHalves) {
  SettleQueue queue;
  for (const int slot : {1, 2, 3, 4}) queue.Add(slot, kKe);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1, 2, 3, 4}));
  EXPECT_EQ(queue.OnAnswer({kKe, {1, 2, 3, 4}}, SettleVerdict::kRefused, At(0)), Fates(4, Fate::kKept));
  EXPECT_EQ(queue.refused(), 0U);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1, 2}));
  queue.OnAnswer({kKe, {1, 2}}, SettleVerdict::kRefused, At(0));
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1}));
  EXPECT_EQ(queue.OnAnswer({kKe, {1}}, SettleVerdict::kRefused, At(0)), Fates{Fate::kRefused}) << "this one it is";
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {2}));
  queue.OnAnswer({kKe, {2}}, Verdicts{SettleVerdict::kSettled}, At(0));
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {3, 4})) << "and more again";
}

TEST(SettleQueue, OneThatIsRefusedRestsLongerEachTimeAndIsReportedOnce) {
  SettleQueue queue;
  queue.Add(1, kKe);
  int now = 0;
  for (const int rest : {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000}) {
    ASSERT_EQ(queue.NextStep(At(now)), Settle(kKe, {1}));
    const bool is_first = now == 0;
    now += 10;
    EXPECT_EQ(queue.OnAnswer({kKe, {1}}, Verdicts{SettleVerdict::kRefused}, At(now)),
              Fates{is_first ? Fate::kRefused : Fate::kKept});
    EXPECT_EQ(queue.NextStep(At(now + rest - 1)), WaitUntil(now + rest));
    now += rest;
  }
  EXPECT_EQ(queue.NextStep(At(now)), Settle(kKe, {1}));
  EXPECT_EQ(queue.OnAnswer({kKe, {1}}, Verdicts{SettleVerdict::kSettled}, At(now)), Fates{Fate::kDone});
  EXPECT_EQ(queue.refused(), 0U);
}

TEST(SettleQueue, OneThatIsRefusedOrBusyHoldsUpNoOther) {
  for (const SettleVerdict verdict : {SettleVerdict::kRefused, SettleVerdict::kBusy, SettleVerdict::kInDoubt}) {
    SettleQueue queue;
    queue.Add(1, kKe);
    queue.Add(2, kTz);
    EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1}));
    queue.OnAnswer({kKe, {1}}, verdict, At(10));
    EXPECT_EQ(queue.NextStep(At(10)), Settle(kTz, {2}));
    queue.OnAnswer({kTz, {2}}, SettleVerdict::kSettled, At(20));
    EXPECT_TRUE(queue.idle()) << "what rests is not waited for at the end";
  }
}

TEST(SettleQueue, ATenantWhoseBooksAreBusyRestsAsAWhole) {
  SettleQueue queue;
  queue.Add(1, kKe);
  EXPECT_EQ(queue.NextStep(At(0)), Settle(kKe, {1}));
  queue.Add(2, kKe);
  queue.OnAnswer({kKe, {1}}, SettleVerdict::kBusy, At(0));
  queue.Add(3, kKe);
  EXPECT_EQ(queue.NextStep(At(1)), WaitUntil(500));
  EXPECT_EQ(queue.NextStep(At(500)), Settle(kKe, {1, 2, 3}));
  queue.OnAnswer({kKe, {1, 2, 3}}, Verdicts(3, SettleVerdict::kSettled), At(501));
  EXPECT_EQ(queue.pending(), 0U);
}

TEST(SettleQueue, WhileBillingIsAwayOneAttemptAtATimeProbesIt) {
  const SettleQueue::Lane lanes[] = {kKe, kTz, {"tenants/ug", false}};
  SettleQueue queue;
  for (int i = 0; i < 3; ++i) queue.Add(i, lanes[i]);
  for (const int i : {0, 1}) EXPECT_EQ(queue.NextStep(At(0)), Settle(lanes[i], {i}));
  EXPECT_EQ(queue.OnAnswer({lanes[0], {0}}, SettleVerdict::kAway, At(10)), Fates{Fate::kKept});
  EXPECT_EQ(queue.NextStep(At(10)), kWaitForNews) << "the other attempt is the probe";
  EXPECT_EQ(queue.OnAnswer({lanes[1], {1}}, SettleVerdict::kAway, At(10)), Fates{Fate::kKept});
  int now = 10;
  int i = 2;
  for (const int pause : {200, 400, 800, 1600, 2000, 2000}) {
    EXPECT_EQ(queue.NextStep(At(now + pause - 1)), WaitUntil(now + pause));
    now += pause;
    EXPECT_EQ(queue.NextStep(At(now)), Settle(lanes[i], {i})) << "in turn";
    EXPECT_EQ(queue.NextStep(At(now)), kWaitForNews);
    now += 10;
    EXPECT_EQ(queue.OnAnswer({lanes[i], {i}}, SettleVerdict::kAway, At(now)), Fates{Fate::kKept});
    i = (i + 1) % 3;
  }
  now += 2000;
  EXPECT_EQ(queue.NextStep(At(now)), Settle(lanes[i], {i}));
  EXPECT_EQ(queue.OnAnswer({lanes[i], {i}}, SettleVerdict::kSettled, At(now)), Fates{Fate::kDone});
  EXPECT_TRUE(queue.NextStep(At(now)).batch) << "it is back: the others go at once";
  EXPECT_TRUE(queue.NextStep(At(now)).batch);
  EXPECT_EQ(queue.pending(), 2U);
}

TEST(SettleQueue, BoundsHowManyAreUnderWay) {
  SettleQueue queue;
  const auto lane = [](int i) { return SettleQueue::Lane{"tenants/t" + std::to_string(i), false}; };
  for (int i = 0; i < 20; ++i) queue.Add(i, lane(i));
  for (int i = 0; i < 16; ++i) EXPECT_EQ(queue.NextStep(At(0)), Settle(lane(i), {i}));
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews);
  EXPECT_EQ(queue.pending(), 20U);
  EXPECT_EQ(queue.OnAnswer({lane(3), {3}}, SettleVerdict::kSettled, At(0)), Fates{Fate::kDone});
  EXPECT_EQ(queue.NextStep(At(0)), Settle(lane(16), {16}));
  EXPECT_EQ(queue.NextStep(At(0)), kWaitForNews);
}

}  // namespace
}  // namespace allod::gateway::metering::settle_queue_test
