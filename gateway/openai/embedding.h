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

namespace allod::gateway::openai {

class Embedding final : public serving::WorkerJob {
 public:
  // References must outlive the job. `headers` go into the response whatever it is.
  Embedding(EmbeddingRequest request, http::Headers headers, metering::MeteredRequest& metered,
            telemetry::InstanceMetrics metrics, http::ResponseWriter& out);

  serving::TokenBounds WorstCase(std::int64_t context_tokens) const override {
    return {context_tokens * embed_->inputs_size(), 0};
  }
  void Bound(const serving::TokenBounds& bounds) override { bounds_ = bounds; }
  serving::WorkerCall& Start(const std::shared_ptr<grpc::Channel>& channel, serving::WorkerCall::SteadyTime deadline,
                             const boost::asio::any_io_executor& executor) override;
  std::int64_t CompletionTokens() const override { return 0; }
  http::Awaitable<Progress> TakeMessage() override;
  http::Awaitable<Progress> TakeEnd() override;
  http::Awaitable<Progress> EndAtLimit() override;
  const Error& error() const override { return error_; }
  http::Awaitable<bool> KeepAlive() override;
  bool started() const override { return false; }
  bool delivered() const override { return false; }
  http::Awaitable<void> Fail(const Error& error) override;
  const serving::SpentTokens& spent() const override { return spent_; }

 private:
  // Whether the worker's answer is one to this request; error_ says what not.
  bool Fits(const inference::v1::EmbedResponse& response);

  const EmbeddingRequest request_;
  const std::shared_ptr<const inference::v1::EmbedRequest> embed_;
  const http::Headers headers_;
  metering::MeteredRequest& metered_;
  telemetry::InstanceMetrics metrics_;
  http::ResponseWriter& out_;
  const std::chrono::steady_clock::time_point start_;
  serving::SpentTokens spent_;
  serving::TokenBounds bounds_;
  Error error_;
  std::unique_ptr<serving::EmbedCall> call_;
};

}  // namespace allod::gateway::openai
