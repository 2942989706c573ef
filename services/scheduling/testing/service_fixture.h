// The services of allod-scheduling over real gRPC, with the store in memory and small servers as peers.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "services/common/rpc/client.h"
#include "services/scheduling/node_agent_service.h"
#include "services/scheduling/node_service.h"
#include "services/scheduling/testing/scheduling_on_fakes.h"
#include "tests/support/temp_dir.h"

namespace allod::scheduling {

using google::longrunning::Operations;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ProtoOperation = google::longrunning::Operation;

inline constexpr milliseconds kTimeout{10'000};
inline const Caller kTenant = Caller::Tenant("ke");

class SchedulingServiceTest : public testing::Test {
 public:
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

 protected:
  SchedulingServiceTest() {
    server_ =
        *Server::Start({.listen = address_}, {&scheduling_.instances, &scheduling_.quotes, &scheduling_.operations,
                                              &nodes_, &scheduling_.region_service, &agents_, &scheduling_.routes});
    const auto channel = MakeChannel(address_);
    instance_stub_ = v1::InstanceService::NewStub(channel);
    operation_stub_ = Operations::NewStub(channel);
    node_stub_ = v1::NodeService::NewStub(channel);
    region_stub_ = v1::RegionService::NewStub(channel);
    agent_stub_ = v1::NodeAgentService::NewStub(channel);
    route_stub_ = v1::RouteService::NewStub(channel);
    reconciler_.Start();
  }
  ~SchedulingServiceTest() override {
    scheduling_.routes.Stop();
    reconciler_.Stop();
    driver_.Stop();
    server_->Stop(milliseconds(1000));
  }

  Result<ProtoOperation> Create(const v1::CreateInstanceRequest& request, const Caller& caller = kTenant) {
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::CreateInstance, request, caller, kTimeout);
  }
  Result<v1::Instance> Get(const std::string& id, const Caller& caller = kTenant) {
    v1::GetInstanceRequest request;
    request.set_name("tenants/ke/projects/p/instances/" + id);
    return CallUnary(*instance_stub_, &v1::InstanceService::Stub::GetInstance, request, caller, kTimeout);
  }
  Result<ProtoOperation> Wait(const std::string& name) {
    google::longrunning::WaitOperationRequest request;
    request.set_name(name);
    request.mutable_timeout()->set_seconds(8);
    return CallUnary(*operation_stub_, &Operations::Stub::WaitOperation, request, kTenant, kTimeout);
  }
  // A node whose workers are ready the moment they are assigned, until it is stopped.
  class Agent {
   public:
    Agent(v1::NodeAgentService::Stub& stub, const std::string& id, const std::string& region = "regions/ke-1",
          const std::string& jurisdiction = "ke")
        : stub_(stub), id_(id), context_(MakeStreamContext(Caller::Node(id))) {
      v1::WatchAssignmentsRequest request;
      request.set_node("nodes/" + id);
      request.set_region(region);
      request.set_jurisdiction(jurisdiction);
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
        (void)CallUnary(stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node(id_), kTimeout);
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
  SchedulingOnFakes scheduling_{clock_};
  FakeStore& store_ = scheduling_.store;
  FakePeerServices& peers_ = scheduling_.peers;
  drivers::ProcessDriver& driver_ = scheduling_.driver;
  Reconciler& reconciler_ = scheduling_.reconciler;
  CallGates& gates_ = scheduling_.gates;
  Watchers& gateways_ = scheduling_.gateways;
  NodeServiceImpl nodes_{store_, driver_, scheduling_.figures, clock_, scheduling_.regions};
  NodeAgentServiceImpl agents_{store_, driver_, scheduling_.figures, clock_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::InstanceService::Stub> instance_stub_;
  std::unique_ptr<Operations::Stub> operation_stub_;
  std::unique_ptr<v1::NodeService::Stub> node_stub_;
  std::unique_ptr<v1::RegionService::Stub> region_stub_;
  std::unique_ptr<v1::NodeAgentService::Stub> agent_stub_;
  std::unique_ptr<v1::RouteService::Stub> route_stub_;
};

// A gateway that follows changes of routes and acknowledges them.
class Gateway {
 public:
  explicit Gateway(v1::RouteService::Stub& stub, bool acknowledges = true, milliseconds takes = milliseconds(5))
      : stub_(stub),
        acknowledges_(acknowledges),
        takes_(takes),
        context_(MakeStreamContext(Caller::Service("gateway"))) {
    context_->set_wait_for_ready(true);
    thread_ = std::thread([this] { Run(); });
    while (!synced_) std::this_thread::sleep_for(milliseconds(1));
  }
  ~Gateway() {
    leaving_ = true;
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
      std::this_thread::sleep_for(takes_);
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
      const auto told = CallUnary(stub_, &v1::RouteService::Stub::AcknowledgeRoutes, acknowledgement,
                                  Caller::Service("gateway"), kTimeout);
      EXPECT_TRUE(told || leaving_) << told.error().message;
    }
    (void)stream->Finish();
  }

  v1::RouteService::Stub& stub_;
  const bool acknowledges_;
  const milliseconds takes_;  // to apply what it is sent
  std::unique_ptr<grpc::ClientContext> context_;
  std::atomic<bool> synced_ = false;
  std::atomic<bool> leaving_ = false;
  std::atomic<int> routes_sent_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, v1::Route> routes_;
  std::thread thread_;
};

}  // namespace allod::scheduling
