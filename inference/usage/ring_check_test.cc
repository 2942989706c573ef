// What is believed of a slot: tables of what a worker may write and what comes of it.

#include "inference/usage/ring_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace allod::inference::usage::ring_check_test {
namespace {

const Uuid kKenya = Uuid::FromName("tenants/ke");
const Uuid kUganda = Uuid::FromName("tenants/ug");
const Uuid kTanzania = Uuid::FromName("tenants/tz");
constexpr char kInstance[] = "tenants/ke/projects/p/instances/i";
constexpr char kOther[] = "tenants/ug/projects/p/instances/i";
constexpr std::int64_t kMade = 1'000'000;
constexpr std::int64_t kNow = 9'000'000;

RingDeed Deed() {
  return {.ring_id = Uuid::FromName("ring"),
          .replica_uid = "01900000-0000-7000-8000-00000000abcd",
          .slots = 4,
          .made_us = kMade,
          .members = {{.instance = kInstance, .tenant = kKenya, .context_tokens = 100, .choices_max = 2},
                      {.instance = kOther, .tenant = kUganda, .context_tokens = 50, .choices_max = 1}}};
}

SlotContent Honest() {
  return {.sequence = 7,
          .request_id = Uuid::FromName("request"),
          .tenant = kKenya,
          .instance = kInstance,
          .outcome = static_cast<std::uint32_t>(ports::UsageOutcome::kCompleted),
          .prompt_tokens = 60,
          .cached_prompt_tokens = 20,
          .sampled_tokens = 40,
          .start_us = 2'000'000,
          .end_us = 3'000'000};
}

TEST(RingCheck, AnHonestSlotIsTakenAsItIs) {
  const Judgement judged = Judge(Honest(), Deed(), kNow);
  EXPECT_EQ(judged.lie, "");
  ASSERT_TRUE(judged.event);
  EXPECT_EQ(judged.event->prompt_tokens, 60);
  EXPECT_EQ(judged.event->cached_prompt_tokens, 20);
  EXPECT_EQ(judged.event->sampled_tokens, 40);
  EXPECT_EQ(judged.event->outcome, ports::UsageOutcome::kCompleted);
  EXPECT_EQ(judged.event->start_us, 2'000'000);
  EXPECT_EQ(judged.event->end_us, 3'000'000);
  EXPECT_EQ(judged.event->replica_uid, Deed().replica_uid);
}

// An instance that had four answers to a short context, and has one to a long one, may end a request of before.
TEST(RingCheck, AnInstanceWhoseShapeChangedIsJudgedByTheMostOfEach) {
  RingDeed deed = Deed();
  deed.members.clear();
  deed.AddMembers({{.instance = kInstance, .tenant = kKenya, .context_tokens = 512, .choices_max = 4}});
  deed.AddMembers({{.instance = kInstance, .tenant = kKenya, .context_tokens = 1024, .choices_max = 1}});
  SlotContent slot = Honest();
  slot.sampled_tokens = 2000;
  EXPECT_EQ(Judge(slot, deed, kNow).lie, "");
  slot.sampled_tokens = 1024 * 4 + 1;
  EXPECT_NE(Judge(slot, deed, kNow).lie, "");
}

TEST(RingCheck, TheEventsIdIsOfTheDeedAndTheSequence) {
  SlotContent next = Honest();
  next.sequence = 8;
  EXPECT_EQ(Judge(Honest(), Deed(), kNow).event->event_id, Judge(Honest(), Deed(), kNow + 5).event->event_id);
  EXPECT_NE(Judge(Honest(), Deed(), kNow).event->event_id, Judge(next, Deed(), kNow).event->event_id);
}

TEST(RingCheck, AnEventOfWhoIsNoMemberIsNone) {
  const auto judge = [](const Uuid& tenant, const char* instance) {
    SlotContent slot = Honest();
    slot.tenant = tenant;
    slot.instance = instance;
    return Judge(slot, Deed(), kNow);
  };
  for (const auto& [tenant, instance] : std::vector<std::pair<Uuid, const char*>>{
           {kTanzania, kInstance}, {kUganda, kInstance}, {kKenya, kOther}, {kTanzania, "tenants/tz/x"}, {Uuid(), ""}}) {
    const Judgement judged = judge(tenant, instance);
    EXPECT_FALSE(judged.event) << instance;
    EXPECT_NE(judged.lie, "") << instance;
  }
  EXPECT_TRUE(judge(kUganda, kOther).event);
}

TEST(RingCheck, NumbersAreHeldAgainstWhatTheRequestCouldHaveCost) {
  struct Case {
    const char* name;
    std::int64_t prompt, cached, sampled;
    std::uint32_t outcome;
    bool lie;
    std::int64_t prompt_believed, cached_believed, sampled_believed;
  };
  // A context of 100, two choices.
  for (const Case& c : std::initializer_list<Case>{{"a full context", 100, 0, 200, 1, false, 100, 0, 200},
                                                   {"all from the cache", 0, 100, 1, 1, false, 0, 100, 1},
                                                   {"cancelled before anything", 0, 0, 0, 2, false, 0, 0, 0},
                                                   {"many inputs embedded", 25'600, 0, 0, 1, false, 25'600, 0, 0},
                                                   {"lost", 10, 0, 1, 4, false, 10, 0, 1},
                                                   {"more prompt than the context", 101, 0, 1, 1, true, 100, 0, 1},
                                                   {"prompt and cache together", 60, 41, 1, 1, true, 60, 40, 1},
                                                   {"more than two choices can have", 1, 0, 201, 1, true, 1, 0, 200},
                                                   {"too much embedded", 25'601, 0, 0, 1, true, 25'600, 0, 0},
                                                   {"negative prompt", -1, 0, 1, 1, true, 0, 0, 1},
                                                   {"negative cache", 1, INT64_MIN, 1, 1, true, 1, 0, 1},
                                                   {"negative tokens", 1, 0, -5, 1, true, 1, 0, 0},
                                                   {"huge", INT64_MAX, INT64_MAX, INT64_MAX, 1, true, 100, 0, 200},
                                                   {"no outcome", 1, 0, 1, 0, true, 1, 0, 1},
                                                   {"an outcome that is none", 1, 0, 1, 4711, true, 1, 0, 1}}) {
    SlotContent slot = Honest();
    slot.prompt_tokens = c.prompt;
    slot.cached_prompt_tokens = c.cached;
    slot.sampled_tokens = c.sampled;
    slot.outcome = c.outcome;
    const Judgement judged = Judge(slot, Deed(), kNow);
    EXPECT_EQ(!judged.lie.empty(), c.lie) << c.name << ": " << judged.lie;
    ASSERT_TRUE(judged.event) << c.name;
    EXPECT_EQ(judged.event->prompt_tokens, c.prompt_believed) << c.name;
    EXPECT_EQ(judged.event->cached_prompt_tokens, c.cached_believed) << c.name;
    EXPECT_EQ(judged.event->sampled_tokens, c.sampled_believed) << c.name;
    EXPECT_EQ(judged.event->outcome == ports::UsageOutcome::kFailed, c.lie) << c.name;
  }
}

TEST(RingCheck, TimesLieBetweenTheRingsMakingAndNow) {
  SlotContent slot = Honest();
  slot.start_us = INT64_MIN;
  slot.end_us = INT64_MAX;
  Judgement judged = Judge(slot, Deed(), kNow);
  EXPECT_EQ(judged.event->start_us, kMade);
  EXPECT_EQ(judged.event->end_us, kNow);
  slot.start_us = 5'000'000;
  slot.end_us = 4'000'000;
  judged = Judge(slot, Deed(), kNow);
  EXPECT_EQ(judged.event->end_us, 5'000'000);
  EXPECT_EQ(judged.lie, "");  // the clock may have been set
}

TEST(RingCheck, AnInstanceThatChangedItsShapeMayHaveHadEither) {
  RingDeed deed = Deed();
  deed.AddMembers({{.instance = kInstance, .tenant = kKenya, .context_tokens = 500, .choices_max = 2}});
  SlotContent slot = Honest();
  slot.prompt_tokens = 400;
  EXPECT_EQ(Judge(slot, deed, kNow).lie, "");
  slot.prompt_tokens = 501;
  EXPECT_NE(Judge(slot, deed, kNow).lie, "");
}

TEST(RingDeed, ComesBackAsItWasWritten) {
  const TempDir dir;
  const auto path = dir / "a.deed";
  ASSERT_TRUE(WriteDeed(path, Deed()));
  const auto read = ReadDeed(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->ring_id, Deed().ring_id);
  EXPECT_EQ(read->replica_uid, Deed().replica_uid);
  EXPECT_EQ(read->slots, Deed().slots);
  EXPECT_EQ(read->made_us, Deed().made_us);
  EXPECT_EQ(read->members, Deed().members);
  EXPECT_FALSE(read->any_member);
}

TEST(RingDeed, RefusesWhatIsNone) {
  const TempDir dir;
  EXPECT_EQ(ReadDeed(dir / "none.deed").error().reason, "USAGE_RING_DAMAGED");
  for (const char* text : {"", "{}", "[1]", R"({"version":2})", R"({"version":1,"ring_id":7})"}) {
    const auto path = dir.Write("x.deed", text);
    EXPECT_EQ(ReadDeed(path).error().reason, "USAGE_RING_DAMAGED") << text;
  }
}

}  // namespace
}  // namespace allod::inference::usage::ring_check_test
