// The job of a chat completion or completion: passes what the worker writes on to the client.
#pragma once

#include <memory>

#include "allod/inference/v1/worker.pb.h"
#include "gateway/answer_writer.h"
#include "gateway/generate_call.h"
#include "gateway/instance_metrics.h"
#include "gateway/worker_job.h"

namespace allod::gateway {

class Generation final : public WorkerJob {
 public:
  // References must outlive the job. `request` is complete.
  Generation(inference::v1::GenerateRequest request, AnswerWriter& answer, InstanceMetrics& metrics);

  WorkerCall& Start(const std::shared_ptr<grpc::Channel>& channel, WorkerCall::SteadyTime deadline,
                    const boost::asio::any_io_executor& executor) override;
  Awaitable<Progress> TakeMessage() override;
  Awaitable<Progress> TakeEnd() override;
  const Error& error() const override { return error_; }
  Awaitable<bool> KeepAlive() override { return answer_.KeepAlive(); }
  bool started() const override { return started_; }
  bool delivered() const override { return answer_.has_text(); }
  Awaitable<void> Fail(const Error& error) override;

 private:
  Progress Broken(const char* what);
  void CountDelta();

  // null once it cannot be sent again.
  std::shared_ptr<const inference::v1::GenerateRequest> request_;
  const bool chat_;
  const bool grammar_;
  const int choice_count_;
  AnswerWriter& answer_;
  InstanceMetrics& metrics_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_delta_{};
  bool started_ = false;
  Error error_;
  std::unique_ptr<GenerateCall> call_;
};

// What all answers together may have at most, by the client's own limit and the context.
std::int64_t CompletionTokensMax(const inference::v1::GenerateRequest& request, std::int64_t context_tokens);

}  // namespace allod::gateway
