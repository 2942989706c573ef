// What the gateway measures of each instance. Names and labels follow OpenTelemetry's GenAI conventions where these
// have one: `gen_ai_request_model` is the instance's full name. At most 256 instances have series of their own, further
// ones share those of "other". Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace allod::gateway {

class InstanceMetrics {
 public:
  explicit InstanceMetrics(const std::string& label);
  ~InstanceMetrics();
  InstanceMetrics(const InstanceMetrics&) = delete;

  // allod_gateway_requests_total{gen_ai_operation_name,outcome} and gen_ai_server_request_duration_seconds: `operation`
  // is chat, text_completion or embeddings, `outcome` a billing.v1.Outcome.
  void FinishRequest(std::string_view operation, std::string_view outcome, std::chrono::nanoseconds elapsed);
  // allod_gateway_tokens_total{gen_ai_token_type}: read and delivered; `cached` of `prompt` were found in the prefix
  // cache.
  void CountTokens(std::int64_t prompt, std::int64_t cached, std::int64_t completion);
  // gen_ai_server_time_to_first_token_seconds, from admission to the first delta.
  void ObserveFirstToken(std::chrono::nanoseconds elapsed);
  // allod_gateway_inter_token_seconds, between two deltas of one answer.
  void ObserveNextToken(std::chrono::nanoseconds gap);
  // allod_gateway_wait_seconds, from admission until a worker accepted the request.
  void ObserveWait(std::chrono::nanoseconds elapsed);
  // allod_gateway_waiting_requests: for a worker that is started or woken.
  void AddWaiting(int change);

 private:
  struct Series;
  const std::unique_ptr<Series> series_;
};

// That of an instance that is, or was, routed to. Lives as long as the process.
InstanceMetrics& MetricsOf(const std::string& instance);

}  // namespace allod::gateway
