#include "inference/node/pool/model_set.h"

#include <gtest/gtest.h>

#include <csignal>

namespace allod::inference::node::pool::model_set_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Action::Kind;

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kMuch = std::int64_t{1} << 40;

DesiredWorker Of(char model, std::int64_t mib = 100) {
  return {.replica_uid = std::string("replica-") + model,
          .artifact_sha256 = std::string(64, model),
          .artifact_bytes = mib * kMiB,
          .member = {.instance = "tenants/ke/projects/p/instances/i"}};
}
std::string Key(char model) { return std::string(64, model); }

class ModelSetTest : public testing::Test {
 protected:
  std::optional<Action> Ensure(char model, std::int64_t available = kMuch) {
    return set.Ensure(Of(model), now, available);
  }
  // Fetched and resident, last used now.
  void Load(char model) {
    const auto fetch = Ensure(model);
    if (fetch && fetch->kind == Kind::kFetch) set.OnArtifact(Key(model), std::filesystem::path("/store"), now);
    const auto load = fetch && fetch->kind == Kind::kLoad ? fetch : Ensure(model);
    ASSERT_TRUE(load);
    ASSERT_EQ(load->kind, Kind::kLoad);
    set.OnResident(Key(model), now);
    ASSERT_TRUE(set.IsResident(Key(model)));
  }
  void Gone(const std::string& key) { set.OnExit(key, {.signal = SIGKILL}, now); }

  ModelSet set{{.keep_idle = seconds(600), .memory_reserve_bytes = 256 * kMiB}};
  SteadyTime now{seconds(1000)};
};

TEST_F(ModelSetTest, FetchesOnceAndLoadsOnceForAllWhoAsk) {
  ASSERT_EQ(Ensure('a')->kind, Kind::kFetch);
  EXPECT_FALSE(Ensure('a'));
  EXPECT_FALSE(set.RetryTime(Key('a')));  // waits for an event
  set.OnArtifact(Key('a'), std::filesystem::path("/store/a"), now);
  ASSERT_EQ(Ensure('a')->kind, Kind::kLoad);
  EXPECT_FALSE(Ensure('a'));
  EXPECT_FALSE(set.IsResident(Key('a')));
  set.OnResident(Key('a'), now);
  EXPECT_TRUE(set.IsResident(Key('a')));
  EXPECT_FALSE(Ensure('a'));
}

TEST_F(ModelSetTest, GivesUpWhatNobodyUsedForAWhile) {
  Load('a');
  Load('b');
  now += seconds(300);
  set.OnUsed(Key('b'), now);
  EXPECT_EQ(set.NextDeadline({}), now + seconds(300));
  now += seconds(299);
  EXPECT_FALSE(set.Evict({}, {}, now));
  now += seconds(1);
  const auto unload = set.Evict({}, {}, now);
  ASSERT_TRUE(unload);
  EXPECT_EQ(unload->kind, Kind::kUnload);
  EXPECT_EQ(unload->model_key, Key('a'));
  EXPECT_FALSE(set.Evict({}, {}, now));
  Gone(Key('a'));
  EXPECT_EQ(set.Observed().size(), 1U);
  now += seconds(300);
  EXPECT_EQ(set.Evict({}, {}, now)->model_key, Key('b'));
}

TEST_F(ModelSetTest, NeverGivesUpWhatIsInUse) {
  Load('a');
  const std::set<std::string> used{Key('a')};
  EXPECT_FALSE(set.Evict(used, used, now));
  now += seconds(100'000);
  EXPECT_FALSE(set.Evict(used, used, now));
  EXPECT_FALSE(set.NextDeadline(used));
  // Idleness begins when the use ends.
  EXPECT_FALSE(set.Evict({}, used, now));
  now += seconds(600);
  EXPECT_TRUE(set.Evict({}, used, now));
}

TEST_F(ModelSetTest, MakesRoomByTheLongestUnusedAndNeverByOneInUse) {
  Load('a');
  now += seconds(1);
  Load('b');
  now += seconds(1);
  Load('c');
  set.Evict({Key('a')}, {}, now);  // says who is in use
  ASSERT_EQ(Ensure('d', 300 * kMiB)->kind, Kind::kFetch);
  set.OnArtifact(Key('d'), std::filesystem::path("/store"), now);
  const auto first = Ensure('d', 300 * kMiB);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kind, Kind::kUnload);
  EXPECT_EQ(first->model_key, Key('b'));
  // One at a time, and the next only when that was not enough.
  EXPECT_FALSE(Ensure('d', 300 * kMiB));
  Gone(Key('b'));
  now += seconds(1);
  EXPECT_EQ(Ensure('d', 340 * kMiB)->model_key, Key('c'));
  Gone(Key('c'));
  now += seconds(1);
  EXPECT_EQ(Ensure('d', 356 * kMiB)->kind, Kind::kLoad);
  EXPECT_TRUE(set.IsResident(Key('a')));
}

TEST_F(ModelSetTest, RefusesWhatDoesNotFitSaysWhyAndTriesAgain) {
  Load('a');
  set.Evict({Key('a')}, {}, now);
  ASSERT_EQ(Ensure('d', 300 * kMiB)->kind, Kind::kFetch);
  set.OnArtifact(Key('d'), std::filesystem::path("/store"), now);
  EXPECT_FALSE(Ensure('d', 300 * kMiB));
  EXPECT_TRUE(set.Failed(Key('d')));
  const std::string why = set.Message(Key('d'));
  for (const char* part : {"not enough memory", "100 MiB", "256 MiB", "300 MiB"}) {
    EXPECT_NE(why.find(part), std::string::npos) << why;
  }
  EXPECT_EQ(set.RetryTime(Key('d')), now + seconds(2));
  EXPECT_FALSE(Ensure('d'));  // not before
  now += seconds(2);
  EXPECT_EQ(Ensure('d', 356 * kMiB)->kind, Kind::kLoad);
  EXPECT_FALSE(set.Failed(Key('d')));
  set.OnResident(Key('d'), now);
  EXPECT_EQ(set.Message(Key('d')), "");
}

TEST_F(ModelSetTest, DoesNotPromiseTheSameMemoryTwice) {
  for (const char model : {'a', 'b'}) {
    ASSERT_EQ(Ensure(model)->kind, Kind::kFetch);
    set.OnArtifact(Key(model), std::filesystem::path("/store"), now);
  }
  EXPECT_EQ(Ensure('a', 400 * kMiB)->kind, Kind::kLoad);
  EXPECT_FALSE(Ensure('b', 400 * kMiB));  // 'a' is about to take it
  EXPECT_FALSE(set.Failed(Key('b')));
  ASSERT_TRUE(set.RetryTime(Key('b')));
  now = *set.RetryTime(Key('b'));
  set.OnResident(Key('a'), now);
  EXPECT_EQ(Ensure('b', 400 * kMiB)->kind, Kind::kLoad);  // it turned out to be enough for both
}

TEST_F(ModelSetTest, APrivateModelGoesAsSoonAsNobodyWantsIt) {
  DesiredWorker dedicated = Of('a');
  dedicated.isolation = IsolationClass::kDedicated;
  const std::string key = dedicated.model_key();
  ASSERT_NE(key, Key('a'));
  ASSERT_EQ(set.Ensure(dedicated, now, kMuch)->kind, Kind::kFetch);
  set.OnArtifact(Key('a'), std::filesystem::path("/store"), now);
  const auto load = set.Ensure(dedicated, now, kMuch);
  ASSERT_TRUE(load);
  EXPECT_TRUE(load->private_weights);
  set.OnResident(key, now);
  EXPECT_FALSE(set.Evict({}, {key}, now));  // asleep
  EXPECT_EQ(set.Evict({}, {}, now)->model_key, key);
}

TEST_F(ModelSetTest, ADeathIsShownAndTheModelLoadedAgainLater) {
  Load('a');
  Gone(Key('a'));
  EXPECT_FALSE(set.IsResident(Key('a')));
  EXPECT_NE(set.Message(Key('a')).find("signal 9"), std::string::npos);
  EXPECT_FALSE(set.Failed(Key('a')));
  EXPECT_FALSE(Ensure('a'));
  EXPECT_EQ(set.RetryTime(Key('a')), now + milliseconds(100));
  now += milliseconds(100);
  Load('a');
  EXPECT_EQ(set.Message(Key('a')), "");
}

TEST_F(ModelSetTest, OneThatDiesAgainAndAgainIsLoadedLessAndLessOften) {
  Load('a');
  for (int i = 1; i <= 5; ++i) {
    Gone(Key('a'));
    EXPECT_EQ(set.Failed(Key('a')), i >= kFailuresShownAsFailed);
    EXPECT_EQ(set.RetryTime(Key('a')), now + RestartDelay(i));
    now += RestartDelay(i);
    Load('a');
    EXPECT_FALSE(set.Failed(Key('a')));
  }
  now += seconds(30);
  Gone(Key('a'));
  EXPECT_EQ(set.RetryTime(Key('a')), now + milliseconds(100));
}

TEST_F(ModelSetTest, ALoadThatNeverEndsIsEnded) {
  ASSERT_EQ(Ensure('a')->kind, Kind::kFetch);
  set.OnArtifact(Key('a'), std::filesystem::path("/store"), now);
  ASSERT_EQ(Ensure('a')->kind, Kind::kLoad);
  const std::set<std::string> used{Key('a')};
  EXPECT_EQ(set.NextDeadline(used), now + std::chrono::minutes(10));
  now += std::chrono::minutes(10) - seconds(1);
  EXPECT_FALSE(set.Evict(used, used, now));
  now += seconds(1);
  const auto end = set.Evict(used, used, now);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->kind, Kind::kUnload);
  EXPECT_FALSE(set.Evict(used, used, now));
  Gone(Key('a'));
  EXPECT_EQ(set.RetryTime(Key('a')), now + milliseconds(100));
}

TEST_F(ModelSetTest, AModelAtFaultIsTriedOnceAMinute) {
  ASSERT_EQ(Ensure('a')->kind, Kind::kFetch);
  set.OnArtifact(Key('a'), std::filesystem::path("/store"), now);
  ASSERT_EQ(Ensure('a')->kind, Kind::kLoad);
  set.OnExit(Key('a'), {.status = kExitModelRefused, .last_line = "GGUF_BAD_MAGIC: m"}, now);
  EXPECT_TRUE(set.Failed(Key('a')));
  EXPECT_EQ(set.RetryTime(Key('a')), now + seconds(60));
  // Another file of the same digest cannot be: but who no longer wants it is not told of it either.
  set.ForgetUnwanted({});
  EXPECT_TRUE(set.Observed().empty());
}

TEST_F(ModelSetTest, ForgettingLeavesAloneWhatIsThereOrOnItsWay) {
  Load('a');
  ASSERT_EQ(Ensure('b')->kind, Kind::kFetch);
  set.ForgetUnwanted({});
  EXPECT_TRUE(set.IsResident(Key('a')));
  set.OnArtifact(Key('b'), std::filesystem::path("/store"), now);  // comes too late, and does no harm
  EXPECT_EQ(set.Observed().size(), 1U);
  EXPECT_FALSE(set.Idle());
}

TEST_F(ModelSetTest, AModelWantedAgainWhileItGoesIsLoadedOnceItIsGone) {
  Load('a');
  now += seconds(600);
  ASSERT_TRUE(set.Evict({}, {}, now));
  EXPECT_FALSE(Ensure('a'));
  EXPECT_FALSE(set.RetryTime(Key('a')));
  Gone(Key('a'));
  EXPECT_TRUE(Ensure('a'));
}

}  // namespace
}  // namespace allod::inference::node::pool::model_set_test
