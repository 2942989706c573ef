// What the gateway measures of each instance. Names and labels follow OpenTelemetry's GenAI conventions where these
// have one: `gen_ai_request_model` is the instance's full name. Thread-safe.
//
// Instances that are asked of have series of their own, kNamedMax of them at most. One that is deleted loses them when
// its last request has ended; when there is room for no more, one that was not asked of for ten minutes makes way. What
// finds no room even so is counted under "other", and as such in allod_gateway_requests_folded_total.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace allod::gateway::telemetry {

// A handle: cheap to copy; the series stay as long as there is one.
class InstanceMetrics {
 public:
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

  const std::string& label() const;

 private:
  friend class InstanceMetricsBook;
  struct Series;
  explicit InstanceMetrics(std::shared_ptr<Series> series) : series_(std::move(series)) {}
  std::shared_ptr<Series> series_;
};

// Which instances have series of their own.
class InstanceMetricsBook {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kNamedMax = 256;
  static constexpr std::chrono::minutes kIdle{10};

  InstanceMetricsBook() = default;
  InstanceMetricsBook(const InstanceMetricsBook&) = delete;

  InstanceMetrics Of(const std::string& instance, Time now);
  // The instance is not routed to any more.
  void Forget(const std::string& instance);
  std::size_t named() const;

 private:
  struct Entry {
    std::shared_ptr<InstanceMetrics::Series> series;
    Time used;
    bool gone = false;
  };
  using Entries = std::map<std::string, Entry>;
  // With the lock held:
  void DropGone();
  bool MakeRoom(Time now);

  mutable std::mutex mutex_;
  Entries entries_;                                 // by instance
  int gone_ = 0;                                    // of them
  std::shared_ptr<InstanceMetrics::Series> other_;  // null until it is needed
};

// Those of the process's book.
InstanceMetrics MetricsOf(const std::string& instance);
void ForgetMetricsOf(const std::string& instance);

}  // namespace allod::gateway::telemetry
