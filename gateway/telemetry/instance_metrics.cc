#include "gateway/telemetry/instance_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <mutex>
#include <utility>

#include "gateway/telemetry/latency.h"
#include "services/common/metrics.h"

namespace allod::gateway::telemetry {
namespace {

using std::chrono::nanoseconds;

constexpr char kModel[] = "gen_ai_request_model";

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
  prometheus::Counter& folded =
      prometheus::BuildCounter()
          .Name("allod_gateway_requests_folded_total")
          .Help("Looks at an instance for which there was no room among those with series of their own.")
          .Register(Metrics())
          .Add({});
};

Families& AllFamilies() {
  static Families families;
  return families;
}

}  // namespace

// All that one instance shows on the page, and nothing once it is destroyed.
struct InstanceMetrics::Series {
  explicit Series(const std::string& name)
      : label(name),
        input(Tokens("input")),
        cached_input(Tokens("cached_input")),
        output(Tokens("output")),
        first_token(AllFamilies().first_tokens.Add({{kModel, label}}, LatencyBuckets())),
        gap(AllFamilies().gaps.Add({{kModel, label}}, LatencyBuckets())),
        wait(AllFamilies().waits.Add({{kModel, label}}, LatencyBuckets())),
        waiting(AllFamilies().waiting.Add({{kModel, label}})) {}
  ~Series() {
    Families& families = AllFamilies();
    for (auto* tokens : {&input, &cached_input, &output}) families.tokens.Remove(tokens);
    families.first_tokens.Remove(&first_token);
    families.gaps.Remove(&gap);
    families.waits.Remove(&wait);
    families.waiting.Remove(&waiting);
    for (const auto& [key, counter] : requests) families.requests.Remove(counter);
    for (const auto& [key, histogram] : durations) families.durations.Remove(histogram);
  }
  Series(const Series&) = delete;

  prometheus::Counter& Tokens(const char* type) {
    return AllFamilies().tokens.Add({{kModel, label}, {"gen_ai_token_type", type}});
  }
  prometheus::Counter& Requests(const std::string& operation, const std::string& outcome) {
    const std::lock_guard lock(mutex);
    prometheus::Counter*& counter = requests[{operation, outcome}];
    if (counter == nullptr) {
      counter =
          &AllFamilies().requests.Add({{kModel, label}, {"gen_ai_operation_name", operation}, {"outcome", outcome}});
    }
    return *counter;
  }
  prometheus::Histogram& Durations(const std::string& operation) {
    const std::lock_guard lock(mutex);
    prometheus::Histogram*& histogram = durations[operation];
    if (histogram == nullptr) {
      histogram =
          &AllFamilies().durations.Add({{kModel, label}, {"gen_ai_operation_name", operation}}, LatencyBuckets());
    }
    return *histogram;
  }

  const std::string label;
  prometheus::Counter& input;
  prometheus::Counter& cached_input;
  prometheus::Counter& output;
  prometheus::Histogram& first_token;
  prometheus::Histogram& gap;
  prometheus::Histogram& wait;
  prometheus::Gauge& waiting;
  std::mutex mutex;  // guards those that are made when they are first needed
  std::map<std::pair<std::string, std::string>, prometheus::Counter*> requests;  // by operation, outcome
  std::map<std::string, prometheus::Histogram*> durations;                       // by operation
};

void InstanceMetrics::FinishRequest(std::string_view operation, std::string_view outcome, nanoseconds elapsed) {
  const std::string name(operation);
  series_->Requests(name, std::string(outcome)).Increment();
  series_->Durations(name).Observe(Seconds(elapsed));
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
const std::string& InstanceMetrics::label() const { return series_->label; }

InstanceMetrics InstanceMetricsBook::Of(const std::string& instance, Time now) {
  const std::lock_guard lock(mutex_);
  if (gone_ > 0) DropGone();
  const auto found = entries_.find(instance);
  if (found != entries_.end()) {
    // Asked of again: there is an instance of that name again, or a request that was under way.
    if (std::exchange(found->second.gone, false)) --gone_;
    found->second.used = now;
    return InstanceMetrics(found->second.series);
  }
  if (entries_.size() >= kNamedMax && !MakeRoom(now)) {
    AllFamilies().folded.Increment();
    if (!other_) other_ = std::make_shared<InstanceMetrics::Series>("other");
    return InstanceMetrics(other_);
  }
  Entry& entry = entries_[instance];
  entry = {std::make_shared<InstanceMetrics::Series>(instance), now};
  return InstanceMetrics(entry.series);
}

void InstanceMetricsBook::Forget(const std::string& instance) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(instance);
  if (found != entries_.end() && !std::exchange(found->second.gone, true)) ++gone_;
  DropGone();
}

// Handles are given out under the lock only, so that a series which only the book holds is nobody else's.
void InstanceMetricsBook::DropGone() {
  gone_ -= static_cast<int>(std::erase_if(
      entries_, [](const auto& item) { return item.second.gone && item.second.series.use_count() == 1; }));
}

bool InstanceMetricsBook::MakeRoom(Time now) {
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.series.use_count() > 1 || now - it->second.used < kIdle) continue;
    if (oldest == entries_.end() || it->second.used < oldest->second.used) oldest = it;
  }
  if (oldest == entries_.end()) return false;
  if (oldest->second.gone) --gone_;
  entries_.erase(oldest);
  return true;
}

std::size_t InstanceMetricsBook::named() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

namespace {

InstanceMetricsBook& Book() {
  // Never destroyed: requests may count while the process ends.
  static auto* book = new InstanceMetricsBook;
  return *book;
}

}  // namespace

InstanceMetrics MetricsOf(const std::string& instance) { return Book().Of(instance, std::chrono::steady_clock::now()); }

void ForgetMetricsOf(const std::string& instance) { Book().Forget(instance); }

}  // namespace allod::gateway::telemetry
