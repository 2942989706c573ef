// bench_pool: the benchmarks of the shared inference pool, over private installations of the whole platform. Each
// prints one JSON object on a line of its own; with one name it is the last line. Exit status 0 also when a target is
// missed.
#include <CLI/CLI.hpp>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "tests/bench/pool/benchmarks.h"
#include "tests/bench/pool/interrupt.h"

namespace allod::bench {

namespace {

struct Benchmark {
  const char* name;
  Report (*run)(Installation&, const BenchOptions&);
  bool own_installation;
};

constexpr Benchmark kBenchmarks[] = {
    {"density", Density, false}, {"contention", Contention, false}, {"cold_start", ColdStart, false},
    {"noisy", Noisy, false},     {"batch", Batch, false},           {"cancel", Cancel, false},
    {"readers", Readers, true},
};

// What else runs on the machine belongs to the result.
nlohmann::json Machine() {
  std::ifstream file("/proc/loadavg");
  double load = 0;
  file >> load;
  return {{"cores", std::thread::hardware_concurrency()}, {"load_before", load}};
}

int Run(const std::vector<std::string>& names, const BenchOptions& options) {
  std::optional<Installation> shared;
  int failed = 0;
  for (const Benchmark& benchmark : kBenchmarks) {
    if (std::ranges::find(names, benchmark.name) == names.end()) continue;
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
    } catch (const std::exception& e) {
      std::cerr << benchmark.name << ": " << e.what() << std::endl;
      ++failed;
      shared.reset();  // who knows in what state it is
    }
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  allod::bench::HandleInterrupts();
  std::vector<std::string> names, known;
  for (const auto& benchmark : allod::bench::kBenchmarks) known.emplace_back(benchmark.name);
  allod::bench::BenchOptions options;
  CLI::App app("Benchmarks of the shared inference pool", "bench_pool");
  app.add_option("benchmarks", names, "Which; they run in an order of their own")
      ->required()
      ->check(CLI::IsMember(known));
  app.add_flag("--quick", options.quick, "Smaller counts: whether it works, not how well");
  app.add_flag("--peer", options.peer, "Compare with llama-server (tests/bench/pool/build_peer)");
  app.add_option("--class", options.isolation_class, "Use this isolation class instead of the benchmark's own")
      ->check(CLI::IsMember({"isolated", "pooled", "dedicated"}));
  CLI11_PARSE(app, argc, argv);
  return allod::bench::Run(names, options);
}
