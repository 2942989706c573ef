#include "gateway/instance_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <mutex>

#include "services/common/metrics.h"

namespace allod::gateway {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;
using std::chrono::nanoseconds;

constexpr std::size_t kInstancesMax = 256;
constexpr char kModel[] = "gen_ai_request_model";

const Buckets& LatencyBuckets() {
  static const Buckets buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
  return buckets;
}

double Seconds(nanoseconds elapsed) { return std::chrono::duration<double>(elapsed).count(); }

struct Families {
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter()
          .Name("allod_gateway_requests_total")
          .Help("Metered requests ended, by instance, operation and outcome.")
          .Register(Metrics());
  prometheus::Family<prometheus::Histogram>& durations =
      prometheus::BuildHistogram()
          .Name("gen_ai_server_request_duration_seconds")
          .Help("Time from a request's admission to the end of its answer.")
          .Register(Metrics());
  prometheus::Family<prometheus::Counter>& tokens =
      prometheus::BuildCounter()
          .Name("allod_gateway_tokens_total")
          .Help("Tokens read (input, and cached_input of them from the prefix cache) and delivered (output).")
          .Register(Metrics());
  prometheus::Family<prometheus::Histogram>& first_tokens =
      prometheus::BuildHistogram()
          .Name("gen_ai_server_time_to_first_token_seconds")
          .Help("Time from admission to the first delta of an answer.")
          .Register(Metrics());
  prometheus::Family<prometheus::Histogram>& gaps = prometheus::BuildHistogram()
                                                        .Name("allod_gateway_inter_token_seconds")
                                                        .Help("Time between two deltas of one answer.")
                                                        .Register(Metrics());
  prometheus::Family<prometheus::Histogram>& waits =
      prometheus::BuildHistogram()
          .Name("allod_gateway_wait_seconds")
          .Help("Time from admission until a worker accepted the request.")
          .Register(Metrics());
  prometheus::Family<prometheus::Gauge>& waiting = prometheus::BuildGauge()
                                                       .Name("allod_gateway_waiting_requests")
                                                       .Help("Requests that wait for a worker to be started or woken.")
                                                       .Register(Metrics());
};

Families& AllFamilies() {
  static Families families;
  return families;
}

}  // namespace

struct InstanceMetrics::Series {
  explicit Series(const std::string& label)
      : model(label),
        input(Tokens("input")),
        cached_input(Tokens("cached_input")),
        output(Tokens("output")),
        first_token(AllFamilies().first_tokens.Add({{kModel, label}}, LatencyBuckets())),
        gap(AllFamilies().gaps.Add({{kModel, label}}, LatencyBuckets())),
        wait(AllFamilies().waits.Add({{kModel, label}}, LatencyBuckets())),
        waiting(AllFamilies().waiting.Add({{kModel, label}})) {}

  prometheus::Counter& Tokens(const char* type) {
    return AllFamilies().tokens.Add({{kModel, model}, {"gen_ai_token_type", type}});
  }

  const std::string model;
  prometheus::Counter& input;
  prometheus::Counter& cached_input;
  prometheus::Counter& output;
  prometheus::Histogram& first_token;
  prometheus::Histogram& gap;
  prometheus::Histogram& wait;
  prometheus::Gauge& waiting;
};

InstanceMetrics::InstanceMetrics(const std::string& label) : series_(std::make_unique<Series>(label)) {}
InstanceMetrics::~InstanceMetrics() = default;

void InstanceMetrics::FinishRequest(std::string_view operation, std::string_view outcome, nanoseconds elapsed) {
  const std::string name(operation);
  AllFamilies()
      .requests.Add({{kModel, series_->model}, {"gen_ai_operation_name", name}, {"outcome", std::string(outcome)}})
      .Increment();
  AllFamilies()
      .durations.Add({{kModel, series_->model}, {"gen_ai_operation_name", name}}, LatencyBuckets())
      .Observe(Seconds(elapsed));
}

void InstanceMetrics::CountTokens(std::int64_t prompt, std::int64_t cached, std::int64_t completion) {
  series_->input.Increment(static_cast<double>(prompt));
  series_->cached_input.Increment(static_cast<double>(cached));
  series_->output.Increment(static_cast<double>(completion));
}

void InstanceMetrics::ObserveFirstToken(nanoseconds elapsed) { series_->first_token.Observe(Seconds(elapsed)); }
void InstanceMetrics::ObserveNextToken(nanoseconds gap) { series_->gap.Observe(Seconds(gap)); }
void InstanceMetrics::ObserveWait(nanoseconds elapsed) { series_->wait.Observe(Seconds(elapsed)); }
void InstanceMetrics::AddWaiting(int change) { series_->waiting.Increment(change); }

InstanceMetrics& MetricsOf(const std::string& instance) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<InstanceMetrics>> known;
  static InstanceMetrics other("other");
  const std::lock_guard lock(mutex);
  const auto it = known.find(instance);
  if (it != known.end()) return *it->second;
  if (known.size() >= kInstancesMax) return other;
  return *known.emplace(instance, std::make_unique<InstanceMetrics>(instance)).first->second;
}

}  // namespace allod::gateway
