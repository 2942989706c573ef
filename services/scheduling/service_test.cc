// The services of allod-scheduling over real gRPC, with the store in memory and small servers as peers.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
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
#include "tests/support/temp_dir.h"

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
    server_ = *Server::Start({.listen = address_}, {&instances_, &operations_, &nodes_, &agents_, &routes_});
    const auto channel = MakeChannel(address_);
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
  Watchers gateways_{"routes", 8};
  const RouteVisibility visibility_{reconciler_.routes(), gateways_};
  InstanceServiceImpl instances_{
      store_,
      grpc_peers_,
      figures_,
      visibility_,
      clock_,
      {regions_, 20, {}},
      [this](const TenantId& t, const std::string& instance) { reconciler_.Wake(t, instance); }};
  OperationsServiceImpl operations_{store_, reconciler_.progress()};
  NodeServiceImpl nodes_{store_, driver_, figures_, clock_, regions_};
  NodeAgentServiceImpl agents_{store_, driver_, figures_, clock_, regions_};
  RouteServiceImpl routes_{reconciler_.routes(), gateways_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
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
        Call(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"), kTimeout);
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
  EXPECT_TRUE(store_.ListChanged("", std::nullopt, 10)->tenants.empty());
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

TEST_F(SchedulingServiceTest, ShowsWhatAnUpdateWouldLeaveAndChangesNothing) {
  auto request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_isolation_class(v1::ISOLATION_CLASS_POOLED);
  request.mutable_instance()->mutable_spec()->set_sleep_after_seconds(100);
  ASSERT_TRUE(Create(request));
  const v1::Instance before = *Get("a");
  v1::UpdateInstanceRequest update;
  update.set_validate_only(true);
  *update.mutable_instance() = before;
  update.mutable_instance()->mutable_spec()->clear_isolation_class();
  update.mutable_instance()->mutable_spec()->clear_sleep_after_seconds();
  update.mutable_instance()->mutable_spec()->set_max_concurrency(0);
  const auto update_with = [&](const v1::UpdateInstanceRequest& asked) {
    return Call(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, asked, kTenant, kTimeout);
  };
  const auto answer = update_with(update);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->done());
  v1::Instance would;
  ASSERT_TRUE(answer->response().UnpackTo(&would));
  EXPECT_EQ(would.spec().isolation_class(), v1::ISOLATION_CLASS_ISOLATED);
  EXPECT_EQ(would.spec().sleep_after_seconds(), 0);
  EXPECT_EQ(would.spec().max_concurrency(), kConcurrencyDefault);
  EXPECT_EQ(would.spec().context_tokens(), before.spec().context_tokens()) << "the default, as the server fills it in";
  EXPECT_EQ(Get("a")->generation(), 1);
  EXPECT_EQ(Get("a")->spec().isolation_class(), v1::ISOLATION_CLASS_POOLED);
  // Judged like the update itself.
  update.mutable_instance()->mutable_spec()->set_listing("listings/none");
  EXPECT_EQ(update_with(update).error().reason, "LISTING_NOT_AVAILABLE");
  update.mutable_instance()->set_etag("old");
  EXPECT_EQ(update_with(update).error().reason, "ETAG_MISMATCH");
  const Caller other = Caller::Tenant("ug");
  EXPECT_EQ(Call(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, other, kTimeout).error().code,
            Code::kNotFound);
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

// A gateway that follows changes of routes and acknowledges them.
class Gateway {
 public:
  explicit Gateway(v1::RouteService::Stub& stub, bool acknowledges = true)
      : stub_(stub), acknowledges_(acknowledges), context_(MakeStreamContext(Caller::Service("gateway"))) {
    context_->set_wait_for_ready(true);
    thread_ = std::thread([this] { Run(); });
    while (!synced_) std::this_thread::sleep_for(milliseconds(1));
  }
  ~Gateway() {
    context_->TryCancel();
    thread_.join();
  }
  // 0: not routed to.
  std::int64_t GenerationOf(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = routes_.find("tenants/ke/projects/p/instances/" + id);
    return found == routes_.end() ? 0 : found->second.generation();
  }
  int routes_sent() const { return routes_sent_; }

 private:
  void Run() {
    v1::WatchRoutesRequest request;
    request.set_watcher_id(Uuid::V7().ToString());
    const auto stream = stub_.WatchRoutes(context_.get(), request);
    v1::WatchRoutesResponse message;
    while (stream->Read(&message)) {
      std::this_thread::sleep_for(milliseconds(5));
      {
        const std::lock_guard lock(mutex_);
        for (const auto& instance : message.removed_instances()) routes_.erase(instance);
        for (const auto& route : message.routes()) routes_[route.instance()] = route;
      }
      routes_sent_ += message.routes_size();
      if (!message.synced()) continue;
      synced_ = true;
      if (!acknowledges_) continue;
      v1::AcknowledgeRoutesRequest acknowledgement;
      acknowledgement.set_watcher_id(request.watcher_id());
      acknowledgement.set_version(message.version());
      const auto told = Call(stub_, &v1::RouteService::Stub::AcknowledgeRoutes, acknowledgement,
                             Caller::Service("gateway"), kTimeout);
      EXPECT_TRUE(told) << told.error().message;
    }
    (void)stream->Finish();
  }

  v1::RouteService::Stub& stub_;
  const bool acknowledges_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::atomic<bool> synced_ = false;
  std::atomic<int> routes_sent_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, v1::Route> routes_;
  std::thread thread_;
};

TEST_F(SchedulingServiceTest, GatewaysRouteAsAMutationSaysWhenItReturns) {
  Gateway a(*route_stub_);
  Gateway b(*route_stub_);
  for (const auto isolation : {v1::ISOLATION_CLASS_ISOLATED, v1::ISOLATION_CLASS_POOLED}) {
    for (int i = 0; i < 10; ++i) {
      auto request = CreateRequest("a" + std::to_string(isolation) + "-" + std::to_string(i));
      request.mutable_instance()->mutable_spec()->set_isolation_class(isolation);
      ASSERT_TRUE(Create(request));
      EXPECT_EQ(a.GenerationOf(request.instance_id()), 1) << "no node runs it, but a request would wait for one";
      EXPECT_EQ(b.GenerationOf(request.instance_id()), 1);

      v1::UpdateInstanceRequest update;
      *update.mutable_instance() = *Get(request.instance_id());
      update.mutable_instance()->mutable_spec()->set_context_tokens(512);
      ASSERT_TRUE(Call(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, kTenant, kTimeout));
      EXPECT_EQ(a.GenerationOf(request.instance_id()), 2);

      v1::DeleteInstanceRequest deletion;
      deletion.set_name("tenants/ke/projects/p/instances/" + request.instance_id());
      ASSERT_TRUE(Call(*instance_stub_, &v1::InstanceService::Stub::DeleteInstance, deletion, kTenant, kTimeout));
      EXPECT_EQ(a.GenerationOf(request.instance_id()), 0);
      EXPECT_EQ(b.GenerationOf(request.instance_id()), 0);
    }
  }
}

TEST_F(SchedulingServiceTest, AGatewayThatLagsHoldsOneCreationUpAndNoMore) {
  Gateway good(*route_stub_);
  Gateway slow(*route_stub_, false);
  const auto timed = [&](const std::string& id) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(Create(CreateRequest(id)));
    EXPECT_EQ(good.GenerationOf(id), 1);
    return std::chrono::steady_clock::now() - start;
  };
  EXPECT_LT(timed("a"), seconds(4));
  for (const char* id : {"b", "c", "d"}) EXPECT_LT(timed(id), seconds(1));
}

TEST_F(SchedulingServiceTest, SendsOfTheRoutesOnlyWhatChanged) {
  constexpr int kInstances = 30;
  Gateway gateway(*route_stub_);
  for (int i = 0; i < kInstances; ++i) ASSERT_TRUE(Create(CreateRequest("i" + std::to_string(i))));
  EXPECT_EQ(gateway.routes_sent(), kInstances);
  Gateway late(*route_stub_);
  EXPECT_EQ(late.GenerationOf("i7"), 1);
  EXPECT_EQ(late.routes_sent(), kInstances);
}

TEST_F(SchedulingServiceTest, AKeySeesAndChangesWhatIsInItsProject) {
  ASSERT_TRUE(Create(CreateRequest("a")));
  const Caller own = Caller::Key("ke", "p", {"portal"});
  const Caller other = Caller::Key("ke", "other", {"portal"});
  EXPECT_TRUE(Create(CreateRequest("b"), own));
  EXPECT_EQ(Create(CreateRequest("c"), other).error().code, Code::kNotFound);
  EXPECT_TRUE(Get("a", own));
  EXPECT_EQ(Get("a", other).error().code, Code::kNotFound);
  const auto list = [&](const std::string& parent, const Caller& caller) {
    v1::ListInstancesRequest request;
    request.set_parent(parent);
    return Call(*instance_stub_, &v1::InstanceService::Stub::ListInstances, request, caller, kTimeout);
  };
  EXPECT_EQ(list("tenants/ke/projects/p", own)->instances_size(), 2);
  EXPECT_EQ(list("tenants/ke/projects/-", own)->instances_size(), 2);
  EXPECT_EQ(list("tenants/ke/projects/-", other)->instances_size(), 0) << "all that it may see";
  EXPECT_EQ(list("tenants/ke/projects/p", other).error().code, Code::kNotFound);
  EXPECT_EQ(list("tenants/tz/projects/-", own).error().code, Code::kNotFound);
  v1::DeleteInstanceRequest deletion;
  deletion.set_name("tenants/ke/projects/p/instances/a");
  const auto remove = [&](const Caller& caller) {
    return Call(*instance_stub_, &v1::InstanceService::Stub::DeleteInstance, deletion, caller, kTimeout);
  };
  EXPECT_EQ(remove(other).error().code, Code::kNotFound);
  const auto operation = remove(own);
  ASSERT_TRUE(operation) << operation.error().message;
  google::longrunning::GetOperationRequest get;
  get.set_name(operation->name());
  EXPECT_TRUE(Call(*operation_stub_, &Operations::Stub::GetOperation, get, own, kTimeout));
  EXPECT_EQ(Call(*operation_stub_, &Operations::Stub::GetOperation, get, other, kTimeout).error().code,
            Code::kNotFound);
  google::longrunning::WaitOperationRequest wait;
  wait.set_name(operation->name());
  EXPECT_EQ(Call(*operation_stub_, &Operations::Stub::WaitOperation, wait, other, kTimeout).error().code,
            Code::kNotFound);
  google::longrunning::ListOperationsRequest operations;
  operations.set_name("tenants/ke");
  EXPECT_EQ(Call(*operation_stub_, &Operations::Stub::ListOperations, operations, own, kTimeout)->operations_size(), 3);
  EXPECT_EQ(Call(*operation_stub_, &Operations::Stub::ListOperations, operations, other, kTimeout)->operations_size(),
            0);
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
