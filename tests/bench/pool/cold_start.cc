#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <thread>

#include "tests/bench/pool/benchmarks.h"
#include "tests/bench/pool/llama_server.h"
#include "tests/bench/pool/worker_probe.h"

namespace allod::bench {

namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr double kMillisecondsMax = 40;
constexpr double kPeerMin = 10;
constexpr int kKeys = 8;  // so that no key's rate limit is met
constexpr int kContextTokens = 256;
// In which the node makes the next spare worker.
constexpr auto kQuiet = std::chrono::milliseconds(2200);

// Chats of a few tokens, of about the same length.
constexpr int kGreetings = 16;
std::string Greeting(int number) {
  static const char* const kNames[kGreetings] = {"birth",  "tax",    "road",   "school", "water", "farm",
                                                 "health", "court",  "child",  "land",   "river", "market",
                                                 "price",  "permit", "office", "letter"};
  return kNames[number % kGreetings];
}

// Milliseconds that a running worker takes to prefill about `tokens` tokens that it has not in its prefix cache.
std::vector<double> PrefillTimes(WorkerProbe& probe, std::int64_t tokens) {
  constexpr std::size_t kSamples = 9;
  std::multimap<std::int64_t, double> by_distance;
  for (int i = 0; i < 60; ++i) {
    const auto finished = probe.AskOneToken(FreshPrompt(1 + i % 4));
    const std::int64_t computed = finished.prompt_tokens() - finished.cached_prompt_tokens();
    by_distance.emplace(std::abs(computed - tokens), finished.prefill_seconds() * 1e3);
  }
  std::vector<double> out;
  for (const auto& [distance, ms] : by_distance) {
    if (out.size() < kSamples || distance == 0) out.push_back(ms);
  }
  return out;
}

struct Start {
  double total_ms;  // asked for, until its first token
  double create_ms;
  double head_ms;
  double first_token_ms;
  int not_found;  // answers of 404 before
};

Start StartOnce(Installation& installation, const TenantAccess& tenant, const json& body, int number) {
  const std::string id = fmt::format("cold{}", number);
  const std::string& key = tenant.keys[static_cast<std::size_t>(number % kKeys)];
  const SteadyTime asked = SteadyClock::now();
  installation.Portal("POST", fmt::format("{}/instances?instanceId={}", tenant.project, id), key, body);
  const SteadyTime created = SteadyClock::now();
  StreamTrace trace;
  int not_found = 0;
  // The gateway learns of new instances from scheduling; until then, to it, there is none of that name.
  for (trace.status = 404; trace.status == 404 && SteadyClock::now() < created + seconds(20); ++not_found) {
    if (not_found > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto chat =
        installation.Chat(tenant, id, Greeting(number), 1, static_cast<std::size_t>((number + 1) % kKeys));
    trace = RunStream(chat, created + seconds(20));
  }
  if (!trace.answered()) throw std::runtime_error(fmt::format("{}: HTTP {}: {}", id, trace.status, trace.error));
  const SteadyTime first = trace.tokens.front();
  const Start out{MillisecondsBetween(asked, first), MillisecondsBetween(asked, created),
                  MillisecondsBetween(created, trace.head), MillisecondsBetween(trace.head, first), not_found - 1};
  const std::string& other_key = tenant.keys[static_cast<std::size_t>((number + 2) % kKeys)];
  const json deletion = installation.Portal("DELETE", fmt::format("{}/instances/{}", tenant.project, id), other_key);
  installation.Portal("POST", deletion.at("name").get<std::string>() + ":wait", other_key, {{"timeout", "10s"}});
  return out;
}

// Milliseconds from starting llama-server to its first token.
double StartPeerOnce(const std::filesystem::path& model, int number) {
  const SteadyTime asked = SteadyClock::now();
  LlamaServer server(model, {.context_tokens = kContextTokens});
  server.AwaitReady(seconds(60));
  const StreamTrace trace = RunStream(server.Chat(Greeting(number), 1), SteadyClock::now() + seconds(30));
  if (!trace.answered()) throw std::runtime_error("llama-server did not answer: " + trace.error);
  return MillisecondsBetween(asked, trace.tokens.front());
}

}  // namespace

Report ColdStart(Installation& installation, const BenchOptions& options) {
  const int count = options.Count(200, 10);
  Report report(
      "cold_start",
      fmt::format(
          "Milliseconds from sending CreateInstance through the portal API to the first token of a chat that is sent "
          "to the gateway when that call has returned; the model is resident. Less prefill: less the median "
          "time that a running worker says it takes to prefill so many tokens. {} instances, one after another: the "
          "first half with 2.2 s in between, in which the node makes a spare worker, the others at once after "
          "the end of the one before.",
          count));
  const ListedModel& model = installation.BenchModel();
  const TenantAccess tenant = installation.Tenants(1, kKeys)[0];
  const InstanceShape shape{.isolation_class = options.Class("isolated"), .context_tokens = kContextTokens};
  // An instance of somebody keeps the base resident, and answers what a prefill takes.
  installation.CreateInstances({tenant}, "resident", model, shape);
  WorkerProbe probe(installation, tenant, tenant.project + "/instances/resident");
  std::vector<double> warm_ms;
  std::int64_t prompt_tokens = 0;
  for (int i = 0; i < kGreetings; ++i) {
    const StreamTrace warm =
        RunStream(installation.Chat(tenant, "resident", Greeting(i), 1), SteadyClock::now() + seconds(30));
    if (!warm.answered()) throw std::runtime_error(fmt::format("HTTP {}: {}", warm.status, warm.error));
    warm_ms.push_back(warm.first_token_ms());
    prompt_tokens = warm.prompt_tokens;
  }
  const std::vector<double> prefill_ms = PrefillTimes(probe, prompt_tokens);

  const json body = Installation::InstanceBody(model, shape);
  std::vector<double> total, create, head, first_token, not_found, at_once;
  for (int i = 0; i < count; ++i) {
    const bool is_quiet = i < count / 2;
    if (is_quiet) std::this_thread::sleep_for(kQuiet);
    const Start start = StartOnce(installation, tenant, body, i);
    if (!is_quiet) {
      at_once.push_back(start.total_ms);
      continue;
    }
    total.push_back(start.total_ms);
    create.push_back(start.create_ms);
    head.push_back(start.head_ms);
    first_token.push_back(start.first_token_ms);
    not_found.push_back(start.not_found);
  }
  installation.DeleteInstances({tenant}, "resident");

  const double prefill = Median(prefill_ms).value_or(0);
  report.Figure("p99 apply to first token, less prefill", *Percentile(total, 0.99) - prefill, "ms",
                AtMost(kMillisecondsMax));
  report.Detail("p50_less_prefill_ms", *Median(total) - prefill);
  report.Detail("prefill_ms", Summary(prefill_ms));
  report.Detail("prompt_tokens", prompt_tokens);
  report.Detail("total_ms", Summary(total));
  report.Detail("at_once_after_another_ms", Summary(at_once));
  report.Detail("answers_404_before", Summary(not_found));
  report.Detail("create_call_ms", Summary(create));
  report.Detail("chat_sent_to_head_ms", Summary(head));
  report.Detail("head_to_first_token_ms", Summary(first_token));
  report.Detail("first_token_of_a_running_instance_ms", Summary(warm_ms));
  if (options.peer) {
    std::vector<double> peer;
    for (int i = 0; i < options.Count(5, 2); ++i) {
      peer.push_back(StartPeerOnce(BuildDirectory() / "bench/bench-0.4b-q4_0.gguf", i));
    }
    report.Detail("llama_server_ms", Summary(peer));
    // Prefill is the same work on both sides.
    report.Figure("llama-server start to first token over ours, medians, both less prefill",
                  Quotient(*Median(peer) - prefill, *Median(total) - prefill), "", AtLeast(kPeerMin));
  }
  return report;
}

}  // namespace allod::bench
