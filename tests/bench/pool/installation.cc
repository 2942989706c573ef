#include "tests/bench/pool/installation.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "tests/integration/gateway_http_client.h"

namespace allod::bench {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr minutes kCommandTime(10);

std::string ReadAll(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string Trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// After `text`, digits.
int NumberAfter(const std::string& in, const std::string& text) {
  const std::size_t at = in.find(text);
  return at == std::string::npos ? 0 : std::atoi(in.c_str() + at + text.size());
}

std::string TenantManifest(const std::string& tenant) {
  return fmt::format(R"(apiVersion: allod/v1
kind: Tenant
metadata: {{name: {0}}}
spec: {{displayName: Benchmark, currencyCode: KES, residency: [ke]}}
---
apiVersion: allod/v1
kind: Project
metadata: {{name: {0}/projects/p}}
spec: {{displayName: Benchmark}}
---
apiVersion: allod/v1
kind: BillingAccount
metadata: {{name: {0}/billingAccount}}
spec: {{currencyCode: KES, creditLimit: "1000000000"}}
---
)",
                     tenant);
}

}  // namespace

fs::path BuildDirectory() { return fs::read_symlink("/proc/self/exe").parent_path().parent_path(); }

Installation::Installation() {
  ProcessOptions options;
  options.output = directory_ / "up.log";
  options.death_signal = SIGTERM;
  up_.emplace(std::vector<std::string>{BuildDirectory() / "bin/allod", "--state", directory_.path(), "up"}, options);
  guard_.emplace(up_->pid(), directory_.path());
  const auto deadline = SteadyClock::now() + seconds(90);
  while (port_ == 0) {
    if (!up_->Running() || SteadyClock::now() > deadline) {
      throw std::runtime_error("`allod up` did not come up:\n" + up_->Output());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    port_ = NumberAfter(up_->Output(), "answers at http://127.0.0.1:");
  }
}

Installation::~Installation() { up_->Stop(seconds(30)); }

std::string Installation::Allod(std::vector<std::string> args) const {
  args.insert(args.begin(), {BuildDirectory() / "bin/allod", "--state", directory_.path()});
  const Finished finished = RunToEnd(args, kCommandTime);
  if (finished.status != 0) {
    throw std::runtime_error(fmt::format("allod {}: exit {}\n{}", args[3], finished.status, finished.output));
  }
  return finished.output;
}

ListedModel Installation::Import(const fs::path& file, const std::string& model) {
  Allod({"import", file, "--model", model, "--license", "Apache-2.0"});
  const std::string version = fmt::format("models/{}/versions/v1", model);
  const ListedModel out{fmt::format("listings/{}-v1", model), version + "/variants/source", version};
  const fs::path manifest = directory_.Write(model + ".yaml", fmt::format(R"(apiVersion: allod/v1
kind: Listing
metadata: {{name: {}}}
spec:
  version: {}
  displayName: Benchmark
  licenseTerms: Apache-2.0
  territory: [ke]
  prices:
    - {{currencyCode: KES, promptPricePerMillion: "12.50", completionPricePerMillion: "37.50"}}
)",
                                                                          out.listing, version));
  Allod({"apply", "-f", manifest});
  return out;
}

const ListedModel& Installation::BenchModel() {
  if (bench_model_) return *bench_model_;
  const fs::path file = BuildDirectory() / "bench/bench-0.4b-q4_0.gguf";
  if (!fs::exists(file)) {
    std::cerr << "making " << file.string() << "\n";
    fs::create_directories(file.parent_path());
    const Finished made = RunToEnd({BuildDirectory() / "tests/make_bench_model", file}, kCommandTime);
    if (made.status != 0) throw std::runtime_error("make_bench_model failed:\n" + made.output);
  }
  std::cerr << "importing " << file.filename().string() << "\n";
  bench_model_ = Import(file, "bench");
  return *bench_model_;
}

std::vector<TenantAccess> Installation::Tenants(int count, int key_count) {
  std::string manifest;
  while (static_cast<int>(tenants_.size()) < count) {
    const std::string name = fmt::format("tenants/t{}", tenants_.size());
    tenants_.push_back({name, name + "/projects/p", {}});
    manifest += TenantManifest(name);
  }
  if (!manifest.empty()) Allod({"apply", "-f", directory_.Write("tenants.yaml", manifest)});
  for (int i = 0; i < count; ++i) {
    TenantAccess& tenant = tenants_[static_cast<std::size_t>(i)];
    while (static_cast<int>(tenant.keys.size()) < key_count) {
      const fs::path file = directory_ / fmt::format("t{}-{}.key", i, tenant.keys.size());
      Allod({"create-key", tenant.project, "--file", file});
      tenant.keys.push_back(Trimmed(ReadAll(file)));
    }
  }
  return {tenants_.begin(), tenants_.begin() + count};
}

void Installation::CreateInstances(const std::vector<TenantAccess>& tenants, const std::string& id,
                                   const ListedModel& model, const InstanceShape& shape) {
  std::string manifest;
  for (const TenantAccess& tenant : tenants) {
    manifest += fmt::format(R"(apiVersion: allod/v1
kind: Instance
metadata: {{name: {}/instances/{}}}
spec:
  listing: {}
  variant: {}
  region: regions/ke-1
  isolationClass: {}
  contextTokens: {}
  maxConcurrency: {}
)",
                            tenant.project, id, model.listing, model.variant, shape.isolation_class,
                            shape.context_tokens, shape.max_concurrency);
    if (shape.sleep_after_seconds > 0) manifest += fmt::format("  sleepAfterSeconds: {}\n", shape.sleep_after_seconds);
    manifest += "---\n";
  }
  Allod({"apply", "-f", directory_.Write("instances.yaml", manifest)});
}

void Installation::DeleteInstances(const std::vector<TenantAccess>& tenants, const std::string& id) {
  for (const TenantAccess& tenant : tenants) {
    Allod({"delete", "instances", fmt::format("{}/instances/{}", tenant.project, id)});
  }
}

json Installation::InstanceBody(const ListedModel& model, const InstanceShape& shape) {
  std::string isolation_class = shape.isolation_class;
  std::ranges::transform(isolation_class, isolation_class.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return {{"spec",
           {{"listing", model.listing},
            {"variant", model.variant},
            {"region", "regions/ke-1"},
            {"isolationClass", "ISOLATION_CLASS_" + isolation_class},
            {"contextTokens", shape.context_tokens},
            {"maxConcurrency", shape.max_concurrency}}}};
}

json Installation::Portal(const std::string& method, const std::string& path, const std::string& key,
                          const json& body) {
  const auto response =
      gateway::Fetch(port_, method, "/portal/v1/" + path, key, body.is_null() ? std::string() : body.dump());
  if (response.status != 200) {
    throw std::runtime_error(fmt::format("{} {}: HTTP {}\n{}", method, path, response.status, response.body));
  }
  return json::parse(response.body);
}

StreamRequest Installation::Completion(const TenantAccess& tenant, const std::string& instance,
                                       const std::string& prompt, int tokens) const {
  return {port_, tenant.keys.at(0), "/v1/completions", CompletionBody(instance, prompt, tokens)};
}

StreamRequest Installation::Chat(const TenantAccess& tenant, const std::string& instance, const std::string& content,
                                 int tokens, std::size_t key) const {
  return {port_, tenant.keys.at(key), "/v1/chat/completions", ChatBody(instance, content, tokens)};
}

pid_t Installation::Pid(const std::string& process) const {
  const json status = json::parse(ReadAll(run_dir() / "status.json"));
  for (const json& entry : status.at("processes")) {
    if (entry.at("name") == process && entry.at("pid").get<pid_t>() > 1) return entry.at("pid").get<pid_t>();
  }
  throw std::runtime_error("no process " + process);
}

std::vector<ProcessEntry> Installation::Processes() const { return Descendants(up_->pid()); }

std::vector<pid_t> Installation::ModelProcesses() const {
  std::vector<pid_t> out;
  for (const ProcessEntry& process : Descendants(Pid("node"))) {
    if (process.name != "allod-compress") out.push_back(process.pid);
  }
  return out;
}

pid_t Installation::WorkerPid(const std::string& instance) const {
  for (const auto deadline = SteadyClock::now() + seconds(10); SteadyClock::now() < deadline;) {
    const json top = json::parse(Allod({"--output", "json", "top"}));
    for (const json& worker : top.at("workers")) {
      if (worker.at("instance") == instance && worker.value("pid", 0) > 0) return worker.at("pid").get<pid_t>();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  throw std::runtime_error("no worker runs for " + instance);
}

std::int64_t Installation::KvBytes(const ListedModel& model, const TenantAccess& reader, int cells) {
  const json version = Portal("GET", model.version, reader.keys.at(0));
  const std::string per_token = version.value("kvBytesPerToken", "0");
  if (per_token == "0")
    throw std::runtime_error("the catalog does not know the KV bytes per token of " + model.version);
  constexpr int kCellsStep = 256;  // the engine rounds up to it
  return std::stoll(per_token) * ((cells + kCellsStep - 1) / kCellsStep * kCellsStep);
}

}  // namespace allod::bench
