// Nodes: what they report, and what is shown of them and their workers.
#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_nodes_test {
namespace {

TEST_F(SchedulingServiceTest, ShowsClassLayersAndFiguresOfAReplica) {
  Agent agent(*agent_stub_, "n");
  auto request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_isolation_class(v1::ISOLATION_CLASS_POOLED);
  request.mutable_instance()->mutable_spec()->set_sleep_after_seconds(60);
  ASSERT_TRUE(Wait(Create(request)->name())->done());
  const std::string uid = Get("a")->status().replicas(0).uid();
  v1::ReportWorkersRequest report;
  report.set_node("nodes/n");
  auto& worker = *report.add_workers();
  worker.set_replica_uid(uid);
  worker.set_epoch(store_.GetInstance(*TenantId::FromName("tenants/ke"), "tenants/ke/projects/p/instances/a")
                       ->replicas.at(0)
                       .placement.epoch);
  worker.set_state(v1::WorkerReport::STATE_ASLEEP);
  worker.set_target("unix:/w/" + uid);
  worker.add_sandbox_layers("seccomp");
  worker.mutable_figures()->set_turns_total(7);
  worker.set_pid(4711);
  report.add_resident_models()->set_artifact_sha256("ab");
  report.mutable_gate()->set_cores(2);
  const auto told =
      CallUnary(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
  ASSERT_TRUE(told) << told.error().message;

  const auto instance = Get("a");
  EXPECT_EQ(instance->spec().sleep_after_seconds(), 60);
  EXPECT_EQ(instance->status().isolation_class(), v1::ISOLATION_CLASS_POOLED);
  const auto& replica = instance->status().replicas(0);
  EXPECT_EQ(replica.isolation_class(), v1::ISOLATION_CLASS_POOLED);
  EXPECT_EQ(replica.sandbox_layers(0), "seccomp");
  EXPECT_EQ(replica.figures().turns_total(), 7);

  v1::ListWorkersRequest list;
  list.set_parent("nodes/-");
  const auto list_as = [&](const Caller& caller) {
    return CallUnary(*node_stub_, &v1::NodeService::Stub::ListWorkers, list, caller, kTimeout);
  };
  const auto workers = list_as(Caller::Operator());
  ASSERT_TRUE(workers) << workers.error().message;
  ASSERT_EQ(workers->workers_size(), 1);
  EXPECT_EQ(workers->workers(0).name(), "nodes/n/workers/" + uid);
  EXPECT_EQ(workers->workers(0).instance(), "tenants/ke/projects/p/instances/a");
  EXPECT_EQ(workers->workers(0).state(), v1::Replica::STATE_ASLEEP);
  EXPECT_EQ(workers->workers(0).pid(), 4711);
  EXPECT_EQ(workers->workers(0).figures().turns_total(), 7);
  EXPECT_EQ(list_as(kTenant).error().code, Code::kPermissionDenied);
  list.set_parent("nodes/other");
  EXPECT_EQ(list_as(Caller::Operator())->workers_size(), 0);
  list.set_parent("tenants/ke");
  EXPECT_EQ(list_as(Caller::Operator()).error().reason, "INVALID_NAME");
  const auto nodes = CallUnary(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, Caller::Operator(), kTimeout);
  EXPECT_EQ(nodes->nodes(0).resident_models(0).artifact_sha256(), "ab");
  EXPECT_EQ(nodes->nodes(0).gate().cores(), 2);
}

TEST_F(SchedulingServiceTest, RefusesReportsWithoutMeasure) {
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done());
  v1::ReportWorkersRequest report;
  report.set_node("nodes/n");
  for (int i = 0; i < 257; ++i) report.add_resident_models();
  const auto tell = [&] {
    return CallUnary(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
  };
  EXPECT_EQ(tell().error().reason, "INVALID_REPORT");
  report.clear_resident_models();
  EXPECT_TRUE(tell());
}

TEST_F(SchedulingServiceTest, TakesAReportForWhatOfItMakesSense) {
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest("a"))->name())->done());
  ASSERT_TRUE(Wait(Create(CreateRequest("b"))->name())->done());
  const auto placed = [&](const std::string& id) {
    return store_.GetInstance(*TenantId::FromName("tenants/ke"), "tenants/ke/projects/p/instances/" + id)
        ->replicas.at(0)
        .placement;
  };
  v1::ReportWorkersRequest report;
  report.set_node("nodes/n");
  const auto add = [&](const std::string& id) -> v1::WorkerReport& {
    auto& worker = *report.add_workers();
    worker.set_replica_uid(placed(id).id.ToString());
    worker.set_epoch(placed(id).epoch);
    worker.set_state(v1::WorkerReport::STATE_READY);
    worker.set_target("unix:/w/" + id);
    return worker;
  };
  v1::WorkerReport& broken = add("a");
  add("b");
  report.add_workers()->set_replica_uid("nobody");
  const auto told = [&](const std::string& what) -> std::string {
    const auto reported =
        CallUnary(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
    EXPECT_TRUE(reported) << reported.error().message;
    for (int i = 0; i < 200; ++i) {
      const auto instance = Get("a");
      if (instance && instance->status().message().find(what) != std::string::npos) return what;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return Get("a")->status().message();
  };
  broken.set_state(v1::WorkerReport::STATE_ASLEEP);
  broken.clear_target();
  EXPECT_EQ(told("asleep, but without a target to wake it"), "asleep, but without a target to wake it");
  broken.set_state(v1::WorkerReport::STATE_STARTING);
  broken.add_sandbox_layers(std::string(65, 'x'));
  EXPECT_EQ(told("one of more than 64 bytes"), "one of more than 64 bytes");
  EXPECT_EQ(Get("b")->status().state(), v1::InstanceStatus::STATE_READY);
}

TEST_F(SchedulingServiceTest, ListsRegionsAndNodes) {
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done());
  const auto regions = CallUnary(*node_stub_, &v1::NodeService::Stub::ListRegions, {}, kTenant, kTimeout);
  ASSERT_TRUE(regions);
  ASSERT_EQ(regions->regions_size(), 2);
  EXPECT_EQ(regions->regions(0).name(), "regions/ke-1");
  const auto nodes = CallUnary(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, Caller::Operator(), kTimeout);
  ASSERT_TRUE(nodes);
  ASSERT_EQ(nodes->nodes_size(), 1);
  EXPECT_EQ(nodes->nodes(0).state(), v1::Node::STATE_READY);
  EXPECT_EQ(nodes->nodes(0).worker_count(), 1);
  EXPECT_EQ(CallUnary(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, kTenant, kTimeout).error().code,
            Code::kPermissionDenied);
}

TEST_F(SchedulingServiceTest, ANewerSessionOfANodeEndsTheOlder) {
  Agent older(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done()) << "the older one is connected by now";
  Agent newer(*agent_stub_, "n");
  const grpc::Status ended = older.Join();
  EXPECT_EQ(FromGrpc(ended).reason, "SESSION_REPLACED");
}

TEST_F(SchedulingServiceTest, ANodeOfAnUnknownRegionIsShownWithWhyItGetsNothing) {
  Agent lost(*agent_stub_, "lost", "regions/atlantis");
  const auto nodes = [&] {
    return CallUnary(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, Caller::Operator(), kTimeout).value();
  };
  while (nodes().nodes_size() == 0) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(nodes().nodes(0).region(), "regions/atlantis");
  EXPECT_EQ(nodes().nodes(0).message(), "region atlantis is not declared in this installation");
}

TEST_F(SchedulingServiceTest, RefusesNodesThatSayNotWhereTheyStandAndForeignNames) {
  for (const char* jurisdiction : {"", "KE", "atlantis"}) {
    Agent nowhere(*agent_stub_, "n", "regions/ke-1", jurisdiction);
    EXPECT_EQ(FromGrpc(nowhere.Join()).reason, "UNKNOWN_COUNTRY");
  }
  v1::ReportWorkersRequest report;
  report.set_node("nodes/n");
  const auto forged =
      CallUnary(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("other"), kTimeout);
  EXPECT_EQ(forged.error().code, Code::kPermissionDenied);
  const auto early =
      CallUnary(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
  EXPECT_EQ(early.error().reason, "NODE_NOT_JOINED");
}

}  // namespace
}  // namespace allod::scheduling::service_nodes_test
