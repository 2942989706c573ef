#include <fmt/format.h>

#include <memory>
#include <stdexcept>

#include "tests/bench/pool/benchmarks.h"
#include "tests/bench/pool/llama_server.h"

namespace allod::bench {

namespace {

using std::chrono::seconds;

constexpr int kTenants = 4;
constexpr int kStreamsMax = 16;
constexpr int kTokens = 64;
constexpr int kContextTokens = 256;

double RateOf(const std::vector<StreamRequest>& requests) {
  const std::vector<StreamTrace> traces = RunTogether(requests, SteadyClock::now() + seconds(120));
  for (const StreamTrace& trace : traces) {
    if (!trace.complete) throw std::runtime_error(fmt::format("HTTP {}: {}", trace.status, trace.error));
    if (trace.completion_tokens != kTokens) throw std::runtime_error("an answer has another length");
  }
  return WallRate(traces);
}

std::vector<std::string> Prompts(int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) out.push_back(FreshPrompt(12));
  return out;
}

}  // namespace

Report Batch(Installation& installation, const BenchOptions& options) {
  Report report(
      "batch",
      fmt::format(
          "Tokens/s, prefill included, of 4, 8 and 16 greedy streams of {} tokens over {} tenants of one pooled "
          "worker, over llama-server --parallel with the same prompts; in turns, the median of the ratios.",
          kTokens, kTenants));
  const ListedModel& model = installation.BenchModel();
  const std::vector<TenantAccess> tenants = installation.Tenants(kTenants);
  installation.CreateInstances(tenants, "batch", model,
                               {.isolation_class = options.Class("pooled"),
                                .context_tokens = kContextTokens,
                                .max_concurrency = kStreamsMax / kTenants});
  const auto ours = [&](const std::vector<std::string>& prompts) {
    std::vector<StreamRequest> requests;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      requests.push_back(installation.Completion(tenants[i % kTenants], "batch", prompts[i], kTokens));
    }
    return RateOf(requests);
  };
  ours(Prompts(kTenants));  // wakes whatever sleeps
  for (const int streams : {4, 8, 16}) {
    std::unique_ptr<LlamaServer> peer;
    if (options.peer) {
      peer = std::make_unique<LlamaServer>(BuildDirectory() / "bench/bench-0.4b-q4_0.gguf",
                                           LlamaServerShape{.parallel = streams, .context_tokens = kContextTokens});
      peer->AwaitReady(seconds(60));
    }
    std::vector<double> our_rates, peer_rates, ratios;
    const int rounds = options.Count(5, 1);
    for (int round = 0; round < rounds; ++round) {
      const std::vector<std::string> prompts = Prompts(streams);
      our_rates.push_back(ours(prompts));
      if (!peer) continue;
      std::vector<StreamRequest> requests;
      for (const std::string& prompt : prompts) requests.push_back(peer->Completion(prompt, kTokens));
      peer_rates.push_back(RateOf(requests));
      ratios.push_back(our_rates.back() / peer_rates.back());
    }
    const std::string name = fmt::format("{}_streams", streams);
    report.Detail(name, {{"pooled_tokens_per_second", our_rates}, {"llama_server_tokens_per_second", peer_rates}});
    if (peer) {
      report.Figure(fmt::format("pooled worker over llama-server --parallel {0} at {0} streams", streams),
                    Median(ratios), "", AtLeast(1.0));
    }
  }
  installation.DeleteInstances(tenants, "batch");
  return report;
}

}  // namespace allod::bench
