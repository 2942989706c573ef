// Runs one admitted generation: reserves its cost, finds a replica, passes tokens on, and says how it ended.
//
// A replica that cannot be reached or dies before any text was delivered is replaced by another, within the start wait:
// nothing was delivered, so nothing can be delivered twice. While it waits, a stream gets comments. The client's
// leaving cancels the worker's call at once.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "allod/billing/v1/usage.grpc.pb.h"
#include "gateway/answer_writer.h"
#include "gateway/config.h"
#include "gateway/metering.h"
#include "gateway/response_writer.h"
#include "gateway/routes.h"
#include "gateway/worker_call.h"

namespace allod::gateway {

// Shared by all generations; outlives them.
struct GenerationContext {
  const GatewayConfig& config;
  RouteTable& routes;
  billing::v1::UsageService::Stub& usage;
  std::atomic<int> start_waiters{0};
};

class Generation {
 public:
  // All references must outlive Run(). `request` is complete but for the id.
  Generation(GenerationContext& context, std::shared_ptr<const InstanceRoute> route,
             inference::v1::GenerateRequest request, MeteredRequest& metered, AnswerWriter& answer,
             ResponseWriter& out);

  // Answers the client in every case.
  Awaitable<void> Run(const billing::v1::ReserveRequest& reserve);

 private:
  // How one try on one replica ended.
  struct Attempt {
    bool finished = false;
    bool retry = false;
    Error error{Code::kUnknown};
  };

  // What billing answered, as an error for the client; drops the metering when nothing can have been reserved.
  Awaitable<Status> Reserve(const billing::v1::ReserveRequest& reserve);
  Awaitable<Result<std::shared_ptr<Replica>>> FindReplica();
  Awaitable<bool> WaitForRoutes(std::chrono::steady_clock::time_point until);
  Awaitable<Attempt> Try(Replica& replica);
  Awaitable<Attempt> Pump(WorkerCall& call);
  Awaitable<Attempt> TryUntilStarted();
  Awaitable<void> Conclude(const Attempt& attempt);
  void CountDelta();

  using SteadyTime = std::chrono::steady_clock::time_point;

  GenerationContext& context_;
  std::shared_ptr<const InstanceRoute> route_;
  inference::v1::GenerateRequest request_;
  MeteredRequest& metered_;
  AnswerWriter& answer_;
  ResponseWriter& out_;
  const std::int64_t completion_tokens_max_;
  const SteadyTime start_;
  const SteadyTime start_deadline_;
  const SteadyTime deadline_;
  SteadyTime next_comment_;
  SteadyTime last_delta_{};
  std::vector<std::string> failed_targets_;
};

// What the client may produce at most, by its own limit and the context.
std::int64_t CompletionTokensMax(const inference::v1::GenerateRequest& request, const InstanceRoute& route);

}  // namespace allod::gateway
