#include <fmt/format.h>

#include <iostream>
#include <stdexcept>

#include "tests/bench/pool/benchmarks.h"

namespace allod::bench {

namespace {

constexpr int kContextTokens = 256;
constexpr double kPrivateBytesMax = 6e6;
constexpr double kShareMax = 1.25;
constexpr int kPromptTokens = 8;  // about
// Nearly all of the context: of a cache only the pages that tokens lie in are there, and when all are, none is counted
// that holds something of few.
constexpr int kAnswerTokens = kContextTokens - 24;

// Each answers once, so that whatever an instance allocates with its first request is there.
void AskEach(const Installation& installation, const std::vector<TenantAccess>& tenants) {
  for (const TenantAccess& tenant : tenants) {
    const StreamTrace trace = RunStream(installation.Completion(tenant, "density", FreshPrompt(4), kAnswerTokens),
                                        SteadyClock::now() + std::chrono::seconds(60));
    if (!trace.complete) throw std::runtime_error("an instance did not answer: " + trace.error);
  }
}

}  // namespace

Report Density(Installation& installation, const BenchOptions& options) {
  const int count = options.Count(32, 4);
  Report report(
      "density",
      fmt::format("Isolated instances of {0} tenants on one variant, context {1} x 1 request, each after one answer. "
                  "Private bytes: pages that no other process maps, of the processes that {0} instances have beyond "
                  "those of one, by instance, less the KV cells of its answer. Share: PSS of all processes that hold "
                  "or run the model, of {0} instances over one, those cells taken off both.",
                  count, kContextTokens));
  const ListedModel& model = installation.BenchModel();
  const std::vector<TenantAccess> tenants = installation.Tenants(count);
  const InstanceShape shape{.isolation_class = options.Class("isolated"), .context_tokens = kContextTokens};
  const double kv = static_cast<double>(installation.KvBytes(model, tenants[0], kContextTokens)) / kContextTokens *
                    (kPromptTokens + kAnswerTokens);

  const std::vector<TenantAccess> first = {tenants[0]};
  installation.CreateInstances(first, "density", model, shape);
  AskEach(installation, first);
  const std::vector<pid_t> pids_of_one = installation.ModelProcesses();
  const Memory one = MemoryOf(pids_of_one);

  installation.CreateInstances({tenants.begin() + 1, tenants.end()}, "density", model, shape);
  AskEach(installation, {tenants.begin() + 1, tenants.end()});
  std::vector<pid_t> further;
  for (const pid_t pid : installation.ModelProcesses()) {
    if (std::ranges::find(pids_of_one, pid) == pids_of_one.end()) further.push_back(pid);
  }
  const Memory added = MemoryOf(further);
  const Memory all = added + MemoryOf(pids_of_one);
  installation.DeleteInstances(tenants, "density");

  const double unshared = static_cast<double>(added.unshared) / (count - 1);
  const double share = (static_cast<double>(all.pss) - count * kv) / (static_cast<double>(one.pss) - kv);
  report.Figure("private bytes per further instance beyond its KV", unshared - kv, "bytes", AtMost(kPrivateBytesMax));
  report.Figure(fmt::format("PSS of {} instances over one, KV excluded", count), share, "", AtMost(kShareMax));
  report.Detail("instances", count);
  report.Detail("kv_bytes_of_an_answer", kv);
  report.Detail("private_bytes_per_further_instance", unshared);
  report.Detail("pss_per_further_instance", static_cast<double>(all.pss - one.pss) / (count - 1));
  report.Detail("processes", {{"one", pids_of_one.size()}, {"all", pids_of_one.size() + further.size()}});
  report.Detail("one", one);
  report.Detail("all", all);
  return report;
}

}  // namespace allod::bench
