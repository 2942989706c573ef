#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/bench/pool/benchmarks.h"

namespace allod::bench {

namespace {

using std::chrono::seconds;

constexpr double kRatioMax = 1.3;
constexpr int kFloodStreams = 16;
constexpr int kVictimTokens = 32;
constexpr int kKeys = 4;

struct Latencies {
  std::vector<double> first_token_ms;
  std::vector<double> gap_ms;
  void Add(const StreamTrace& trace) {
    first_token_ms.push_back(trace.first_token_ms());
    for (std::size_t i = 1; i < trace.tokens.size(); ++i) {
      gap_ms.push_back(MillisecondsBetween(trace.tokens[i - 1], trace.tokens[i]));
    }
  }
};

// Three thousand words that all begin alike: each is a state to be followed, and hardly a token of the vocabulary fits.
std::string CostlyGrammar() {
  std::string out = "root ::= (";
  for (int i = 0; i < 3000; ++i) out += fmt::format("{}\"zqzqz{}\"", i == 0 ? "" : " | ", i);
  return out + ")+";
}

// Streams of the other tenant that come again and again, until it goes out of scope.
class Neighbour {
 public:
  Neighbour(const Installation& installation, const TenantAccess& tenant, int streams, int tokens,
            const std::string& grammar = "") {
    for (int stream = 0; stream < streams; ++stream) {
      threads_.emplace_back([this, &installation, tenant, stream, tokens, grammar](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          TenantAccess access = tenant;
          access.keys = {tenant.keys[static_cast<std::size_t>(stream % kKeys)]};
          StreamRequest request = installation.Completion(access, "noisy", FreshPrompt(8), tokens);
          if (!grammar.empty()) {
            auto body = nlohmann::json::parse(request.body);
            body["grammar"] = grammar;
            request.body = body.dump();
          }
          const StreamTrace trace = RunStream(request, SteadyClock::now() + seconds(60), stop);
          tokens_ += static_cast<std::int64_t>(trace.tokens.size());
          if (stop.stop_requested()) return;
          if (trace.status != 200) {
            const std::lock_guard lock(mutex_);
            if (refused_++ == 0) first_refusal_ = fmt::format("HTTP {}: {}", trace.status, trace.error);
          }
          if (trace.status == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
      });
    }
    // Until they are at it.
    for (int i = 0; i < 3000 && tokens_ == 0 && refused_ == 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    // A grammar that costs more than a draw may is refused at some token; the work until then is the load that is
    // measured.
    if (tokens_ == 0 && (grammar.empty() || refused_ == 0)) {
      const std::lock_guard lock(mutex_);
      throw std::runtime_error("the neighbour gets no answers: there is nothing to measure; " +
                               (first_refusal_.empty() ? "none came within 30 s" : first_refusal_));
    }
  }
  // Its streams are cut: what comes next is measured on a quiet machine.
  ~Neighbour() {
    for (std::jthread& thread : threads_) thread.request_stop();
  }
  std::int64_t tokens() const { return tokens_; }
  int refused() const { return refused_; }

 private:
  std::atomic<std::int64_t> tokens_ = 0;
  std::atomic<int> refused_ = 0;
  std::mutex mutex_;
  std::string first_refusal_;  // guarded by it
  std::vector<std::jthread> threads_;
};

}  // namespace

Report Noisy(Installation& installation, const BenchOptions& options) {
  Report report(
      "noisy",
      fmt::format(
          "A tenant asks one question after another ({0} tokens each) of its isolated instance. p99 of the time to "
          "first token, and of the time between tokens, while another tenant keeps {1} streams going on an "
          "instance of its own, over the same while that tenant behaves like the first (one stream, {0} "
          "tokens): its fair share, one of two. The same while the streams are under a grammar of 3,000 words, which "
          "costs much and yields little. All in turns.",
          kVictimTokens, kFloodStreams));
  const ListedModel& model = installation.BenchModel();
  const std::vector<TenantAccess> tenants = installation.Tenants(2, kKeys);
  installation.CreateInstances({tenants[0]}, "noisy", model,
                               {.isolation_class = options.Class("isolated"), .context_tokens = 256});
  installation.CreateInstances(
      {tenants[1]}, "noisy", model,
      {.isolation_class = options.Class("isolated"), .context_tokens = 256, .max_concurrency = kFloodStreams});
  int asked = 0;
  const auto ask_for = [&](seconds time, Latencies& out) {
    for (const auto end = SteadyClock::now() + time; SteadyClock::now() < end;) {
      TenantAccess access = tenants[0];
      access.keys = {tenants[0].keys[static_cast<std::size_t>(++asked % kKeys)]};
      const StreamTrace trace = RunStream(installation.Completion(access, "noisy", FreshPrompt(8), kVictimTokens),
                                          SteadyClock::now() + seconds(60));
      if (!trace.answered()) throw std::runtime_error(fmt::format("HTTP {}: {}", trace.status, trace.error));
      out.Add(trace);
    }
  };
  Latencies alone, shared, flooded, beside_grammars;
  const std::string grammar = CostlyGrammar();
  std::int64_t flood_tokens = 0, grammar_tokens = 0;
  int flood_refused = 0, grammars_refused = 0;
  const int rounds = options.Count(4, 1);
  const seconds phase(options.Count(12, 5));
  for (int round = 0; round < rounds; ++round) {
    ask_for(seconds(2), alone);
    {
      const Neighbour equal(installation, tenants[1], 1, kVictimTokens);
      ask_for(phase, shared);
    }
    {
      const Neighbour flood(installation, tenants[1], kFloodStreams, 96);
      ask_for(phase, flooded);
      flood_tokens += flood.tokens();
      flood_refused += flood.refused();
    }
    {
      const Neighbour costly(installation, tenants[1], kFloodStreams, 96, grammar);
      ask_for(phase, beside_grammars);
      grammar_tokens += costly.tokens();
      grammars_refused += costly.refused();
    }
  }
  installation.DeleteInstances(tenants, "noisy");

  const auto p99 = [](const std::vector<double>& values) { return Percentile(values, 0.99); };
  report.Figure("p99 time to first token under flood over fair share",
                Quotient(p99(flooded.first_token_ms), p99(shared.first_token_ms)), "", AtMost(kRatioMax));
  report.Figure("p99 time between tokens under flood over fair share",
                Quotient(p99(flooded.gap_ms), p99(shared.gap_ms)), "", AtMost(kRatioMax));
  report.Figure("p99 time to first token beside costly grammars over fair share",
                Quotient(p99(beside_grammars.first_token_ms), p99(shared.first_token_ms)), "", AtMost(kRatioMax));
  report.Figure("p99 time between tokens beside costly grammars over fair share",
                Quotient(p99(beside_grammars.gap_ms), p99(shared.gap_ms)), "", AtMost(kRatioMax));
  const auto show = [&](const char* name, const Latencies& latencies) {
    report.Detail(name, {{"first_token_ms", Summary(latencies.first_token_ms)},
                         {"between_tokens_ms", Summary(latencies.gap_ms)}});
  };
  show("alone", alone);
  show("fair_share", shared);
  show("flooded", flooded);
  show("beside_costly_grammars", beside_grammars);
  report.Detail("flood_tokens_per_second",
                static_cast<double>(flood_tokens) / static_cast<double>(rounds * phase.count()));
  report.Detail("grammar_tokens_per_second",
                static_cast<double>(grammar_tokens) / static_cast<double>(rounds * phase.count()));
  report.Detail("flood_requests_refused", flood_refused);
  report.Detail("grammar_requests_refused", grammars_refused);
  return report;
}

}  // namespace allod::bench
