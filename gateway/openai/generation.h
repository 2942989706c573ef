// The job of a chat completion or completion: passes what the worker writes on to the client.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/openai/answer_check.h"
#include "gateway/openai/answer_writer.h"
#include "gateway/serving/generate_call.h"
#include "gateway/serving/spent_tokens.h"
#include "gateway/serving/worker_job.h"
#include "gateway/telemetry/instance_metrics.h"

namespace allod::gateway::openai {

class Generation final : public serving::WorkerJob {
 public:
  // References must outlive the job. `request` is complete, `trace` that of the client's request.
  Generation(inference::v1::GenerateRequest request, const Trace& trace, AnswerWriter& answer,
             telemetry::InstanceMetrics metrics);

  serving::TokenBounds WorstCase(std::int64_t context_tokens) const override;
  void Bound(const serving::TokenBounds& bounds) override;
  serving::WorkerCall& Start(const std::shared_ptr<grpc::Channel>& channel, serving::WorkerCall::SteadyTime deadline,
                             const boost::asio::any_io_executor& executor) override;
  std::int64_t CompletionTokens() const override;
  http::Awaitable<Progress> TakeMessage() override;
  http::Awaitable<Progress> TakeEnd() override;
  http::Awaitable<Progress> EndAtLimit() override;
  const Error& error() const override { return error_; }
  http::Awaitable<bool> KeepAlive() override { return answer_.KeepAlive(); }
  bool started() const override { return started_; }
  bool delivered() const override { return answer_.has_text(); }
  http::Awaitable<void> Fail(const Error& error) override;
  const serving::SpentTokens& spent() const override { return spent_; }

 private:
  Progress Broken(std::string what);
  // What cannot be of this answer ends it as a fault, and is not billed.
  std::string CheckMessage(const inference::v1::GenerateResponse& message);
  void CountDelta();

  // null once it cannot be sent again.
  std::shared_ptr<inference::v1::GenerateRequest> request_;
  const Trace trace_;
  const bool chat_;
  const char* const constraint_param_;
  const int choice_count_;
  const std::int64_t asked_completion_tokens_;  // of each choice; 0: not said
  std::optional<AnswerCheck> check_;            // of the call that runs
  AnswerWriter& answer_;
  telemetry::InstanceMetrics metrics_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_delta_{};
  bool started_ = false;
  std::int64_t tokens_ = 0;  // of the call that runs, taken
  serving::SpentTokens spent_;
  serving::TokenBounds bounds_;
  Error error_;
  std::unique_ptr<serving::GenerateCall> call_;
};

// What all answers together may have at most, by the client's own limit (0: none) and the context.
std::int64_t CompletionTokensMax(std::int64_t asked, int choice_count, std::int64_t context_tokens);

}  // namespace allod::gateway::openai
