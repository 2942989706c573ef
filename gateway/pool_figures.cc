#include "gateway/pool_figures.h"

#include <functional>

#include "gateway/pool_metrics.h"
#include "services/common/rpc/client.h"

namespace allod::gateway {
namespace {

namespace scheduling = allod::scheduling::v1;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFresh{1000};
constexpr milliseconds kTimeout{500};
constexpr int kNodesMax = 100;
constexpr int kWorkersMax = 1000;

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

void PoolFigures::Keep(const std::string& text, bool is_answer) {
  const std::lock_guard lock(mutex_);
  asking_ = false;
  if (!is_answer) return;
  text_ = text;
  fresh_until_ = steady_clock::now() + kFresh;
}

Awaitable<std::string> PoolFigures::Text(ResponseWriter& out) {
  std::string text;
  if (!BeginToAsk(text)) co_return text;
  const auto nodes_context = MakeContext(Caller::Service("gateway"), kTimeout);
  const auto workers_context = MakeContext(Caller::Service("gateway"), kTimeout);
  out.OnInterrupt([&] {
    nodes_context->TryCancel();
    workers_context->TryCancel();
  });
  scheduling::ListNodesRequest nodes_request;
  nodes_request.set_page_size(kNodesMax);
  scheduling::ListNodesResponse nodes;
  const std::function<void(std::function<void(grpc::Status)>)> list_nodes =
      [&](std::function<void(grpc::Status)> done) {
        scheduling_->async()->ListNodes(nodes_context.get(), &nodes_request, &nodes, std::move(done));
      };
  grpc::Status status = co_await AwaitRpc(list_nodes);
  scheduling::ListWorkersRequest workers_request;
  workers_request.set_parent("nodes/-");
  workers_request.set_page_size(kWorkersMax);
  scheduling::ListWorkersResponse workers;
  if (status.ok()) {
    const std::function<void(std::function<void(grpc::Status)>)> list_workers =
        [&](std::function<void(grpc::Status)> done) {
          scheduling_->async()->ListWorkers(workers_context.get(), &workers_request, &workers, std::move(done));
        };
    status = co_await AwaitRpc(list_workers);
  }
  out.OnInterrupt(nullptr);
  if (status.ok()) {
    text = PoolMetricsText(nodes, workers);
  }
  Keep(text, status.error_code() != grpc::StatusCode::CANCELLED);
  co_return text;
}

}  // namespace allod::gateway
