#include "inference/worker/worker_service.h"

#include <thread>
#include <tuple>

#include "inference/worker/embed_call.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {
namespace {

constexpr std::chrono::milliseconds kDrainLook{20};

}  // namespace

WorkerServiceImpl::WorkerServiceImpl(ports::Servable& servable, const WorkerIdentity& identity)
    : servable_(servable), identity_(identity), threads_(servable) {}

grpc::ServerWriteReactor<v1::GenerateResponse>* WorkerServiceImpl::Generate(grpc::CallbackServerContext* context,
                                                                            const v1::GenerateRequest* request) {
  return GenerateCall::Start(threads_, *context, *request);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Embed(grpc::CallbackServerContext* context,
                                                   const v1::EmbedRequest* request, v1::EmbedResponse* response) {
  return EmbedCall::Start(threads_, *context, *request, *response);
}

grpc::Status WorkerServiceImpl::GetWorkerStatus(grpc::ServerContext* context, const v1::GetWorkerStatusRequest* request,
                                                v1::WorkerStatus* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::WorkerStatus> {
    const ports::ServableFigures figures = servable_.figures();
    v1::WorkerStatus out;
    out.set_instance(identity_.instance);
    out.set_artifact_sha256(identity_.artifact_sha256);
    out.set_context_tokens(figures.context_tokens);
    out.set_max_sequences(figures.max_sequences);
    out.set_active_sequences(figures.active_sequences);
    out.set_queued_requests(figures.queued_requests);
    out.set_prompt_tokens_total(figures.prompt_tokens_total);
    out.set_completion_tokens_total(figures.completion_tokens_total);
    for (const std::string& layer : identity_.sandbox_layers) out.add_sandbox_layers(layer);
    return out;
  });
}

void WorkerServiceImpl::Drain(std::chrono::milliseconds max, std::chrono::milliseconds quiet,
                              const std::function<void()>& look) {
  using std::chrono::steady_clock;
  const auto progress = [&] {
    const ports::ServableFigures figures = servable_.figures();
    return std::tuple(threads_.open().writes_total(), figures.turns_total, open_calls());
  };
  const auto start = steady_clock::now();
  auto seen = progress();
  auto moved_at = start;
  while (open_calls() > 0) {
    const auto now = steady_clock::now();
    if (const auto current = progress(); current != seen) {
      seen = current;
      moved_at = now;
    }
    if (now - start >= max || now - moved_at >= quiet) return threads_.open().EndAll();
    look();
    std::this_thread::sleep_for(kDrainLook);
  }
}

}  // namespace allod::inference::worker
