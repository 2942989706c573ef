// GET /metrics on the operators' address, with the nodes' figures, which scheduling tells.

#include <gmock/gmock.h>

#include "tests/integration/gateway_fixture.h"

namespace allod::gateway::gateway_metrics_test {
namespace {

using testing::HasSubstr;
using testing::Not;

class NodePeer final : public scheduling::v1::NodeService::Service {
 public:
  grpc::Status ListNodes(grpc::ServerContext* context, const scheduling::v1::ListNodesRequest* request,
                         scheduling::v1::ListNodesResponse* response) override {
    if (request->page_token().empty()) ++calls;
    if (hangs) {
      HoldUntilCancelled(*context);
      return grpc::Status::CANCELLED;
    }
    for (const int i : NextPage(*request, node_count, *response)) {
      auto& node = *response->add_nodes();
      node.set_name(i == 0 ? "nodes/local" : "nodes/n" + std::to_string(i));
      node.set_state(scheduling::v1::Node::STATE_READY);
      node.mutable_gate()->set_cores(2);
    }
    return grpc::Status::OK;
  }
  grpc::Status ListWorkers(grpc::ServerContext*, const scheduling::v1::ListWorkersRequest* request,
                           scheduling::v1::ListWorkersResponse* response) override {
    if (request->parent() != "nodes/-") return ToGrpc(Internal("asked wrongly").error());
    for (const int i : NextPage(*request, worker_count, *response)) {
      auto& worker = *response->add_workers();
      worker.set_name("nodes/local/workers/r" + std::to_string(i + 1));
      worker.set_instance(kInstance);
      worker.set_isolation_class(scheduling::v1::ISOLATION_CLASS_ISOLATED);
      worker.mutable_figures()->set_completion_tokens_total(tokens);
    }
    return grpc::Status::OK;
  }

  std::atomic<int> calls{0};
  std::atomic<int> node_count{1};
  std::atomic<int> worker_count{1};
  std::atomic<int> tokens{17};
  std::atomic<bool> hangs{false};

 private:
  // The numbers of what belongs on the page, never more than a service gives; the token is where the next begins.
  template <typename Request, typename Response>
  static std::vector<int> NextPage(const Request& request, int count, Response& response) {
    const int begin = request.page_token().empty() ? 0 : std::stoi(request.page_token());
    const int end = std::min(begin + std::clamp(request.page_size(), 1, 1000), count);
    if (end < count) response.set_next_page_token(std::to_string(end));
    std::vector<int> out;
    for (int i = begin; i < end; ++i) out.push_back(i);
    return out;
  }
};

class GatewayMetrics : public GatewayTest {
 protected:
  void SetUp() override {
    GatewayTest::SetUp();
    RestartScheduling();
  }
  void RestartScheduling() {
    scheduling_server_.reset();
    StartPeer(scheduling_server_, "scheduling", {&routes_, &nodes_});
  }
  std::string Page() {
    const auto response = Metrics();
    EXPECT_EQ(response.status, 200);
    EXPECT_THAT(response.body, HasSubstr("allod_gateway_connections"));
    return response.body;
  }
  bool Shows(const std::string& text) { return Page().find(text) != std::string::npos; }

  const std::string tokens_ = std::string("allod_worker_tokens_total{instance=\"") + kInstance +
                              "\",node=\"local\",replica=\"r1\",class=\"isolated\"} ";
  NodePeer nodes_;
};

TEST_F(GatewayMetrics, ThePageHasTheFiguresOfNodesAndWorkers) {
  ASSERT_TRUE(Eventually([&] { return Shows(tokens_ + "17\n"); }));
  EXPECT_TRUE(Shows("allod_node_gate_cores{node=\"local\"} 2\n"));
  nodes_.tokens = 18;
  EXPECT_TRUE(Eventually([&] { return Shows(tokens_ + "18\n"); }));
}

TEST_F(GatewayMetrics, ALargeInstallationIsShownWhole) {
  nodes_.node_count = 250;
  nodes_.worker_count = 1100;
  ASSERT_TRUE(Eventually([&] { return Shows(R"(node="n249")"); }));
  const std::string page = Page();
  const auto count = [&page](const std::string& text) {
    int found = 0;
    for (std::size_t at = 0; (at = page.find(text, at)) != std::string::npos; ++at) ++found;
    return found;
  };
  EXPECT_EQ(count("allod_node_up{"), 250);
  EXPECT_EQ(count("allod_worker_state{"), 1100);
  EXPECT_EQ(count(R"(replica="r1100")"), count(R"(replica="r1")"));
}

TEST_F(GatewayMetrics, ManyScrapesAreOneQuestionASecond) {
  ASSERT_TRUE(Eventually([&] { return Shows(tokens_); }));
  const int before = nodes_.calls;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) Page();
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LE(nodes_.calls - before, seconds);
}

TEST_F(GatewayMetrics, WithoutSchedulingThePageStillAnswersAndTheFiguresAreAbsent) {
  ASSERT_TRUE(Eventually([&] { return Shows(tokens_); }));
  scheduling_server_.reset();
  EXPECT_TRUE(Eventually([&] { return !Shows("allod_worker_"); }));
  RestartScheduling();
  EXPECT_TRUE(Eventually([&] { return Shows(tokens_); }));
}

TEST_F(GatewayMetrics, ASchedulingThatHangsHoldsThePageUpForHalfASecondAtMost) {
  ASSERT_TRUE(Eventually([&] { return Shows(tokens_); }));
  nodes_.hangs = true;
  EXPECT_TRUE(Eventually([&] { return !Shows("allod_worker_"); }));
  EXPECT_TRUE(Eventually([&] {
    const int before = nodes_.calls;
    const auto start = std::chrono::steady_clock::now();
    Page();
    return nodes_.calls > before && std::chrono::steady_clock::now() - start < std::chrono::seconds(1);
  }));
}

}  // namespace
}  // namespace allod::gateway::gateway_metrics_test
