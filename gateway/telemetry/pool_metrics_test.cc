#include "gateway/telemetry/pool_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace allod::gateway::telemetry::pool_metrics_test {
namespace {

namespace scheduling = allod::scheduling::v1;
using testing::HasSubstr;
using testing::Not;

scheduling::Node NodeWithTwoCopies() {
  scheduling::Node node;
  node.set_name("nodes/local");
  node.set_state(scheduling::Node::STATE_READY);
  node.mutable_gate()->set_cores(2);
  node.mutable_gate()->set_turns_total(41);
  for (int copy = 0; copy < 2; ++copy) {
    auto& model = *node.add_resident_models();
    model.set_artifact_sha256(std::string(64, 'a'));
    model.set_state(scheduling::ResidentModel::STATE_RESIDENT);
    model.set_private_bytes(1000);
    model.set_worker_count(1);
    model.set_dedicated(true);
  }
  return node;
}

scheduling::Worker WorkerOf(const std::string& replica) {
  scheduling::Worker worker;
  worker.set_name("nodes/local/workers/" + replica);
  worker.set_instance("tenants/ke/projects/p/instances/i");
  worker.set_isolation_class(scheduling::ISOLATION_CLASS_POOLED);
  worker.set_state(scheduling::Replica::STATE_ASLEEP);
  worker.mutable_figures()->set_completion_tokens_total(17);
  worker.mutable_figures()->set_ttft_count(4);
  worker.mutable_figures()->set_ttft_seconds_sum(0.5);
  worker.mutable_figures()->set_wake_count(3);
  return worker;
}

scheduling::ListNodesResponse Only(const scheduling::Node& node) {
  scheduling::ListNodesResponse nodes;
  *nodes.add_nodes() = node;
  return nodes;
}

scheduling::ListWorkersResponse List(const std::vector<scheduling::Worker>& workers) {
  scheduling::ListWorkersResponse out;
  for (const auto& worker : workers) *out.add_workers() = worker;
  return out;
}

TEST(PoolMetrics, AReplicaHasItsFiguresUnderItsNamesAndItsState) {
  const std::string text = PoolMetricsText({}, List({WorkerOf("r1"), WorkerOf("r2")}));
  const std::string labels =
      R"({instance="tenants/ke/projects/p/instances/i",node="local",replica="r1",class="pooled")";
  EXPECT_THAT(text, HasSubstr("# TYPE allod_worker_tokens_total counter\n"));
  EXPECT_THAT(text, HasSubstr("allod_worker_tokens_total" + labels + "} 17\n"));
  EXPECT_THAT(text, HasSubstr("allod_worker_time_to_first_token_seconds_count" + labels + "} 4\n"));
  EXPECT_THAT(text, HasSubstr("allod_worker_time_to_first_token_seconds_sum" + labels + "} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("allod_worker_wakes_total" + labels + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("allod_worker_state" + labels + R"(,state="asleep"} 1)"));
  // A family is named once, whatever the number of its series.
  EXPECT_EQ(text.find("# TYPE allod_worker_tokens_total"), text.rfind("# TYPE allod_worker_tokens_total"));
}

TEST(PoolMetrics, AReplicaThatToldNothingHasAStateOnly) {
  scheduling::Worker worker = WorkerOf("r1");
  worker.clear_figures();
  const std::string text = PoolMetricsText({}, List({worker}));
  EXPECT_THAT(text, HasSubstr("allod_worker_state"));
  EXPECT_THAT(text, Not(HasSubstr("allod_worker_tokens_total")));
}

TEST(PoolMetrics, CopiesOfOneArtifactAreOneSeries) {
  const std::string text = PoolMetricsText(Only(NodeWithTwoCopies()), {});
  const std::string labels = R"({node="local",artifact="aaaaaaaaaaaa",dedicated="true")";
  EXPECT_THAT(text, HasSubstr("allod_node_resident_models" + labels + R"(,state="resident"} 2)"));
  EXPECT_THAT(text, HasSubstr("allod_node_resident_model_private_bytes" + labels + "} 2000\n"));
  EXPECT_THAT(text, HasSubstr("allod_node_resident_model_workers" + labels + "} 2\n"));
  EXPECT_THAT(text, HasSubstr("allod_node_gate_turns_total{node=\"local\"} 41\n"));
  EXPECT_THAT(text, HasSubstr("allod_node_up{node=\"local\"} 1\n"));
}

TEST(PoolMetrics, ANodeThatIsLostIsDown) {
  scheduling::Node node = NodeWithTwoCopies();
  node.set_state(scheduling::Node::STATE_LOST);
  EXPECT_THAT(PoolMetricsText(Only(node), {}), HasSubstr("allod_node_up{node=\"local\"} 0\n"));
}

TEST(PoolMetrics, NoNodeIsNoText) { EXPECT_EQ(PoolMetricsText({}, {}), ""); }

}  // namespace
}  // namespace allod::gateway::telemetry::pool_metrics_test
