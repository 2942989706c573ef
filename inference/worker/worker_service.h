// allod.inference.v1.WorkerService over what the worker serves.
//
// Generate and Embed are served without a thread per call (generate_call.h, embed_call.h).
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "inference/ports/servable.h"
#include "inference/worker/generate_call.h"

namespace allod::inference::worker {

struct WorkerIdentity {
  std::string instance;
  std::string artifact_sha256;
  std::vector<std::string> sandbox_layers;  // that are in force
};

using WorkerServiceBase = v1::WorkerService::WithCallbackMethod_Generate<
    v1::WorkerService::WithCallbackMethod_Embed<v1::WorkerService::Service>>;

class WorkerServiceImpl final : public WorkerServiceBase {
 public:
  // Both must outlive it; it must outlive the server. `identity` is complete when the first call comes.
  WorkerServiceImpl(ports::Servable& servable, const WorkerIdentity& identity);

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(grpc::CallbackServerContext* context,
                                                           const v1::GenerateRequest* request) override;
  grpc::ServerUnaryReactor* Embed(grpc::CallbackServerContext* context, const v1::EmbedRequest* request,
                                  v1::EmbedResponse* response) override;
  // Waits for the generations under way, and ends what is left of them: after `max`, or as soon as for `quiet` nothing
  // was computed and no caller took anything. `look` is called now and then. For a server that takes no new calls.
  void Drain(std::chrono::milliseconds max, std::chrono::milliseconds quiet, const std::function<void()>& look);
  std::int32_t open_calls() const { return threads_.open().count(); }
  grpc::Status GetWorkerStatus(grpc::ServerContext* context, const v1::GetWorkerStatusRequest* request,
                               v1::WorkerStatus* response) override;

 private:
  ports::Servable& servable_;
  const WorkerIdentity& identity_;
  CallThreads threads_;
};

}  // namespace allod::inference::worker
