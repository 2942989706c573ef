// allod.inference.v1.WorkerService on one engine.
//
// Generate is served without a thread per call (generate_call.h). Embed occupies its RPC thread while it computes.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "inference/llama_engine.h"
#include "inference/worker/generate_call.h"

namespace allod::inference::worker {

struct WorkerIdentity {
  std::string instance;
  std::string artifact_sha256;
  std::vector<std::string> sandbox_layers;  // that are in force
};

class WorkerServiceImpl final : public v1::WorkerService::WithCallbackMethod_Generate<v1::WorkerService::Service> {
 public:
  // Both must outlive it; it must outlive the server. `identity` is complete when the first call comes.
  WorkerServiceImpl(Engine& engine, const WorkerIdentity& identity);

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(grpc::CallbackServerContext* context,
                                                           const v1::GenerateRequest* request) override;
  grpc::Status Embed(grpc::ServerContext* context, const v1::EmbedRequest* request,
                     v1::EmbedResponse* response) override;
  grpc::Status GetWorkerStatus(grpc::ServerContext* context, const v1::GetWorkerStatusRequest* request,
                               v1::WorkerStatus* response) override;

 private:
  Engine& engine_;
  const WorkerIdentity& identity_;
  CallThreads threads_;
};

}  // namespace allod::inference::worker
