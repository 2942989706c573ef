#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "tests/bench/pool/benchmarks.h"

namespace allod::bench {

namespace {

using std::chrono::seconds;

constexpr int kStreams = 512;
constexpr int kTenants = 4;
constexpr int kKeys = 8;  // of each tenant: a key may have 64 requests open
constexpr int kTokens = 8;
constexpr int kContextTokens = 128;
constexpr int kFewPlaces = 16;
constexpr seconds kPatience(150);

struct Outcome {
  int answered = 0;
  int refused_by_queue = 0;  // 503 "overloaded", as docs/pool.md names it
  int refused_otherwise = 0;
  int unanswered = 0;  // within the time
  std::string first_refusal;
  std::vector<double> head_ms, first_token_ms, end_ms;
};

Outcome OutcomeOf(const std::vector<StreamTrace>& traces) {
  Outcome out;
  for (const StreamTrace& trace : traces) {
    if (trace.status != 0) out.head_ms.push_back(MillisecondsBetween(trace.sent, trace.head));
    const bool by_queue = trace.status == 503 && trace.error.find("\"overloaded\"") != std::string::npos;
    if (trace.complete && trace.answered()) {
      ++out.answered;
      out.first_token_ms.push_back(trace.first_token_ms());
      out.end_ms.push_back(MillisecondsBetween(trace.sent, trace.end));
    } else if (by_queue) {
      ++out.refused_by_queue;
    } else if (trace.status != 0 && trace.status != 200) {
      ++out.refused_otherwise;
    } else {
      ++out.unanswered;
    }
    const bool is_good = trace.complete && trace.answered();
    if (!is_good && out.first_refusal.empty())
      out.first_refusal = fmt::format("HTTP {}: {}", trace.status, trace.error);
  }
  return out;
}

// By how many places the streams that were answered got their first token earlier or later than they were sent; the
// largest but the last in a hundred. Those that begin at once on two cores are not sent one after the other to the
// microsecond, and as many as there are places run together.
std::optional<double> OutOfOrder(const std::vector<StreamTrace>& traces) {
  std::vector<const StreamTrace*> by_sending, by_answer;
  for (const StreamTrace& trace : traces) {
    if (trace.answered()) by_sending.push_back(&trace);
  }
  by_answer = by_sending;
  std::ranges::sort(by_sending, {}, &StreamTrace::sent);
  std::ranges::sort(by_answer, {}, [](const StreamTrace* trace) { return trace->tokens.front(); });
  std::vector<double> off;
  for (std::size_t i = 0; i < by_sending.size(); ++i) {
    const auto at = std::ranges::find(by_answer, by_sending[i]) - by_answer.begin();
    off.push_back(std::abs(static_cast<double>(at) - static_cast<double>(i)));
  }
  return Percentile(off, 0.99);
}

nlohmann::json Show(const Outcome& outcome) {
  return {{"answered", outcome.answered},
          {"refused_by_the_queue", outcome.refused_by_queue},
          {"refused_otherwise", outcome.refused_otherwise},
          {"without_an_answer", outcome.unanswered},
          {"first_refusal", outcome.first_refusal},
          {"head_ms", Summary(outcome.head_ms)},
          {"first_token_ms", Summary(outcome.first_token_ms)},
          {"end_ms", Summary(outcome.end_ms)}};
}

}  // namespace

Report Burst(Installation& installation, const BenchOptions& options) {
  const int streams = options.Count(kStreams, 64);
  Report report(
      "burst", fmt::format("{0} streams of {1} tokens that begin at once. With places for all: on {2} isolated "
                           "instances that may answer {3} each at the same time, none is refused. With few: all on one "
                           "that may answer {4}, none is refused but by its queue, and every one has its answer within "
                           "{5} s.",
                           streams, kTokens, kTenants, streams / kTenants, kFewPlaces, kPatience.count()));
  const ListedModel& model = installation.BenchModel();
  const std::vector<TenantAccess> tenants = installation.Tenants(kTenants, kKeys);
  const auto requests = [&](const std::string& instance, int of_tenants) {
    std::vector<StreamRequest> out;
    for (int i = 0; i < streams; ++i) {
      TenantAccess access = tenants[static_cast<std::size_t>(i % of_tenants)];
      access.keys = {access.keys[static_cast<std::size_t>(i / of_tenants % kKeys)]};
      out.push_back(installation.Completion(access, instance, FreshPrompt(4), kTokens));
    }
    return out;
  };
  const auto run = [&](const std::string& instance, int of_tenants, int places) {
    const std::vector<TenantAccess> owners(tenants.begin(), tenants.begin() + of_tenants);
    installation.CreateInstances(
        owners, instance, model,
        {.isolation_class = options.Class("isolated"), .context_tokens = kContextTokens, .max_concurrency = places});
    std::vector<StreamTrace> traces = RunTogether(requests(instance, of_tenants), SteadyClock::now() + kPatience);
    installation.DeleteInstances(owners, instance);
    return traces;
  };
  const Outcome wide = OutcomeOf(run("burst", kTenants, streams / kTenants));
  const std::vector<StreamTrace> in_turn = run("narrow", 1, kFewPlaces);
  const Outcome narrow = OutcomeOf(in_turn);
  if (wide.answered == 0 || narrow.answered == 0) {
    throw std::runtime_error("nobody was answered: " + wide.first_refusal + narrow.first_refusal);
  }
  report.Figure(fmt::format("of {} with places for all: not answered", streams), streams - wide.answered, "streams",
                AtMost(0));
  report.Figure(fmt::format("of {} with {} places: neither answered nor refused by the queue", streams, kFewPlaces),
                narrow.refused_otherwise + narrow.unanswered, "streams", AtMost(0));
  report.Figure(
      fmt::format("of {} with {} places: places by which 99 % were served out of order at most", streams, kFewPlaces),
      OutOfOrder(in_turn), "places", AtMost(2 * kFewPlaces));
  report.Detail("places_for_all", Show(wide));
  report.Detail("few_places", Show(narrow));
  return report;
}

}  // namespace allod::bench
