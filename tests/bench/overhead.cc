// What a chat through /v1 costs beyond its worker: the time that the gateway adds to the same call made to the worker
// directly, and how many requests a core of it carries beside nginx, which passes the same bytes on to an upstream that
// answers at once. The gateway is the real program, with keys, limits, money and journal; services and worker are
// stand-ins here. Both sides of each figure take turns in one run. The last line is JSON.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "services/common/rpc/client.h"
#include "tests/bench/gateway_alone.h"
#include "tests/bench/pool/report.h"
#include "tests/integration/gateway_http_client.h"

namespace allod::bench {
namespace {

using namespace std::chrono_literals;
using gateway::HttpClient;
using Clock = std::chrono::steady_clock;

constexpr double kAddedMax = 0.3;  // ms
constexpr double kRatioMin = 0.5;  // of nginx; the aim is 0.8
constexpr int kClients = 4;        // of each side
constexpr auto kPause = 5ms;       // between the requests of one client whose times are taken

struct Options {
  int rounds = 8;
  int seconds = 3;  // of each part of a round
};

constexpr char kQuestion[] = R"({"model":"assistant","messages":[{"role":"user","content":"Habari?"}]})";

// Runs `client` on as many threads at once.
template <typename Client>
void Together(const Client& client) {
  std::vector<std::jthread> threads;
  std::vector<std::string> faults(kClients);
  for (std::size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&, i] {
      try {
        client(i);
      } catch (const std::exception& e) {
        faults[i] = e.what();
      }
    });
  }
  threads.clear();
  for (const std::string& fault : faults) {
    if (!fault.empty()) throw std::runtime_error(fault);
  }
}

// The milliseconds of each of what clients do at an even pace until `end`; a late one delays no other.
template <typename MakeClient>
std::vector<double> TakeTimes(const MakeClient& make, Clock::time_point end) {
  std::vector<std::vector<double>> took(kClients);
  Together([&](std::size_t i) {
    const auto ask = make(i);
    for (auto next = Clock::now() + i * kPause / kClients; next < end; next += kPause) {
      std::this_thread::sleep_until(next);
      const auto begin = Clock::now();
      ask();
      took[i].push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
  });
  std::vector<double> out;
  for (const auto& one : took) out.insert(out.end(), one.begin(), one.end());
  return out;
}

// The processor time of a process so far, all its threads together.
double CpuSeconds(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));  // from the third field on
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  double user = 0, system = 0;
  if (!(fields >> user >> system)) throw std::runtime_error("a measured process has ended");
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Requests per second of processor time of `pid`, of clients that ask as fast as answers come.
double PerCore(int port, const std::string& key, pid_t pid, Clock::time_point end) {
  std::atomic<std::int64_t> answered{0};
  const double before = CpuSeconds(pid);
  Together([&](std::size_t) {
    HttpClient client(port);
    while (Clock::now() < end) {
      client.Send("POST", "/v1/chat/completions", key, kQuestion);
      const int status = client.Receive().status;
      if (status != 200) throw std::runtime_error(fmt::format("a request was answered {}", status));
      ++answered;
    }
  });
  return static_cast<double>(answered) / (CpuSeconds(pid) - before);
}

// nginx in one process that passes requests on to another one, which answers each with `answer`; both ends of it keep
// their connections open, as the gateway's do.
class Nginx {
 public:
  explicit Nginx(const std::string& answer) {
    const std::string upstream = (directory_ / "upstream.sock").string();
    upstream_ = Start("upstream", fmt::format("server {{ listen unix:{}; keepalive_requests 1000000000; location / {{ "
                                              "default_type application/json; return 200 '{}'; }} }}",
                                              upstream, answer));
    port_ = 20'000 + static_cast<int>(getpid() % 20'000);
    proxy_ = Start("proxy", fmt::format("upstream u {{ server unix:{}; keepalive 64; keepalive_requests 1000000000; }} "
                                        "server {{ listen 127.0.0.1:{}; keepalive_requests 1000000000; location / {{ "
                                        "proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; "
                                        "}} }}",
                                        upstream, port_));
    const bool is_ready = gateway::Eventually([&] {
      if (!proxy_->Running() || !upstream_->Running()) throw std::runtime_error("nginx ended: " + proxy_->Output());
      try {
        return gateway::Fetch(port_, "POST", "/v1/chat/completions", "k", kQuestion).status == 200;
      } catch (const std::runtime_error&) {
        return false;  // it does not listen yet
      }
    });
    if (!is_ready) throw std::runtime_error("nginx does not answer: " + proxy_->Output());
  }

  int port() const { return port_; }
  pid_t pid() const { return proxy_->pid(); }

 private:
  std::unique_ptr<Process> Start(const std::string& name, const std::string& http) {
    const std::string at = (directory_ / name).string();
    std::filesystem::create_directories(at);
    const auto file = directory_.Write(
        name + ".conf",
        fmt::format("daemon off; master_process off; pid {0}/pid; error_log {0}/error.log; events {{ }} "
                    "http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; "
                    "fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s; {1} }}",
                    at, http));
    return std::make_unique<Process>(
        std::vector<std::string>{"nginx", "-p", at, "-e", at + "/error.log", "-c", file},
        ProcessOptions{.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, .output = directory_ / (name + ".log")});
  }

  TempDir directory_;
  std::unique_ptr<Process> upstream_, proxy_;
  int port_ = 0;
};

int Bench(const Options& options) {
  Report report("overhead",
                fmt::format("A chat of seven prompt tokens and three of an answer. Added: p99 of {0} clients that ask "
                            "every {1} ms through the gateway, less p99 of the same call made to its worker, of the "
                            "median of {2} rounds. Ratio: requests per second of processor time of the gateway, over "
                            "those of nginx that passes the same bytes on, {0} clients each as fast as answers come.",
                            kClients, kPause.count(), options.rounds));
  GatewayAlone gateway(kClients, kClients,
                       {{"requests_per_minute", 60'000'000}, {"tokens_per_minute", 60'000'000'000}});
  const std::string answer =
      gateway::Fetch(gateway.port(), "POST", "/v1/chat/completions", gateway.key(0), kQuestion).body;
  if (answer.find("asubuhi") == std::string::npos) throw std::runtime_error("the gateway did not answer: " + answer);
  const Nginx nginx(answer);

  const auto through_gateway = [&](std::size_t i) {
    return [client = std::make_shared<HttpClient>(gateway.port()), key = gateway.key(i)] {
      client->Send("POST", "/v1/chat/completions", key, kQuestion);
      if (client->Receive().status != 200) throw std::runtime_error("a request was refused");
    };
  };
  const auto channel = MakeChannel(gateway.worker_target());
  const auto directly = [&](std::size_t) {
    return [stub = std::shared_ptr(inference::v1::WorkerService::NewStub(channel))] {
      inference::v1::GenerateRequest request;
      const auto context = MakeContext(Caller::Service("gateway"), 10s);
      const auto reader = stub->Generate(context.get(), request);
      inference::v1::GenerateResponse event;
      while (reader->Read(&event)) continue;
      if (!reader->Finish().ok()) throw std::runtime_error("the worker did not answer");
    };
  };
  const auto end = [&] { return Clock::now() + std::chrono::seconds(options.seconds); };
  std::vector<double> added, added_median, ratios, gateway_ms, worker_ms, gateway_rates, nginx_rates;
  for (int round = 0; round <= options.rounds; ++round) {  // the first one warms up
    const std::vector<double> direct = TakeTimes(directly, end());
    const std::vector<double> through = TakeTimes(through_gateway, end());
    const double gateway_rate = PerCore(gateway.port(), gateway.key(0), gateway.pid(), end());
    const double nginx_rate = PerCore(nginx.port(), gateway.key(0), nginx.pid(), end());
    if (round == 0) continue;
    added.push_back(Percentile(through, 0.99).value() - Percentile(direct, 0.99).value());
    added_median.push_back(Percentile(through, 0.5).value() - Percentile(direct, 0.5).value());
    ratios.push_back(gateway_rate / nginx_rate);
    gateway_rates.push_back(gateway_rate);
    nginx_rates.push_back(nginx_rate);
    worker_ms.insert(worker_ms.end(), direct.begin(), direct.end());
    gateway_ms.insert(gateway_ms.end(), through.begin(), through.end());
  }
  report.Figure("p99 added to the worker's", Median(added), "ms", AtMost(kAddedMax));
  report.Figure("requests per second and core, over nginx", Median(ratios), "x", AtLeast(kRatioMin));
  report.Detail("p50_added_ms", *Median(added_median));
  report.Detail("worker_ms", Summary(worker_ms));
  report.Detail("gateway_ms", Summary(gateway_ms));
  report.Detail("gateway_per_core", *Median(gateway_rates));
  report.Detail("nginx_per_core", *Median(nginx_rates));
  report.Detail("ratio_of_each_round", ratios);
  report.Print();
  return report.is_measured() ? 0 : 1;
}

}  // namespace
}  // namespace allod::bench

int main(int argc, char** argv) {
  CLI::App app("What /v1 adds to its worker, and beside nginx (Debian: nginx-light)");
  allod::bench::Options options;
  app.add_option("--rounds", options.rounds, "Rounds")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", options.seconds, "Of each of the four parts of a round")->check(CLI::Range(1, 600));
  CLI11_PARSE(app, argc, argv);
  try {
    return allod::bench::Bench(options);
  } catch (const std::exception& e) {
    std::cerr << "bench_overhead: " << e.what() << "\n";
    return 1;
  }
}
