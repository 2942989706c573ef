// The job of an embeddings request: one call, one whole answer.
#pragma once

#include <memory>

#include "gateway/http/message.h"
#include "gateway/http/response_writer.h"
#include "gateway/metering/metered_request.h"
#include "gateway/openai/embedding_request.h"
#include "gateway/serving/embed_call.h"
#include "gateway/serving/spent_tokens.h"
#include "gateway/serving/worker_job.h"
#include "gateway/telemetry/instance_metrics.h"

namespace allod::gateway {

class Embedding final : public WorkerJob {
 public:
  // References must outlive the job. `headers` go into the response whatever it is.
  Embedding(OpenAiEmbeddingRequest request, HttpHeaders headers, MeteredRequest& metered, InstanceMetrics metrics,
            ResponseWriter& out);

  TokenBounds WorstCase(std::int64_t context_tokens) const override {
    return {context_tokens * embed_->inputs_size(), 0};
  }
  void Bound(const TokenBounds& bounds) override { bounds_ = bounds; }
  WorkerCall& Start(const std::shared_ptr<grpc::Channel>& channel, WorkerCall::SteadyTime deadline,
                    const boost::asio::any_io_executor& executor) override;
  Awaitable<Progress> TakeMessage() override;
  Awaitable<Progress> TakeEnd() override;
  const Error& error() const override { return error_; }
  Awaitable<bool> KeepAlive() override;
  bool started() const override { return false; }
  bool delivered() const override { return false; }
  Awaitable<void> Fail(const Error& error) override;
  const SpentTokens& spent() const { return spent_; }

 private:
  // Whether the worker's answer is one to this request; error_ says what not.
  bool Fits(const inference::v1::EmbedResponse& response);

  const OpenAiEmbeddingRequest request_;
  const std::shared_ptr<const inference::v1::EmbedRequest> embed_;
  const HttpHeaders headers_;
  MeteredRequest& metered_;
  InstanceMetrics metrics_;
  ResponseWriter& out_;
  const std::chrono::steady_clock::time_point start_;
  SpentTokens spent_;
  TokenBounds bounds_;
  Error error_;
  std::unique_ptr<EmbedCall> call_;
};

}  // namespace allod::gateway
