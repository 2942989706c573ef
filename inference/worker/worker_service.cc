#include "inference/worker/worker_service.h"

#include <chrono>
#include <utility>

#include "inference/worker/convert.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {
namespace {

constexpr std::chrono::milliseconds kCancelPoll{20};

std::unexpected<Error> Cancelled() { return Fail(Code::kCancelled, "CANCELLED", "the caller went away"); }

// Writes events until the last; the generation is cancelled when this returns early.
Status Relay(grpc::ServerContext& context, Generation& generation, grpc::ServerWriter<v1::GenerateResponse>& writer) {
  while (true) {
    ALLOD_TRY(auto event, generation.Next(kCancelPoll));
    if (context.IsCancelled()) return Cancelled();
    if (!event) continue;
    const bool is_last = std::holds_alternative<Finished>(*event);
    if (!writer.Write(ToProto(*std::move(event)))) return Cancelled();
    if (is_last) return {};
  }
}

// Gateways, operators and the node agent; no tenant talks to a worker past the gateway.
Status RequireInfrastructure(const Caller& caller) {
  if (caller.kind == Caller::Kind::kNode) return {};
  return RequirePlatform(caller);
}

}  // namespace

WorkerServiceImpl::WorkerServiceImpl(Engine& engine, WorkerIdentity identity)
    : engine_(engine), identity_(std::move(identity)) {}

grpc::Status WorkerServiceImpl::Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                                         grpc::ServerWriter<v1::GenerateResponse>* writer) {
  return HandleStream("inference.Generate", context, [&](const Caller& caller) -> Status {
    ALLOD_CHECK_OK(RequirePlatform(caller));
    ALLOD_TRY(const GenerationRequest generation_request, FromProto(*request));
    ALLOD_TRY(const auto generation, engine_.Submit(generation_request));
    return Relay(*context, *generation, *writer);
  });
}

grpc::Status WorkerServiceImpl::GetWorkerStatus(grpc::ServerContext* context, const v1::GetWorkerStatusRequest* request,
                                                v1::WorkerStatus* response) {
  return Handle("inference.GetWorkerStatus", context, request, response,
                [&](const Caller& caller) -> Result<v1::WorkerStatus> {
                  ALLOD_CHECK_OK(RequireInfrastructure(caller));
                  const EngineStatus status = engine_.status();
                  v1::WorkerStatus out;
                  out.set_instance(identity_.instance);
                  out.set_artifact_sha256(identity_.artifact_sha256);
                  out.set_context_tokens(status.context_tokens);
                  out.set_max_sequences(status.max_sequences);
                  out.set_active_sequences(status.active_sequences);
                  out.set_queued_requests(status.queued_requests);
                  out.set_prompt_tokens_total(status.prompt_tokens_total);
                  out.set_completion_tokens_total(status.completion_tokens_total);
                  for (const std::string& layer : identity_.sandbox_layers) out.add_sandbox_layers(layer);
                  return out;
                });
}

}  // namespace allod::inference::worker
