#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/bench/pool/benchmarks.h"
#include "tests/bench/pool/computed_usage.h"
#include "tests/bench/pool/worker_activity.h"

namespace allod::bench {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr double kMillisecondsMax = 100;
constexpr int kKeys = 4;
constexpr int kContextTokens = 2048;
constexpr int kLongPromptWords = 1200;

// Requests come one after another, so that the time tells which one the node speaks of, also when the client left
// before it had been told an id.
struct Leaving {
  system_clock::time_point sent;
  system_clock::time_point at;
  bool in_prefill = false;
  double busy_ms = 0;  // how long the worker used the processor after that
};

// Leaves once some tokens have come.
Leaving LeaveDuringDecode(const StreamRequest& request, int tokens) {
  const auto deadline = SteadyClock::now() + seconds(60);
  const auto sent = system_clock::now();
  StreamClient client;
  std::string_view event;
  if (!client.Start(request, deadline) || !client.ReadHead(deadline) || client.status() != 200) {
    throw std::runtime_error(fmt::format("HTTP {}: {}", client.status(), client.error()));
  }
  for (int i = 0; i < tokens && client.ReadEvent(event, deadline); ++i) {
  }
  const Leaving out{sent, system_clock::now(), false};
  client.Close();
  return out;
}

// Leaves after this time, before any token.
Leaving LeaveDuringPrefill(const StreamRequest& request, milliseconds after) {
  const auto sent = system_clock::now();
  StreamClient client;
  if (!client.Start(request, SteadyClock::now() + seconds(10))) throw std::runtime_error(client.error());
  std::this_thread::sleep_for(after);
  const Leaving out{sent, system_clock::now(), true};
  client.Close();
  return out;
}

// Milliseconds from leaving to the last work, of those that were cut by leaving.
struct Found {
  std::vector<double> ms;
  std::vector<double> busy_ms;
  int ended_before = 0;
  int never_started = 0;
  std::int64_t sampled_tokens = 0;
};

Found Compare(const std::vector<Leaving>& leavings, bool in_prefill, const std::vector<ComputedEvent>& computed) {
  Found out;
  for (std::size_t i = 0; i < leavings.size(); ++i) {
    const Leaving& leaving = leavings[i];
    if (leaving.in_prefill != in_prefill) continue;
    const auto next = i + 1 < leavings.size() ? leavings[i + 1].sent : system_clock::time_point::max();
    const auto event = std::ranges::find_if(
        computed, [&](const ComputedEvent& e) { return e.start >= leaving.sent && e.start < next; });
    if (event == computed.end()) {
      ++out.never_started;
      continue;
    }
    out.sampled_tokens += event->sampled_tokens;
    if (event->end < leaving.at || !event->cancelled) {
      ++out.ended_before;
      continue;
    }
    out.busy_ms.push_back(leaving.busy_ms);
    out.ms.push_back(std::chrono::duration<double, std::milli>(event->end - leaving.at).count());
  }
  return out;
}

}  // namespace

Report Cancel(Installation& installation, const BenchOptions& options) {
  const int count = options.Count(120, 8);
  Report report(
      "cancel",
      fmt::format(
          "Milliseconds from a client's closing its connection to the end of its request in the worker, as the node's "
          "usage ring has it, or until the worker uses the processor no more, whichever p99 is later: {0} clients that "
          "leave within an "
          "answer, {0} that leave while a prompt of about {1} words is prefilled.",
          count, kLongPromptWords));
  const ListedModel& model = installation.BenchModel();
  const TenantAccess tenant = installation.Tenants(1, kKeys)[0];
  installation.CreateInstances(
      {tenant}, "cancel", model,
      {.isolation_class = options.Class("isolated"), .context_tokens = kContextTokens, .max_concurrency = 2});
  std::minstd_rand random(1);
  const auto pick = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  const auto request = [&](int number, int words, int tokens) {
    TenantAccess access = tenant;
    access.keys = {tenant.keys[static_cast<std::size_t>(number % kKeys)]};
    return installation.Completion(access, "cancel", FreshPrompt(words), tokens);
  };
  // How long the prefill takes here and now, so that clients leave all over it.
  const StreamTrace whole = RunStream(request(0, kLongPromptWords, 1), SteadyClock::now() + seconds(120));
  if (!whole.answered()) throw std::runtime_error(fmt::format("HTTP {}: {}", whole.status, whole.error));
  const int prefill_ms = static_cast<int>(whole.first_token_ms());
  // Most leave early: the benchmark shall end.
  const int longest_stay = std::clamp(prefill_ms * 8 / 10, 50, 700);

  std::vector<Leaving> leavings;
  const WorkerActivity worker(installation.WorkerPid(tenant.project + "/instances/cancel"));
  const auto leave = [&](Leaving leaving) {
    const SteadyTime left = SteadyClock::now();
    leaving.busy_ms = MillisecondsBetween(left, worker.AwaitIdle(milliseconds(2000)));
    leavings.push_back(leaving);
  };
  const auto end = SteadyClock::now() + seconds(100);
  for (int i = 0; i < count && SteadyClock::now() < end; ++i) {
    leave(LeaveDuringDecode(request(i, 8, 1000), pick(2, 12)));
    leave(LeaveDuringPrefill(request(i, kLongPromptWords, 16), milliseconds(pick(5, longest_stay))));
  }
  const auto computed = ComputedUsageOf(installation, tenant, 1 + leavings.size());
  installation.DeleteInstances({tenant}, "cancel");

  const Found decode = Compare(leavings, false, computed), prefill = Compare(leavings, true, computed);
  std::vector<double> all = decode.ms, busy = decode.busy_ms;
  all.insert(all.end(), prefill.ms.begin(), prefill.ms.end());
  busy.insert(busy.end(), prefill.busy_ms.begin(), prefill.busy_ms.end());
  // The later of what the ring says and what the processor time says.
  std::optional<double> worst = Percentile(all, 0.99);
  if (worst) worst = std::max(*worst, *Percentile(busy, 0.99));
  report.Figure("p99 disconnect to last step", worst, "ms", AtMost(kMillisecondsMax));
  report.Detail("processor_used_for_ms", Summary(busy));
  report.Detail("during_decode_ms", Summary(decode.ms));
  report.Detail("during_prefill_ms", Summary(prefill.ms));
  report.Detail("whole_prefill_ms", prefill_ms);
  report.Detail("prompt_tokens", whole.prompt_tokens);
  report.Detail("ended_before_leaving", {{"decode", decode.ended_before}, {"prefill", prefill.ended_before}});
  report.Detail("never_started", {{"decode", decode.never_started}, {"prefill", prefill.never_started}});
  report.Detail("prefills_that_sampled_tokens", prefill.sampled_tokens);
  return report;
}

}  // namespace allod::bench
