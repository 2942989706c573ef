#include "gateway/telemetry/pool_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace allod::gateway::telemetry {
namespace {

namespace scheduling = allod::scheduling::v1;
using prometheus::ClientMetric;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// Families in the order in which they are first named.
class Exposition {
 public:
  void Counter(const char* name, const char* help, const Labels& labels, double value) {
    Add(name, help, MetricType::Counter, labels).counter.value = value;
  }
  void Gauge(const char* name, const char* help, const Labels& labels, double value) {
    Add(name, help, MetricType::Gauge, labels).gauge.value = value;
  }
  void Summary(const char* name, const char* help, const Labels& labels, double sum, std::int64_t count) {
    auto& summary = Add(name, help, MetricType::Summary, labels).summary;
    summary.sample_sum = sum;
    summary.sample_count = static_cast<std::uint64_t>(std::max<std::int64_t>(0, count));
  }
  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& Add(const char* name, const char* help, MetricType type, const Labels& labels) {
    const auto [at, is_new] = index_.emplace(name, families_.size());
    if (is_new) families_.push_back({name, help, type, {}});
    return families_[at->second].metric.emplace_back(ClientMetric{.label = labels});
  }

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, std::size_t> index_;
};

// ISOLATION_CLASS_POOLED -> pooled, STATE_READY -> ready.
std::string Word(const std::string& name, std::string_view prefix) {
  std::string out = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// `nodes/{node}/workers/{replica}` -> {node}, {replica}.
std::pair<std::string, std::string> NodeAndReplica(const std::string& name) {
  const auto slash = name.find('/');
  if (slash == std::string::npos) return {name, ""};
  const auto end = std::min(name.find('/', slash + 1), name.size());
  const auto last = name.rfind('/');
  return {name.substr(slash + 1, end - slash - 1), last + 1 > end ? name.substr(last + 1) : ""};
}

void AddWorker(Exposition& out, const scheduling::Worker& worker) {
  const auto [node, replica] = NodeAndReplica(worker.name());
  const Labels labels{{"instance", worker.instance()},
                      {"node", node},
                      {"replica", replica},
                      {"class", Word(scheduling::IsolationClass_Name(worker.isolation_class()), "ISOLATION_CLASS_")}};
  Labels state = labels;
  state.push_back({"state", Word(scheduling::Replica::State_Name(worker.state()), "STATE_")});
  out.Gauge("allod_worker_state", "1 for the state in which the replica is.", state, 1);
  if (!worker.has_figures()) return;
  const auto& f = worker.figures();
  const auto count = [&](const char* name, const char* help, auto value) {
    out.Counter(name, help, labels, static_cast<double>(value));
  };
  const auto level = [&](const char* name, const char* help, auto value) {
    out.Gauge(name, help, labels, static_cast<double>(value));
  };
  count("allod_worker_requests_total", "Requests ended, in whatever way.", f.requests_total());
  count("allod_worker_tokens_total", "Tokens sampled.", f.completion_tokens_total());
  count("allod_worker_prompt_tokens_total", "Prompt tokens computed.", f.prompt_tokens_total());
  count("allod_worker_cached_prompt_tokens_total", "Prompt tokens found in the prefix cache.",
        f.cached_prompt_tokens_total());
  level("allod_worker_active_requests", "Requests that are computed now.", f.active_requests());
  level("allod_worker_queued_requests", "Requests accepted and not computed yet.", f.queued_requests());
  count("allod_worker_turns_total", "Turns at the node's compute gate.", f.turns_total());
  count("allod_worker_compute_seconds_total", "Time spent in these turns.", f.compute_seconds_total());
  count("allod_worker_gate_wait_seconds_total", "Time spent waiting for them.", f.gate_wait_seconds_total());
  out.Summary("allod_worker_time_to_first_token_seconds", "Time to the first token, measured at the worker.", labels,
              f.ttft_seconds_sum(), f.ttft_count());
  level("allod_worker_private_bytes", "Memory of this replica alone.", f.private_bytes());
  level("allod_worker_shared_bytes", "Its proportional share of what it shares.", f.shared_bytes());
  count("allod_worker_wakes_total", "How often a request woke it.", f.wake_count());
}

void AddGate(Exposition& out, const Labels& labels, const scheduling::GateFigures& gate) {
  out.Gauge("allod_node_gate_cores", "Workers that may compute at the same time.", labels, gate.cores());
  out.Gauge("allod_node_gate_waiting", "Workers that want a turn now.", labels, gate.waiting());
  out.Counter("allod_node_gate_turns_total", "Turns given.", labels, static_cast<double>(gate.turns_total()));
  out.Counter("allod_node_gate_compute_seconds_total", "Time spent in turns.", labels, gate.compute_seconds_total());
  out.Counter("allod_node_gate_reclaimed_turns_total", "Turns taken back because their holder died or hung.", labels,
              static_cast<double>(gate.reclaimed_total()));
}

// One per artifact and kind of use: a node holds the same artifact once for all who share it, and once more for each
// dedicated replica.
struct Residency {
  std::map<std::string, int> states;
  std::int64_t private_bytes = 0;
  std::int64_t workers = 0;
  double load_seconds = 0;
};

void AddModels(Exposition& out, const std::string& node, const scheduling::Node& told) {
  std::map<std::pair<std::string, bool>, Residency> found;
  for (const auto& model : told.resident_models()) {
    Residency& residency = found[{model.artifact_sha256().substr(0, 12), model.dedicated()}];
    ++residency.states[Word(scheduling::ResidentModel::State_Name(model.state()), "STATE_")];
    residency.private_bytes += model.private_bytes();
    residency.workers += model.worker_count();
    residency.load_seconds = std::max(residency.load_seconds, model.load_seconds());
  }
  for (const auto& [key, residency] : found) {
    const Labels labels{{"node", node}, {"artifact", key.first}, {"dedicated", key.second ? "true" : "false"}};
    for (const auto& [state, count] : residency.states) {
      Labels with_state = labels;
      with_state.push_back({"state", state});
      out.Gauge("allod_node_resident_models", "Copies of the artifact in memory, by state.", with_state, count);
    }
    out.Gauge("allod_node_resident_model_private_bytes", "Memory of the processes that hold it.", labels,
              static_cast<double>(residency.private_bytes));
    out.Gauge("allod_node_resident_model_workers", "Workers forked from it.", labels,
              static_cast<double>(residency.workers));
    out.Gauge("allod_node_resident_model_load_seconds", "How long it took to load; the slowest copy.", labels,
              residency.load_seconds);
  }
}

}  // namespace

std::string PoolMetricsText(const scheduling::ListNodesResponse& nodes,
                            const scheduling::ListWorkersResponse& workers) {
  Exposition out;
  for (const auto& told : nodes.nodes()) {
    const std::string node = NodeAndReplica(told.name()).first;
    const Labels labels{{"node", node}};
    out.Gauge("allod_node_up", "Whether the node's agent reports.", labels,
              told.state() == scheduling::Node::STATE_READY ? 1 : 0);
    if (told.has_gate()) AddGate(out, labels, told.gate());
    AddModels(out, node, told);
  }
  for (const auto& worker : workers.workers()) AddWorker(out, worker);
  return out.Text();
}

}  // namespace allod::gateway::telemetry
