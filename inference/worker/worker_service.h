// allod.inference.v1.WorkerService on one engine.
//
// Each Generate call occupies one thread, which waits for text with a time limit so that it sees a caller that went
// away within 20 ms even while nothing is generated. A caller that stalls blocks the write; the engine then pauses that
// sequence.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "inference/llama_engine.h"

namespace allod::inference::worker {

struct WorkerIdentity {
  std::string instance;
  std::string artifact_sha256;
  std::vector<std::string> sandbox_layers;  // LayersInForce() of the main thread
};

class WorkerServiceImpl final : public v1::WorkerService::Service {
 public:
  // `engine` must outlive it.
  WorkerServiceImpl(Engine& engine, WorkerIdentity identity);

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override;
  grpc::Status GetWorkerStatus(grpc::ServerContext* context, const v1::GetWorkerStatusRequest* request,
                               v1::WorkerStatus* response) override;

 private:
  Engine& engine_;
  const WorkerIdentity identity_;
};

}  // namespace allod::inference::worker
