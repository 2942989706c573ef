// What a key that floods does to the others: a gateway that knows 20,000 keys, four of which ask at an even pace,
// quietly and while a fifth asks far beyond its limits. The gateway is the real program; services and worker are
// stand-ins here. The last line is JSON.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/pool/report.h"
#include "tests/integration/gateway_http_client.h"
#include "tests/integration/gateway_peers.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allod::bench {
namespace {

using namespace std::chrono_literals;
using gateway::HttpClient;
using Clock = std::chrono::steady_clock;

constexpr double kSlowdownMax = 1.2;
constexpr int kVictims = 4;
constexpr auto kVictimPause = 20ms;
constexpr int kFlooders = 4;

struct Options {
  int keys = 20'000;
  int rounds = 8;
  int seconds = 4;               // of each half of a round
  int flood_per_second = 2'000;  // 0: as fast as answers come
};

// Everything around the gateway.
struct Surroundings {
  std::string Target(const std::string& name) const { return "unix:" + (dir / (name + ".sock")).string(); }
  void Serve(const std::string& name, const std::vector<grpc::Service*>& services) {
    auto started = Server::Start({.listen = Target(name), .threads_max = 64}, services);
    if (!started) throw std::runtime_error(started.error().message);
    servers.push_back(*std::move(started));
  }

  TempDir dir;
  gateway::TenancyPeer tenancy;
  gateway::IdentityPeer identities;
  gateway::ProjectPeer projects;
  gateway::RoutePeer routes;
  gateway::BillingPeer billing;
  gateway::WorkerPeer worker;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::string> keys;  // some of those that the gateway knows
};

// The gateway's port.
int StartGateway(Surroundings& around, std::unique_ptr<Process>& process) {
  around.dir.Write("pepper", gateway::kPepper);
  const nlohmann::json config = {{"http_listen", "127.0.0.1:0"},
                                 {"tenancy_target", around.Target("tenancy")},
                                 {"catalog_target", around.Target("catalog")},
                                 {"billing_target", around.Target("billing")},
                                 {"scheduling_target", around.Target("scheduling")},
                                 {"requests_per_minute", 6000},
                                 {"requests_per_minute_per_tenant", 60'000'000},
                                 {"jurisdiction", "ke"},
                                 {"api_key_pepper_file", (around.dir / "pepper").string()},
                                 {"journal_dir", (around.dir / "journal").string()}};
  const auto file = around.dir.Write("gateway.json", config.dump());
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "../bin/allod-gateway";
  process = std::make_unique<Process>(std::vector<std::string>{program, "--config", file},
                                      ProcessOptions{.output = around.dir / "gateway.log"});
  const auto port = [&] {
    const std::string output = process->Output();
    const auto at = output.find("port=");
    return at == std::string::npos ? 0 : std::atoi(output.c_str() + at + 5);
  };
  const bool is_ready = gateway::Eventually(
      [&] { return port() != 0 && gateway::Fetch(port(), "GET", "/v1/models", around.keys.at(0)).status == 200; });
  if (!is_ready) throw std::runtime_error("the gateway did not start: " + process->Output());
  return port();
}

constexpr char kQuestion[] = R"({"model":"assistant","messages":[{"role":"user","content":"Habari?"}]})";

// The milliseconds that each answer took, of one client that asks at an even pace; a late answer delays no other.
std::vector<double> AskEvenly(int port, const std::string& key, Clock::time_point end) {
  HttpClient client(port);
  std::vector<double> out;
  for (auto next = Clock::now(); next < end; next += kVictimPause) {
    std::this_thread::sleep_until(next);
    const auto begin = Clock::now();
    client.Send("POST", "/v1/chat/completions", key, kQuestion);
    const auto response = client.Receive();
    if (response.status != 200) throw std::runtime_error(fmt::format("a victim was answered {}", response.status));
    out.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  return out;
}

struct Flood {
  std::atomic<std::int64_t> answered{0}, refused{0};
  void Run(int port, const std::string& key, int per_second, Clock::time_point end) {
    HttpClient client(port);
    const auto pause =
        per_second == 0 ? Clock::duration(0) : Clock::duration(std::chrono::seconds(kFlooders)) / per_second;
    for (auto next = Clock::now(); Clock::now() < end; next += pause) {
      if (per_second > 0) std::this_thread::sleep_until(next);
      client.Send("POST", "/v1/chat/completions", key, kQuestion);
      ++(client.Receive().status == 429 ? refused : answered);
    }
  }
};

// What the victims' answers took in one half of a round.
void Half(const Options& options, const Surroundings& around, int port, Flood* flood, std::vector<double>& out) {
  const auto end = Clock::now() + std::chrono::seconds(options.seconds);
  std::vector<std::vector<double>> took(kVictims);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kFlooders && flood != nullptr; ++i) {
      threads.emplace_back([&] { flood->Run(port, around.keys.at(kVictims), options.flood_per_second, end); });
    }
    for (std::size_t i = 0; i < kVictims; ++i) {
      threads.emplace_back([&, i] { took[i] = AskEvenly(port, around.keys.at(i), end); });
    }
  }
  for (const auto& one : took) out.insert(out.end(), one.begin(), one.end());
}

int Bench(const Options& options) {
  Report report("flood",
                fmt::format("Milliseconds of a chat through the gateway, which knows {} keys: {} keys ask 50 times a "
                            "second each; in every second half of {} rounds another key asks {} times a second, and "
                            "may 100 times.",
                            options.keys, kVictims, options.rounds, options.flood_per_second));
  Surroundings around;
  for (int i = 0; i < options.keys; ++i) {
    const std::string key = around.tenancy.AddKey(gateway::kProject, {});
    if (static_cast<int>(around.keys.size()) <= kVictims) around.keys.push_back(key);
  }
  around.Serve("tenancy", {&around.tenancy, &around.projects, &around.identities});
  around.Serve("scheduling", {&around.routes});
  around.Serve("billing", {&around.billing});
  around.Serve("worker", {&around.worker});
  around.routes.SetTargets({around.Target("worker")});
  std::unique_ptr<Process> process;
  const int port = StartGateway(around, process);
  std::vector<double> ratios, quiet, flooded, warm;
  Flood flood;
  Half(options, around, port, nullptr, warm);
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<double> before, during;
    Half(options, around, port, nullptr, before);
    Half(options, around, port, &flood, during);
    if (const auto ratio = Quotient(Percentile(during, 0.99), Percentile(before, 0.99))) ratios.push_back(*ratio);
    quiet.insert(quiet.end(), before.begin(), before.end());
    flooded.insert(flooded.end(), during.begin(), during.end());
  }
  report.Figure("p99 of the others beside a flood, against quiet", Median(ratios), "x", AtMost(kSlowdownMax));
  report.Detail("ratio_of_each_round", ratios);
  report.Detail("quiet_ms", Summary(quiet));
  report.Detail("flood_ms", Summary(flooded));
  report.Detail("flood_refused", flood.refused.load());
  report.Detail("flood_answered", flood.answered.load());
  report.Print();
  return report.is_measured() ? 0 : 1;
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  CLI::App app("What a key that floods does to the others");
  allod::bench::Options options;
  app.add_option("--keys", options.keys, "Keys that the gateway knows")->check(CLI::Range(5, 25'000));
  app.add_option("--rounds", options.rounds, "Of quiet and flood")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", options.seconds, "Of each half of a round")->check(CLI::Range(1, 600));
  app.add_option("--flood", options.flood_per_second, "Requests per second; 0: as fast as answers come")
      ->check(CLI::Range(0, 1'000'000));
  CLI11_PARSE(app, argc, argv);
  try {
    return allod::bench::Bench(options);
  } catch (const std::exception& e) {
    std::cerr << "bench_flood: " << e.what() << "\n";
    return 1;
  }
}
