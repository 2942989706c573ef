#include "gateway/operators/pool_figures.h"

#include <algorithm>
#include <functional>

#include "gateway/telemetry/pool_metrics.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::operators {
namespace {

namespace scheduling = allod::scheduling::v1;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFresh{1000};
constexpr milliseconds kPageTimeout{500};
constexpr milliseconds kTimeout{5000};
// Below what a message of gRPC may have.
constexpr int kNodesPerPage = 100;
constexpr int kWorkersPerPage = 1000;

}  // namespace

bool PoolFigures::BeginToAsk(std::string& text) {
  const std::lock_guard lock(mutex_);
  if (asking_ || steady_clock::now() < fresh_until_) {
    text = text_;
    return false;
  }
  asking_ = true;
  return true;
}

void PoolFigures::EndAsking() {
  const std::lock_guard lock(mutex_);
  asking_ = false;
}

void PoolFigures::Keep(const std::string& text) {
  const std::lock_guard lock(mutex_);
  text_ = text;
  fresh_until_ = steady_clock::now() + kFresh;
}

template <typename Request, typename Response>
http::Awaitable<grpc::Status> PoolFigures::ListAll(ListMethod<Request, Response> method, Request request, Response& all,
                                                   SteadyTime deadline, http::ResponseWriter& out) {
  grpc::Status status;
  do {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    const auto context = MakeContext(Caller::Service("gateway"), std::clamp(left, milliseconds(1), kPageTimeout));
    Response page;
    const std::function<void(std::function<void(grpc::Status)>)> start = [&](std::function<void(grpc::Status)> done) {
      (scheduling_->async()->*method)(context.get(), &request, &page, std::move(done));
    };
    out.OnInterrupt([&context] { context->TryCancel(); });
    status = co_await http::AwaitRpc(start);
    out.OnInterrupt(nullptr);
    all.MergeFrom(page);  // its token replaces the last one's, unless it has none
    request.set_page_token(page.next_page_token());
  } while (status.ok() && !request.page_token().empty());
  co_return status;
}

http::Awaitable<std::string> PoolFigures::Text(http::ResponseWriter& out) {
  std::string text;
  if (!BeginToAsk(text)) co_return text;
  const Asking asking(*this);
  const SteadyTime deadline = steady_clock::now() + kTimeout;
  scheduling::ListNodesRequest nodes_request;
  nodes_request.set_page_size(kNodesPerPage);
  scheduling::ListNodesResponse nodes;
  const ListMethod<scheduling::ListNodesRequest, scheduling::ListNodesResponse> list_nodes = &Async::ListNodes;
  grpc::Status status = co_await ListAll(list_nodes, nodes_request, nodes, deadline, out);
  scheduling::ListWorkersRequest workers_request;
  workers_request.set_parent("nodes/-");
  workers_request.set_page_size(kWorkersPerPage);
  scheduling::ListWorkersResponse workers;
  if (status.ok()) {
    const ListMethod<scheduling::ListWorkersRequest, scheduling::ListWorkersResponse> list_workers =
        &Async::ListWorkers;
    status = co_await ListAll(list_workers, workers_request, workers, deadline, out);
  }
  if (status.ok()) text = telemetry::PoolMetricsText(nodes, workers);
  // Not an answer: the client that asked has left, and nothing is known about scheduling.
  if (status.error_code() != grpc::StatusCode::CANCELLED) Keep(text);
  co_return text;
}

}  // namespace allod::gateway::operators
