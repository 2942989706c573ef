// What a key that floods does to the others: a gateway that knows 20,000 keys, four of which ask at an even pace,
// quietly and while a fifth asks far beyond its limits. The gateway is the real program; services and worker are
// stand-ins here. The last line is JSON.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/gateway_alone.h"
#include "tests/bench/pool/report.h"
#include "tests/integration/gateway_http_client.h"

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
void Half(const Options& options, const GatewayAlone& gateway, Flood* flood, std::vector<double>& out) {
  const auto end = Clock::now() + std::chrono::seconds(options.seconds);
  std::vector<std::vector<double>> took(kVictims);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kFlooders && flood != nullptr; ++i) {
      threads.emplace_back([&] { flood->Run(gateway.port(), gateway.key(kVictims), options.flood_per_second, end); });
    }
    for (std::size_t i = 0; i < kVictims; ++i) {
      threads.emplace_back([&, i] { took[i] = AskEvenly(gateway.port(), gateway.key(i), end); });
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
  const GatewayAlone gateway(options.keys, kVictims + 1, {{"requests_per_minute", 6000}});
  std::vector<double> ratios, quiet, flooded, warm;
  Flood flood;
  Half(options, gateway, nullptr, warm);
  for (int round = 0; round < options.rounds; ++round) {
    std::vector<double> before, during;
    Half(options, gateway, nullptr, before);
    Half(options, gateway, &flood, during);
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
