// When a model has a spare worker, and when it has none.

#include "inference/node/pool/spare_set.h"

#include <gtest/gtest.h>

namespace allod::inference::node::pool::spare_set_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = SpareAction::Kind;

constexpr std::int64_t kMuch = std::int64_t{1} << 40;
constexpr NodeLoad kIdle{.is_idle = true, .memory_available = kMuch};
constexpr NodeLoad kBusy{.is_idle = false, .memory_available = kMuch};
const zygote::WorkerShape kSmall{.context_tokens = 256, .max_sequences = 1};
const zygote::WorkerShape kLarge{.context_tokens = 4096, .max_sequences = 4};

class SpareSetTest : public testing::Test {
 protected:
  // A worker was started without one.
  void Fork(const zygote::WorkerShape& shape = kSmall) { EXPECT_FALSE(set.Take("model", shape, now)); }
  void MakeOne(const zygote::WorkerShape& shape = kSmall) {
    EXPECT_FALSE(set.NextAction(now, kIdle));  // its first request first
    EXPECT_EQ(set.NextDeadline(now), now + milliseconds(300));
    now += milliseconds(300);
    const auto action = set.NextAction(now, kIdle);
    ASSERT_TRUE(action);
    EXPECT_EQ(action->kind, Kind::kMake);
    EXPECT_EQ(action->model_key, "model");
    EXPECT_EQ(action->shape, shape);
    EXPECT_FALSE(set.NextAction(now, kIdle));
  }
  void ExpectDropped(const NodeLoad& load = kBusy) {
    const auto action = set.NextAction(now, load);
    ASSERT_TRUE(action);
    EXPECT_EQ(action->kind, Kind::kDrop);
    EXPECT_FALSE(set.NextAction(now, load));
  }

  SpareSet set{SparePolicy{}};
  SteadyTime now{seconds(1000)};
};

TEST_F(SpareSetTest, NobodyForkedAnythingSoThereIsNone) { EXPECT_FALSE(set.NextAction(now, kIdle)); }

TEST_F(SpareSetTest, OneIsMadeInIdleTimeAfterAForkAndUsedOnce) {
  Fork();
  now += seconds(1);
  EXPECT_FALSE(set.NextAction(now, kBusy));
  EXPECT_EQ(set.NextDeadline(now), now + milliseconds(100));  // looks again
  Fork();
  MakeOne();
  EXPECT_TRUE(set.Take("model", kSmall, now));
  EXPECT_FALSE(set.Take("model", kSmall, now));
  MakeOne();
}

TEST_F(SpareSetTest, OneOfAnotherShapeIsOfNoUseAndMakesRoom) {
  Fork();
  MakeOne();
  EXPECT_FALSE(set.Take("model", kLarge, now));
  ExpectDropped();
  MakeOne(kLarge);
}

TEST_F(SpareSetTest, ModelsHaveTheirOwn) {
  Fork();
  MakeOne();
  EXPECT_FALSE(set.Take("other", kSmall, now));
  now += milliseconds(300);
  EXPECT_EQ(set.NextAction(now, kIdle)->model_key, "other");
  EXPECT_TRUE(set.Take("model", kSmall, now));
}

TEST_F(SpareSetTest, ItIsGivenUpWhenNothingWasForkedForLong) {
  Fork();
  MakeOne();
  EXPECT_EQ(set.NextDeadline(now), now + seconds(600) - milliseconds(300));
  now += seconds(600);
  ExpectDropped();
  EXPECT_FALSE(set.NextAction(now, kIdle));
  EXPECT_FALSE(set.NextDeadline(now));
}

TEST_F(SpareSetTest, ItIsGivenUpFirstWhenMemoryIsShort) {
  const NodeLoad waits{.is_idle = true, .is_short_of_memory = true, .memory_available = kMuch};
  const NodeLoad little{.is_idle = true, .memory_available = 100 << 20};
  for (const NodeLoad& load : {waits, little}) {
    Fork();
    MakeOne();
    ExpectDropped(load);
    now += seconds(9);
    EXPECT_FALSE(set.NextAction(now, kIdle));  // not made again at once
    now += seconds(1);
    EXPECT_FALSE(set.NextAction(now, load));
  }
}

TEST_F(SpareSetTest, OneThatDiesIsNotMadeAgainAtOnce) {
  Fork();
  MakeOne();
  set.OnSpareGone("model", 1, now);
  now += seconds(9);
  EXPECT_FALSE(set.NextAction(now, kIdle));
  EXPECT_FALSE(set.Take("model", kSmall, now));
  now += seconds(1);
  EXPECT_EQ(set.NextAction(now, kIdle)->kind, Kind::kMake);
}

TEST_F(SpareSetTest, TheLateEndOfAnEarlierOneIsNotThatOfTheNext) {
  Fork();
  MakeOne();
  EXPECT_EQ(set.Take("model", kSmall, now), 1U);  // accused in this moment, so it is not used
  MakeOne();
  set.OnSpareGone("model", 1, now);
  EXPECT_FALSE(set.NextAction(now, kIdle)) << "a second one beside it";
  now += seconds(20);
  EXPECT_FALSE(set.NextAction(now, kIdle));
  EXPECT_EQ(set.Take("model", kSmall, now), 2U);
}

TEST_F(SpareSetTest, ItGoesWithItsModel) {
  Fork();
  MakeOne();
  set.OnModelGone("model");
  EXPECT_FALSE(set.Take("model", kSmall, now));
}

TEST_F(SpareSetTest, ItCanBeTurnedOff) {
  SpareSet off(SparePolicy{.keep = seconds(0)});
  EXPECT_FALSE(off.Take("model", kSmall, now));
  EXPECT_FALSE(off.NextAction(now, kIdle));
}

}  // namespace
}  // namespace allod::inference::node::pool::spare_set_test
