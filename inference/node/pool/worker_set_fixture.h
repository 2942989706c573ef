// What the tests of WorkerSet share: two instances of one model, and a node that does what it is told.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "inference/node/pool/worker_set.h"

namespace allod::inference::node::pool {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Action::Kind;

inline const std::string kUid = "01900000-0000-7000-8000-000000000001";
inline const std::string kOther = "01900000-0000-7000-8000-000000000002";
inline const std::string kSha = std::string(64, 'a');
inline const std::string kPool = "pool/" + kSha;
inline constexpr std::int64_t kMuch = std::int64_t{1} << 40;

inline DesiredWorker Worker(std::int64_t epoch = 1) {
  return {.replica_uid = kUid,
          .epoch = epoch,
          .artifact_sha256 = kSha,
          .artifact_bytes = 10,
          .member = {.instance = "tenants/ke/projects/p/instances/i",
                     .tenant_uid = "01900000-0000-5000-8000-0000000000aa",
                     .context_tokens = 512,
                     .max_concurrency = 4}};
}
inline DesiredWorker Other() {
  DesiredWorker other = Worker();
  other.replica_uid = kOther;
  other.member.instance = "tenants/tz/projects/p/instances/i";
  other.member.tenant_uid = "01900000-0000-5000-8000-0000000000bb";
  return other;
}
inline DesiredWorker Pooled(DesiredWorker worker) {
  worker.isolation = IsolationClass::kPooled;
  return worker;
}
inline DesiredWorker Sleepy(DesiredWorker worker, seconds after = seconds(60)) {
  worker.sleep_after = after;
  return worker;
}

class WorkerSetTest : public testing::Test {
 protected:
  std::optional<Action> Next() { return set.NextAction(now, kMuch); }
  // The one action that is due; fails when there is another number of them.
  Action Only() {
    auto action = Next();
    EXPECT_TRUE(action);
    EXPECT_FALSE(Next());
    return action.value_or(Action{});
  }
  void ExpectNothing() { EXPECT_FALSE(Next()); }
  ObservedWorker Observed(std::size_t index = 0) {
    EXPECT_GT(set.Observed().size(), index);
    return set.Observed().at(index);
  }
  void Desire(const std::vector<DesiredWorker>& workers) { set.SetDesired(workers, now); }
  // The model, from nothing.
  void Load(const std::string& model_key = kSha) {
    EXPECT_EQ(Only().kind, Kind::kFetch);
    set.OnArtifact(kSha, "/store/a", now);
    const Action load = Only();
    EXPECT_EQ(load.kind, Kind::kLoad);
    EXPECT_EQ(load.model_key, model_key);
    set.OnResident(model_key, now);
  }
  // A worker whose model is there.
  Action Fork(const std::string& key = kUid) {
    const Action fork = Only();
    EXPECT_EQ(fork.kind, Kind::kFork);
    EXPECT_EQ(fork.worker_key, key);
    set.OnReady(key, now);
    return fork;
  }
  void Crash(const std::string& key = kUid) { set.OnWorkerExit(key, {.signal = SIGKILL}, now); }
  void Ends(const std::string& key = kUid) { set.OnWorkerExit(key, {.status = 0}, now); }

  WorkerSet set;
  SteadyTime now{seconds(1000)};
};

}  // namespace allod::inference::node::pool
