#include <fmt/format.h>

#include <memory>
#include <stdexcept>

#include "tests/bench/pool/benchmarks.h"
#include "tests/bench/pool/llama_server.h"

namespace allod::bench {

namespace {

using std::chrono::seconds;

constexpr int kInstances = 8;
constexpr int kContextTokens = 256;
constexpr double kAloneMin = 0.93;
constexpr double kPeerMin = 10;

double RateOf(const std::vector<StreamRequest>& requests, seconds limit) {
  const std::vector<StreamTrace> traces = RunTogether(requests, SteadyClock::now() + limit);
  for (const StreamTrace& trace : traces) {
    if (trace.status != 200) throw std::runtime_error(fmt::format("HTTP {}: {}", trace.status, trace.error));
  }
  return TogetherRate(traces);
}

void RunPeer(const BenchOptions& options, double together, Report& report) {
  std::vector<std::unique_ptr<LlamaServer>> servers;
  const std::filesystem::path model = BuildDirectory() / "bench/bench-0.4b-q4_0.gguf";
  for (int i = 0; i < kInstances; ++i) {
    servers.push_back(std::make_unique<LlamaServer>(model, LlamaServerShape{.context_tokens = kContextTokens}));
    servers.back()->AwaitReady(seconds(60));
  }
  const double alone = RateOf({servers[0]->Completion(FreshPrompt(8), options.Count(96, 32))}, seconds(30));
  std::vector<StreamRequest> requests;
  for (const auto& server : servers) requests.push_back(server->Completion(FreshPrompt(8), 48));
  // They may take minutes for it: what they have done until the time limit tells the rate.
  const double peer = RateOf(requests, seconds(options.Count(40, 10)));
  report.Detail("llama_server_alone_tokens_per_second", alone);
  report.Detail("llama_server_together_tokens_per_second", peer);
  report.Figure(fmt::format("tokens/s of {0} instances over {0} llama-servers -t 2", kInstances),
                Quotient(together, peer), "", AtLeast(kPeerMin));
}

}  // namespace

Report Contention(Installation& installation, const BenchOptions& options) {
  Report report(
      "contention",
      fmt::format(
          "Tokens/s of {0} isolated instances of {0} tenants, one greedy stream each, while all of them decode, over "
          "those of one instance alone; in turns, the median of the rounds' ratios.",
          kInstances));
  const ListedModel& model = installation.BenchModel();
  const std::vector<TenantAccess> tenants = installation.Tenants(kInstances);
  installation.CreateInstances(tenants, "contention", model,
                               {.isolation_class = options.Class("isolated"), .context_tokens = kContextTokens});
  const auto request = [&](const TenantAccess& tenant, int tokens) {
    return installation.Completion(tenant, "contention", FreshPrompt(8), tokens);
  };
  const auto alone = [&] { return RateOf({request(tenants[0], 128)}, seconds(60)); };
  std::vector<double> alone_rates = {alone()}, together_rates, ratios;
  const int rounds = options.Count(7, 1);
  for (int round = 0; round < rounds; ++round) {
    std::vector<StreamRequest> requests;
    for (const TenantAccess& tenant : tenants) requests.push_back(request(tenant, 48));
    together_rates.push_back(RateOf(requests, seconds(90)));
    alone_rates.push_back(alone());
    // Against what the machine gave just before and just after.
    ratios.push_back(2 * together_rates.back() / (alone_rates[alone_rates.size() - 2] + alone_rates.back()));
  }
  installation.DeleteInstances(tenants, "contention");

  report.Figure(fmt::format("tokens/s of {} instances over one alone", kInstances), Median(ratios), "",
                AtLeast(kAloneMin));
  report.Detail("alone_tokens_per_second", alone_rates);
  report.Detail("together_tokens_per_second", together_rates);
  report.Detail("ratios", ratios);
  if (options.peer) RunPeer(options, *Median(together_rates), report);
  return report;
}

}  // namespace allod::bench
