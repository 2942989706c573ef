#include "cli/commands/top_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace allod::cli::commands::top_view_test {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;

TopSnapshot Sample() {
  TopSnapshot snapshot;
  scheduling_v1::Node& node = snapshot.nodes.emplace_back();
  node.set_name("nodes/local");
  node.set_region("regions/ke-1");
  node.set_state(scheduling_v1::Node::STATE_READY);
  node.set_worker_count(2);
  node.mutable_capacity()->set_memory_bytes(std::int64_t{16} << 30);
  node.mutable_allocated()->set_memory_bytes(std::int64_t{3} << 29);
  node.mutable_gate()->set_cores(2);
  node.mutable_gate()->set_turns_total(700);
  scheduling_v1::ResidentModel& model = *node.add_resident_models();
  model.set_artifact_sha256(std::string(64, 'a'));
  model.set_state(scheduling_v1::ResidentModel::STATE_RESIDENT);
  model.set_private_bytes(std::int64_t{286} << 20);
  model.set_worker_count(2);
  model.set_load_seconds(1.25);
  for (const char* id : {"idle", "busy"}) {
    scheduling_v1::Worker& worker = snapshot.workers.emplace_back();
    worker.set_name(std::string("nodes/local/workers/") + id);
    worker.set_instance(std::string("tenants/ke/projects/p/instances/") + id);
    worker.set_isolation_class(scheduling_v1::ISOLATION_CLASS_ISOLATED);
    worker.set_state(scheduling_v1::Replica::STATE_ASLEEP);
  }
  scheduling_v1::Worker& busy = snapshot.workers[1];
  busy.set_state(scheduling_v1::Replica::STATE_READY);
  busy.add_sandbox_layers("seccomp");
  busy.add_sandbox_layers("landlock");
  auto& figures = *busy.mutable_figures();
  figures.set_tokens_per_second(26.04);
  figures.set_ttft_count(4);
  figures.set_ttft_seconds_sum(0.5);
  figures.set_active_requests(1);
  figures.set_queued_requests(3);
  figures.set_turns_total(77);
  figures.set_private_bytes(std::int64_t{24} << 20);
  return snapshot;
}

TEST(TopText, ShowsNodesModelsAndReplicasBusiestFirst) {
  EXPECT_EQ(
      TopText(Sample()),
      "nodes/local  regions/ke-1  READY  2 workers  memory 1.5 GiB of 16.0 GiB allocated\n"
      "  gate: 2 cores, 0 waiting, 700 turns, 0.0 s of compute\n"
      "  model aaaaaaaaaaaa: RESIDENT, 286 MiB, 2 workers, loaded in 1.2 s\n"
      "\n"
      "2 replicas, 26.0 tokens/s\n"
      "INSTANCE   CLASS     STATE   TOK/S  TTFT    ACTIVE  QUEUE  TURNS  PRIVATE  SHARED  LAYERS  WAKES  MESSAGE\n"
      "ke/p/busy  ISOLATED  READY   26.0   125 ms  1       3      77     24 MiB   0 KiB   2       0      \n"
      "ke/p/idle  ISOLATED  ASLEEP  0.0    -       0       0      0      0 KiB    0 KiB   0       0      \n");
}

TEST(TopText, ShowsNoZeroForWhatIsNotMeasured) {
  TopSnapshot snapshot;
  scheduling_v1::Worker& member = snapshot.workers.emplace_back();
  member.set_instance("tenants/ke/projects/p/instances/m");
  member.set_isolation_class(scheduling_v1::ISOLATION_CLASS_POOLED);
  member.set_state(scheduling_v1::Replica::STATE_READY);
  member.add_sandbox_layers("seccomp");
  EXPECT_EQ(TopText(snapshot),
            "no node has joined\n\n1 replicas, 0.0 tokens/s\n"
            "INSTANCE  CLASS   STATE  TOK/S  TTFT  ACTIVE  QUEUE  TURNS  PRIVATE  SHARED  LAYERS  WAKES  MESSAGE\n"
            "ke/p/m    POOLED  READY  -      -     -       -      -      -        -       1       -      \n"
            "-: not measured for the members of a pool, who share a worker; `allod usage` has their tokens\n");
}

TEST(TopText, SaysThatThereIsNothing) { EXPECT_EQ(TopText({}), "no node has joined\n\n0 replicas, 0.0 tokens/s\n"); }

TEST(TopText, LetsNoMessageReachTheTerminalWithControlCharacters) {
  TopSnapshot snapshot;
  snapshot.workers.emplace_back().set_message("\x1b[2Jgone\n");
  EXPECT_EQ(TopText(snapshot).find('\x1b'), std::string::npos);
}

TEST(TopJson, IsTheApiOwnJson) {
  const auto json = nlohmann::json::parse(TopJson(Sample()));
  EXPECT_EQ(json["nodes"][0]["residentModels"][0]["workerCount"], 2);
  EXPECT_EQ(json["workers"][1]["figures"]["queuedRequests"], 3);
  EXPECT_EQ(json["workers"][1]["isolationClass"], "ISOLATION_CLASS_ISOLATED");
  EXPECT_EQ(nlohmann::json::parse(TopJson({}))["workers"].size(), 0U);
}

TEST(ShortBytes, UsesBinaryUnits) {
  EXPECT_EQ(ShortBytes(0), "0 KiB");
  EXPECT_EQ(ShortBytes(1), "1 KiB");
  EXPECT_EQ(ShortBytes(5 << 20), "5 MiB");
}

}  // namespace
}  // namespace allod::cli::commands::top_view_test
