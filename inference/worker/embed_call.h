// One Embed call: like a Generate call it holds no thread while it waits or is computed, so one tenant's many requests
// take none from another's.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>

#include "allod/inference/v1/worker.pb.h"
#include "inference/ports/servable.h"
#include "inference/worker/generate_call.h"
#include "services/common/metrics.h"
#include "services/common/result.h"
#include "services/common/rpc/method.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {

class EmbedCall final : public grpc::ServerUnaryReactor,
                        public SubmittedCall,
                        public std::enable_shared_from_this<EmbedCall> {
 public:
  // Starts the call; it lives until gRPC is done with it.
  static EmbedCall* Start(CallThreads& threads, grpc::CallbackServerContext& context, const v1::EmbedRequest& request,
                          v1::EmbedResponse& response);

  void OnCancel() override { is_cancelled_.store(true); }
  void OnDone() override;

  const std::string& tenant() const override { return request_.tenant_uid; }
  bool has_constraint() const override { return false; }
  void SubmitTo(ports::Servable& servable) override;
  void Refuse(const Error& error) override { End(std::unexpected(error)); }

 private:
  EmbedCall(Trace trace, v1::EmbedResponse& response) : trace_(std::move(trace)), response_(response) {}
  // Once, with the answer or what went wrong.
  void End(const Status& status);

  const Trace trace_;
  v1::EmbedResponse& response_;
  RpcObservation observation_{MethodOf<v1::EmbedRequest>().name.c_str()};
  std::shared_ptr<EmbedCall> self_;  // until OnDone
  ports::EmbeddingRequest request_;  // until it is submitted
  std::atomic<bool> is_cancelled_ = false;
};

}  // namespace allod::inference::worker
