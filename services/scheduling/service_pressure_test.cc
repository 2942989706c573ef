// Whatever one tenant asks for: nodes, gateways and the other tenants are answered.
#include <grpcpp/completion_queue.h>

#include <stdexcept>

#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_pressure_test {
namespace {

// So many creations by each of several keys of tenants/ke at once, each key over a connection of its own.
class Flood {
 public:
  Flood(const std::string& address, int keys, int calls) {
    for (int key = 0; key < keys; ++key) {
      stubs_.push_back(v1::InstanceService::NewStub(MakeChannel(address)));
      for (int i = 0; i < calls; ++i) {
        auto& sent = *sent_.emplace_back(std::make_unique<Sent>());
        sent.context = MakeContext(Caller::Key("ke", "p", {"portal"}), milliseconds(30'000));
        sent.context->set_wait_for_ready(true);
        const v1::CreateInstanceRequest request =
            SchedulingServiceTest::CreateRequest("f" + std::to_string(key) + "-" + std::to_string(i));
        sent.call = stubs_.back()->AsyncCreateInstance(sent.context.get(), request, &queue_);
        sent.call->Finish(&sent.answer, &sent.status, &sent);
      }
    }
  }
  ~Flood() {
    while (answered_ < sent_.size()) Next();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  // Of the next call that is answered.
  grpc::Status Next() {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue_.Next(&tag, &ok));
    ++answered_;
    return static_cast<Sent*>(tag)->status;
  }
  std::size_t unanswered() const { return sent_.size() - answered_; }

 private:
  struct Sent {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<ProtoOperation>> call;
    ProtoOperation answer;
    grpc::Status status;
  };
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<v1::InstanceService::Stub>> stubs_;
  std::vector<std::unique_ptr<Sent>> sent_;
  std::size_t answered_ = 0;
};

// As many places as the tenant is given.
std::vector<CallGate::Pass> TakeAll(CallGate& gate) {
  std::vector<CallGate::Pass> places;
  while (true) {
    auto place = gate.Enter(kTenant);
    if (!place) return places;
    places.push_back(*std::move(place));
  }
}

class SchedulingPressure : public SchedulingServiceTest {
 protected:
  Result<v1::ReportWorkersResponse> Report() {
    v1::ReportWorkersRequest report;
    report.set_node("nodes/n");
    return CallUnary(*agent_stub_, &v1::NodeAgentService::Stub::ReportWorkers, report, Caller::Node("n"),
                     milliseconds(2000));
  }
  Result<ProtoOperation> CreateForNeighbour() {
    auto request = CreateRequest();
    request.set_parent(std::string(FakePeerServices::kNeighbour) + "/projects/p");
    return Create(request, Caller::Key("ug", "p", {"portal"}));
  }
};

TEST_F(SchedulingPressure, ATenantsFloodOfChangesLeavesNodesAndNeighboursAnswered) {
  Agent agent(*agent_stub_, "n");
  Gateway slow(*route_stub_, true, milliseconds(300));
  while (!Report()) std::this_thread::sleep_for(milliseconds(1));  // until the node has joined
  Flood flood(address_, 4, 80);                                    // more than the server has threads
  for (int i = 0; i < 20; ++i) {
    const auto reported = Report();
    EXPECT_TRUE(reported) << reported.error().message;
  }
  const auto created = CreateForNeighbour();
  EXPECT_TRUE(created) << created.error().message;
  int made = 0;
  while (flood.unanswered() > 0) {
    const grpc::Status status = flood.Next();
    made += status.ok() ? 1 : 0;
    if (status.ok()) continue;
    const Error refusal = FromGrpc(status);
    EXPECT_EQ(refusal.reason, "TOO_MANY_CALLS") << refusal.message;
    EXPECT_EQ(refusal.code, Code::kResourceExhausted);
    EXPECT_TRUE(refusal.retry_after.has_value());
  }
  EXPECT_GE(made, 16) << "its share";
}

TEST_F(SchedulingPressure, SixteenParallelChangesOfATenantAreNotHeldUp) {
  Gateway slow(*route_stub_, true, milliseconds(50));
  Flood pipeline(address_, 2, 8);
  while (pipeline.unanswered() > 0) {
    const grpc::Status status = pipeline.Next();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

TEST_F(SchedulingPressure, ATenantsReadsLeaveTheOthersTheirTurn) {
  ASSERT_TRUE(Create(CreateRequest()));
  ASSERT_TRUE(CreateForNeighbour());
  std::vector<CallGate::Pass> running;
  for (int i = 0; i < 2; ++i) running.push_back(gates_.reads.Enter(kTenant).value());
  EXPECT_EQ(Get("a").error().reason, "TOO_MANY_CALLS") << "when its wait is over";
  v1::GetInstanceRequest request;
  request.set_name(std::string(FakePeerServices::kNeighbour) + "/projects/p/instances/a");
  EXPECT_TRUE(
      CallUnary(*instance_stub_, &v1::InstanceService::Stub::GetInstance, request, Caller::Tenant("ug"), kTimeout));
  EXPECT_TRUE(Get("a", Caller::Operator()));
}

TEST_F(SchedulingPressure, TwoTenantsReadsLeaveOthersAndTheOperatorTheirs) {
  ASSERT_TRUE(Create(CreateRequest()));
  std::vector<CallGate::Pass> running;
  for (const char* tenant : {"tz", "rw"}) {
    for (int i = 0; i < 2; ++i) running.push_back(gates_.reads.Enter(Caller::Tenant(tenant)).value());
  }
  EXPECT_TRUE(Get("a"));
  for (const char* tenant : {"ug", "bi"}) {
    for (int i = 0; i < 2; ++i) running.push_back(gates_.reads.Enter(Caller::Tenant(tenant)).value());
  }
  EXPECT_EQ(Get("a").error().reason, "TOO_MANY_CALLS") << "every place is taken";
  EXPECT_TRUE(Get("a", Caller::Operator())) << "has places of its own";
}

TEST_F(SchedulingPressure, APageOfOperationsIsReadAtOnceWhateverItsSize) {
  const TenantId ke = *TenantId::FromName("tenants/ke");
  const std::string name = "tenants/ke/projects/p/instances/a";
  ASSERT_TRUE(Create(CreateRequest()));
  reconciler_.Stop();
  Changes ends;
  for (int i = 0; i < 300; ++i) {
    const Instance instance = *store_.GetInstance(ke, name);
    InstanceChange change{ke, Uuid::V7(), name, EtagOf(instance), instance.current()};
    change.revision.spec.replicas = 1 + instance.current().spec.replicas % 2;
    ASSERT_TRUE(store_.UpdateInstance(change, {}));
    ends.operations.push_back({change.operation, "ready", true});
  }
  ASSERT_TRUE(store_.Apply(ke, ends));
  const int before = store_.calls();
  google::longrunning::ListOperationsRequest request;
  request.set_name("tenants/ke");
  request.set_page_size(1000);
  const auto page = CallUnary(*operation_stub_, &Operations::Stub::ListOperations, request, kTenant, kTimeout);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->operations_size(), 301);
  v1::Instance answer;
  EXPECT_TRUE(page->operations(0).response().UnpackTo(&answer));
  EXPECT_EQ(answer.generation(), 301);
  EXPECT_EQ(store_.calls() - before, 1);
}

TEST_F(SchedulingPressure, AWaitThatFindsNoPlaceIsAnsweredAtOnce) {
  const auto created = Create(CreateRequest());  // never ready: there is no node
  ASSERT_TRUE(created);
  const auto waiting = TakeAll(gates_.waits);
  const auto start = std::chrono::steady_clock::now();
  const auto answer = Wait(created->name());  // asks for 8 s
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_FALSE(answer->done());
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
}

TEST(WaitOperation, GivesItsPlaceBackAlsoWhenItThrows) {
  class ThrowingStore final : public FakeStore {
   public:
    using FakeStore::FakeStore;
    Result<Operation> GetOperation(const TenantId& /*tenant*/, const Uuid& /*id*/) override {
      throw std::runtime_error("out of luck");
    }
  };
  const SystemClock clock;
  ThrowingStore store(clock);
  const ChangeSignal progress;
  CallGates gates;
  OperationsServiceImpl operations(store, progress, gates);
  const TempDir sockets;
  const std::string address = "unix:" + (sockets / "s.sock").string();
  v1::InstanceService::Service instances;  // whose operations they are
  const auto server = *Server::Start({.listen = address}, {&instances, &operations});
  const auto stub = Operations::NewStub(MakeChannel(address));
  google::longrunning::WaitOperationRequest request;
  request.set_name("tenants/ke/operations/" + Uuid::V7().ToString());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(CallUnary(*stub, &Operations::Stub::WaitOperation, request, kTenant, kTimeout).error().code,
              Code::kInternal);
  }
  const auto places = TakeAll(gates.waits);
  EXPECT_EQ(places.size(), 32u);
}

}  // namespace
}  // namespace allod::scheduling::service_pressure_test
