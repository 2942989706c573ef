// bench_pool: the benchmarks of the shared inference pool, over private installations of the whole platform. Each
// prints one JSON object on a line of its own; with one name it is the last line. Exit status 0 also when a target is
// missed; 1 when something could not be measured, which its own line says, and the others were run nevertheless.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "tests/bench/pool/apart.h"
#include "tests/bench/pool/benchmarks.h"
#include "tests/bench/pool/interrupt.h"

namespace allod::bench {

namespace {

constexpr std::chrono::minutes kBenchmarkTime(20);

struct Benchmark {
  const char* name;
  Report (*run)(Installation&, const BenchOptions&);
  bool own_installation;
};

constexpr Benchmark kBenchmarks[] = {
    {"density", Density, false}, {"contention", Contention, false}, {"cold_start", ColdStart, false},
    {"noisy", Noisy, false},     {"batch", Batch, false},           {"cancel", Cancel, false},
    {"burst", Burst, false},     {"readers", Readers, true},
};

// What else runs on the machine belongs to the result.
nlohmann::json Machine() {
  std::ifstream file("/proc/loadavg");
  double load = 0;
  file >> load;
  return {{"cores", std::thread::hardware_concurrency()}, {"load_before", load}};
}

// In a process of its own, so that whatever happens to one does not keep the others from being run.
void RunAll(const std::vector<std::string>& names, const BenchOptions& options, const Progress& progress) {
  HandleInterrupts();
  std::optional<Installation> shared;
  for (const Benchmark& benchmark : kBenchmarks) {
    if (std::ranges::find(names, benchmark.name) == names.end()) continue;
    progress.Begins(benchmark.name);
    try {
      const nlohmann::json machine = Machine();
      std::optional<Installation> own;
      if (benchmark.own_installation) {
        shared.reset();
        own.emplace();
      } else if (!shared) {
        shared.emplace();
      }
      Report report = benchmark.run(benchmark.own_installation ? *own : *shared, options);
      report.Detail("machine", machine);
      report.Detail("quick", options.quick);
      report.Print();
      progress.Ended(report.is_measured() ? "" : "some figures could not be measured");
    } catch (const std::exception& e) {
      progress.Ended(e.what());
      shared.reset();  // who knows in what state it is
    }
  }
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  using namespace allod::bench;
  std::vector<std::string> names, known;
  for (const auto& benchmark : kBenchmarks) known.emplace_back(benchmark.name);
  BenchOptions options;
  CLI::App app("Benchmarks of the shared inference pool", "bench_pool");
  app.add_option("benchmarks", names, "Which; they run in an order of their own")
      ->required()
      ->check(CLI::IsMember(known));
  app.add_flag("--quick", options.quick, "Smaller counts: whether it works, not how well");
  app.add_flag("--peer", options.peer, "Compare with llama-server (tests/bench/pool/build_peer)");
  app.add_option("--class", options.isolation_class, "Use this isolation class instead of the benchmark's own")
      ->check(CLI::IsMember({"isolated", "pooled", "dedicated"}));
  CLI11_PARSE(app, argc, argv);
  std::vector<std::string> in_order;
  for (const std::string& name : known) {
    if (std::ranges::find(names, name) != names.end()) in_order.push_back(name);
  }
  const auto failures = RunApart(
      in_order, kBenchmarkTime,
      [&](const std::vector<std::string>& some, const Progress& progress) { RunAll(some, options, progress); });
  for (const auto& [name, why] : failures) std::cerr << "NOT MEASURED: " << name << ": " << why << "\n";
  return failures.empty() ? 0 : 1;
}
