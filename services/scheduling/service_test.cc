// The services of allod-scheduling over real gRPC, with the store in memory and small servers as peers.
#include <gtest/gtest.h>

#include <thread>

#include "scheduler/process_driver.h"
#include "services/common/rpc/client.h"
#include "services/scheduling/fake_peer_services.h"
#include "services/scheduling/fake_store.h"
#include "services/scheduling/grpc_peers.h"
#include "services/scheduling/instance_service.h"
#include "services/scheduling/node_agent_service.h"
#include "services/scheduling/node_service.h"
#include "services/scheduling/operations_service.h"
#include "services/scheduling/reconciler.h"
#include "services/scheduling/route_service.h"

namespace allod::scheduling {
namespace {

using google::longrunning::Operations;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ProtoOperation = google::longrunning::Operation;

constexpr milliseconds kTimeout{10'000};
const Caller kTenant = Caller::Tenant("ke");

class SchedulingServiceTest : public testing::Test {
 protected:
  SchedulingServiceTest() {
    server_ = *Server::Start({.listen = "127.0.0.1:0"}, {&instances_, &operations_, &nodes_, &agents_, &routes_});
    const auto channel = MakeChannel("127.0.0.1:" + std::to_string(server_->port()));
    instance_stub_ = v1::InstanceService::NewStub(channel);
    operation_stub_ = Operations::NewStub(channel);
    node_stub_ = v1::NodeService::NewStub(channel);
    agent_stub_ = v1::NodeAgentService::NewStub(channel);
    route_stub_ = v1::RouteService::NewStub(channel);
    reconciler_.Start();
  }
  ~SchedulingServiceTest() override {
    routes_.Stop();
    reconciler_.Stop();
    driver_.Stop();
    server_->Stop(milliseconds(1000));
  }

  static v1::CreateInstanceRequest CreateRequest(const std::string& id = "a") {
    v1::CreateInstanceRequest request;
    request.set_parent("tenants/ke/projects/p");
    request.set_instance_id(id);
    v1::InstanceSpec& spec = *request.mutable_instance()->mutable_spec();
    spec.set_listing("listings/l");
    spec.set_variant("models/m/versions/1/variants/q4_k_m");
    spec.set_region("regions/ke-1");
    return request;
  }
  Result<ProtoOperation> Create(const v1::CreateInstanceRequest& request, const Caller& caller = kTenant) {
    return Call(*instance_stub_, &v1::InstanceService::Stub::CreateInstance, request, caller, kTimeout);
  }
  Result<v1::Instance> Get(const std::string& id, const Caller& caller = kTenant) {
    v1::GetInstanceRequest request;
    request.set_name("tenants/ke/projects/p/instances/" + id);
    return Call(*instance_stub_, &v1::InstanceService::Stub::GetInstance, request, caller, kTimeout);
  }
  Result<ProtoOperation> Wait(const std::string& name) {
    google::longrunning::WaitOperationRequest request;
    request.set_name(name);
    request.mutable_timeout()->set_seconds(8);
    return Call(*operation_stub_, &Operations::Stub::WaitOperation, request, kTenant, kTimeout);
  }
  // A node whose workers are ready the moment they are assigned, until it is stopped.
  class Agent {
   public:
    Agent(v1::NodeAgentService::Stub& stub, const std::string& id, const std::string& region = "regions/ke-1")
        : stub_(stub), id_(id), context_(MakeStreamContext(Caller::Node(id))) {
      v1::WatchAssignmentsRequest request;
      request.set_node("nodes/" + id);
      request.set_region(region);
      request.mutable_capacity()->set_memory_bytes(std::int64_t{1} << 32);
      request.mutable_capacity()->set_cpu_millis(2000);
      context_->set_wait_for_ready(true);
      reader_ = stub_.WatchAssignments(context_.get(), request);
      thread_ = std::thread([this] { Run(); });
    }
    ~Agent() {
      context_->TryCancel();
      if (thread_.joinable()) thread_.join();
    }
    // The stream's end, which must come by itself.
    grpc::Status Join() {
      thread_.join();
      return status_;
    }

   private:
    void Run() {
      v1::WatchAssignmentsResponse set;
      while (reader_->Read(&set)) {
        v1::ReportWorkersRequest report;
        report.set_node("nodes/" + id_);
        for (const auto& assignment : set.assignments()) {
          auto& worker = *report.add_workers();
          worker.set_replica_uid(assignment.replica_uid());
          worker.set_epoch(assignment.epoch());
          worker.set_state(v1::WorkerReport::STATE_READY);
          worker.set_target("unix:/w/" + assignment.replica_uid());
        }
        (void)Call(stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node(id_), kTimeout);
      }
      status_ = reader_->Finish();
    }
    v1::NodeAgentService::Stub& stub_;
    const std::string id_;
    std::unique_ptr<grpc::ClientContext> context_;
    std::unique_ptr<grpc::ClientReader<v1::WatchAssignmentsResponse>> reader_;
    grpc::Status status_;
    std::thread thread_;
  };

  SystemClock clock_;
  FakeStore store_{clock_};
  FakePeerServices peers_;
  GrpcPeers grpc_peers_{peers_.target, peers_.target, peers_.target, milliseconds(3000)};
  scheduler::ProcessDriver driver_{seconds(6)};
  const std::vector<scheduler::Region> regions_{{"ke-1", "ke"}, {"tz-1", "tz"}};
  FiguresBoard figures_;
  Reconciler reconciler_{store_, driver_, clock_, {.regions = regions_}};
  InstanceServiceImpl instances_{store_,
                                 grpc_peers_,
                                 figures_,
                                 clock_,
                                 {regions_, 20, {}},
                                 [this](const TenantId& t, const std::string& instance) { reconciler_.Wake(t, instance); }};
  OperationsServiceImpl operations_{store_, reconciler_.progress()};
  NodeServiceImpl nodes_{store_, driver_, figures_, clock_, regions_};
  NodeAgentServiceImpl agents_{store_, driver_, figures_, clock_, regions_};
  RouteServiceImpl routes_{reconciler_.routes()};
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::InstanceService::Stub> instance_stub_;
  std::unique_ptr<Operations::Stub> operation_stub_;
  std::unique_ptr<v1::NodeService::Stub> node_stub_;
  std::unique_ptr<v1::NodeAgentService::Stub> agent_stub_;
  std::unique_ptr<v1::RouteService::Stub> route_stub_;
};

TEST_F(SchedulingServiceTest, ProvisionsRoutesAndDeletesAnInstance) {
  Agent agent(*agent_stub_, "n");
  const auto created = Create(CreateRequest());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_TRUE(created->name().starts_with("tenants/ke/operations/"));
  const auto done = Wait(created->name());
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_TRUE(done->done());
  v1::Instance instance;
  ASSERT_TRUE(done->response().UnpackTo(&instance));
  EXPECT_EQ(instance.status().state(), v1::InstanceStatus::STATE_READY);
  EXPECT_EQ(instance.spec().context_tokens(), 1024);
  EXPECT_EQ(instance.status().price_book(), "priceBooks/b");

  const auto context = MakeStreamContext(Caller::Service("gateway"));
  const auto watch = route_stub_->WatchRoutes(context.get(), {});
  v1::WatchRoutesResponse table;
  ASSERT_TRUE(watch->Read(&table));
  ASSERT_EQ(table.routes_size(), 1);
  EXPECT_EQ(table.routes(0).instance(), "tenants/ke/projects/p/instances/a");
  EXPECT_EQ(table.routes(0).targets_size(), 1);

  v1::DeleteInstanceRequest deletion;
  deletion.set_name(instance.name());
  const auto deleting = Call(*instance_stub_, &v1::InstanceService::Stub::DeleteInstance, deletion, kTenant, kTimeout);
  ASSERT_TRUE(deleting) << deleting.error().message;
  ASSERT_TRUE(watch->Read(&table));
  EXPECT_EQ(table.routes_size(), 0) << "the table is sent again when it changes";
  EXPECT_TRUE(Wait(deleting->name())->done());
  EXPECT_EQ(Get("a").error().code, Code::kNotFound);
  context->TryCancel();
}

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
  const auto told = Call(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
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
    return Call(*node_stub_, &v1::NodeService::Stub::ListWorkers, list, caller, kTimeout);
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
  const auto nodes = Call(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, Caller::Operator(), kTimeout);
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
    return Call(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
  };
  EXPECT_EQ(tell().error().reason, "INVALID_REPORT");
  report.clear_resident_models();
  auto& worker = *report.add_workers();
  worker.set_replica_uid(Uuid::V7().ToString());
  worker.set_state(v1::WorkerReport::STATE_ASLEEP);
  EXPECT_EQ(tell().error().reason, "INVALID_REPORT") << "nothing could wake it";
  worker.set_state(v1::WorkerReport::STATE_STARTING);
  worker.add_sandbox_layers(std::string(65, 'x'));
  EXPECT_EQ(tell().error().reason, "INVALID_REPORT");
}

TEST_F(SchedulingServiceTest, AnswersTheSameContentWithAFinishedOperation) {
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done());
  peers_.Stop();
  const auto again = Create(CreateRequest());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->done()) << "what was accepted is not judged again";
  auto other = CreateRequest();
  other.mutable_instance()->mutable_spec()->set_replicas(2);
  EXPECT_EQ(Create(other).error().code, Code::kUnavailable);
}

TEST_F(SchedulingServiceTest, RefusesARegionOutsideTheResidencyAndWritesNothing) {
  auto request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_region("regions/tz-1");
  const auto refused = Create(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "REGION_OUTSIDE_RESIDENCY");
  EXPECT_EQ(refused.error().message,
            "spec.region tz-1 lies in jurisdiction tz; the data of tenants/ke may be processed in (ke) only");
  EXPECT_TRUE(store_.ListTenants()->empty());
}

TEST_F(SchedulingServiceTest, RefusesWhatThePeersDoNotKnow) {
  auto request = CreateRequest();
  request.set_parent("tenants/ke/projects/other");
  EXPECT_EQ(Create(request).error().code, Code::kNotFound);
  request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_listing("listings/other");
  EXPECT_EQ(Create(request).error().reason, "LISTING_NOT_AVAILABLE");
  request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_variant("models/m/versions/1/variants/other");
  EXPECT_EQ(Create(request).error().reason, "VARIANT_NOT_IN_LISTING");
  peers_.account.clear_currency_code();
  EXPECT_EQ(Create(CreateRequest()).error().reason, "NO_BILLING_ACCOUNT");
}

TEST_F(SchedulingServiceTest, KeepsTenantsApart) {
  ASSERT_TRUE(Create(CreateRequest()));
  EXPECT_EQ(Get("a", Caller::Tenant("tz")).error().code, Code::kNotFound);
  EXPECT_EQ(Create(CreateRequest(), Caller::Tenant("tz")).error().code, Code::kNotFound);
  EXPECT_TRUE(Get("a", Caller::Operator()));
}

TEST_F(SchedulingServiceTest, MakesARetriedCreateSafe) {
  auto request = CreateRequest();
  request.set_request_id(Uuid::V7().ToString());
  const auto first = Create(request);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(Create(request)->name(), first->name());
  auto other = CreateRequest("b");
  other.set_request_id(request.request_id());
  EXPECT_EQ(Create(other).error().reason, "REQUEST_ID_REUSED");
}

TEST_F(SchedulingServiceTest, UpdatesWithTheNewestEtagOnly) {
  ASSERT_TRUE(Create(CreateRequest()));
  v1::UpdateInstanceRequest update;
  *update.mutable_instance() = *Get("a");
  update.mutable_instance()->mutable_spec()->set_context_tokens(512);
  const auto update_with = [&](const v1::UpdateInstanceRequest& request) {
    return Call(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, request, kTenant, kTimeout);
  };
  const auto changed = update_with(update);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(Get("a")->generation(), 2);
  EXPECT_EQ(update_with(update).error().reason, "ETAG_MISMATCH");
  update.mutable_instance()->clear_etag();
  EXPECT_EQ(update_with(update).error().reason, "ETAG_REQUIRED");
}

TEST_F(SchedulingServiceTest, ListsInstancesOfOneProjectAndOfAll) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Create(CreateRequest(id)));
  v1::ListInstancesRequest request;
  request.set_parent("tenants/ke/projects/-");
  request.set_page_size(2);
  const auto list = [&] {
    return Call(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, kTenant, kTimeout);
  };
  const auto first = list();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->instances_size(), 2);
  request.set_page_token(first->next_page_token());
  EXPECT_EQ(list()->instances_size(), 1);
  request.set_parent("tenants/ke/projects/p");
  EXPECT_EQ(list().error().reason, "INVALID_PAGE_TOKEN") << "a token belongs to its list";
}

TEST_F(SchedulingServiceTest, SaysInTheOperationWhyNothingIsPlaced) {
  const auto created = Create(CreateRequest());
  ASSERT_TRUE(created);
  std::string phase;
  for (int i = 0; i < 100 && !phase.starts_with("placing: "); ++i) {
    google::longrunning::WaitOperationRequest request;
    request.set_name(created->name());
    request.mutable_timeout()->set_nanos(100'000'000);
    const auto operation = Call(*operation_stub_, &Operations::Stub::WaitOperation, request, kTenant, kTimeout);
    ASSERT_TRUE(operation) << operation.error().message;
    EXPECT_FALSE(operation->done());
    v1::InstanceOperationMetadata metadata;
    ASSERT_TRUE(operation->metadata().UnpackTo(&metadata));
    phase = metadata.phase();
  }
  EXPECT_EQ(phase, "placing: region ke-1 has no node");
}

TEST_F(SchedulingServiceTest, ListsRegionsAndNodes) {
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done());
  const auto regions = Call(*node_stub_, &v1::NodeService::Stub::ListRegions, {}, kTenant, kTimeout);
  ASSERT_TRUE(regions);
  ASSERT_EQ(regions->regions_size(), 2);
  EXPECT_EQ(regions->regions(0).name(), "regions/ke-1");
  const auto nodes = Call(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, Caller::Operator(), kTimeout);
  ASSERT_TRUE(nodes);
  ASSERT_EQ(nodes->nodes_size(), 1);
  EXPECT_EQ(nodes->nodes(0).state(), v1::Node::STATE_READY);
  EXPECT_EQ(nodes->nodes(0).worker_count(), 1);
  EXPECT_EQ(Call(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, kTenant, kTimeout).error().code,
            Code::kPermissionDenied);
}

TEST_F(SchedulingServiceTest, ANewerSessionOfANodeEndsTheOlder) {
  Agent older(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done()) << "the older one is connected by now";
  Agent newer(*agent_stub_, "n");
  const grpc::Status ended = older.Join();
  EXPECT_EQ(FromGrpc(ended).reason, "SESSION_REPLACED");
}

TEST_F(SchedulingServiceTest, RefusesNodesOfUnknownRegionsAndForeignNames) {
  Agent lost(*agent_stub_, "n", "regions/atlantis");
  EXPECT_EQ(FromGrpc(lost.Join()).reason, "UNKNOWN_REGION");
  v1::ReportWorkersRequest report;
  report.set_node("nodes/n");
  const auto forged =
      Call(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("other"), kTimeout);
  EXPECT_EQ(forged.error().code, Code::kPermissionDenied);
  const auto early =
      Call(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
  EXPECT_EQ(early.error().reason, "NODE_NOT_JOINED");
}

TEST_F(SchedulingServiceTest, ShowsRoutesToServicesOnly) {
  const auto context = MakeStreamContext(kTenant);
  const auto watch = route_stub_->WatchRoutes(context.get(), {});
  v1::WatchRoutesResponse table;
  EXPECT_FALSE(watch->Read(&table));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace allod::scheduling
