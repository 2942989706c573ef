#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "tests/bench/pool/benchmarks.h"

namespace allod::bench {

namespace {

using nlohmann::json;
using scheduling::v1::NodeService;
using std::chrono::seconds;

constexpr double kBytesPerReaderMax = 64 * 1024;
constexpr int kReadersPerInstance =
    64;  // the most that an instance decodes at the same time, and that a key may have open
constexpr int kContextTokens = 1024;
constexpr int kTokens = 1000;
constexpr std::int64_t kPromptTokens = 8;  // about
// What llama.cpp remembers of a cell beside keys and values: position, sequences, and a node of a tree.
constexpr std::int64_t kCellRecordBytes = 96;
constexpr int kCrowd = 16;
constexpr seconds kPatience(90);  // for the head of an answer
constexpr seconds kStandstillMax(400);
constexpr int kAddresses = 8;  // clients stand on several addresses: a gateway bounds the connections of each

// One layer of the benchmark model's shape: what a token costs does not matter here, only that there are many.
ListedModel ImportSmallModel(Installation& installation) {
  const TempDir directory;
  const std::filesystem::path file = directory / "small.gguf";
  const Finished made =
      RunToEnd({BuildDirectory() / "tests/make_bench_model", file, "--layers", "1", "--vocabulary", "8000"},
               std::chrono::minutes(2));
  if (made.status != 0) throw std::runtime_error("make_bench_model failed:\n" + made.output);
  return installation.Import(file, "small");
}

// PSS of each process that `allod up` runs, with its children.
std::map<std::string, std::int64_t> MemoryByProcess(const Installation& installation) {
  std::map<std::string, std::int64_t> out;
  for (const char* name : {"postgres", "redis", "tenancy", "catalog", "billing", "scheduling", "node", "gateway"}) {
    std::vector<pid_t> pids = {installation.Pid(name)};
    for (const ProcessEntry& child : Descendants(pids[0])) pids.push_back(child.pid);
    out[name] = MemoryOf(pids).pss;
  }
  return out;
}

struct WorkersNow {
  int active = 0;
  int queued = 0;
  std::int64_t sampled_tokens = 0;
  auto operator<=>(const WorkersNow&) const = default;
};

// As the node told it last.
WorkersNow Workers(NodeService::Stub& nodes) {
  WorkersNow out;
  scheduling::v1::ListWorkersRequest request;
  request.set_parent("nodes/-");
  request.set_page_size(1000);
  const auto answer = CallUnary(nodes, &NodeService::Stub::ListWorkers, request, Caller::Operator(), seconds(10));
  if (!answer) throw std::runtime_error("workers cannot be listed: " + answer.error().message);
  for (const auto& worker : answer->workers()) {
    out.active += worker.figures().active_requests();
    out.queued += worker.figures().queued_requests();
    out.sampled_tokens += worker.figures().completion_tokens_total();
  }
  return out;
}

// Until nothing is computed any more because every reader stalls, or for `limit`.
std::pair<WorkersNow, bool> AwaitStandstill(NodeService::Stub& nodes, seconds limit) {
  constexpr seconds kQuiet(6);  // three reports of the node
  const auto deadline = SteadyClock::now() + limit;
  WorkersNow last = Workers(nodes);
  auto since = SteadyClock::now();
  while (SteadyClock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const WorkersNow now = Workers(nodes);
    if (now != last) since = SteadyClock::now();
    last = now;
    if (SteadyClock::now() - since > kQuiet && last.sampled_tokens > 0) return {last, true};
  }
  return {last, false};
}

}  // namespace

Report Readers(Installation& installation, const BenchOptions& options) {
  const int count = options.Count(2000, 128);
  const int instances = (count + kReadersPerInstance - 1) / kReadersPerInstance;
  Report report(
      "readers",
      fmt::format(
          "{} clients with the least socket buffers the kernel grants ask for {} tokens each, read the head of the "
          "answer and no further; {} isolated instances answer {} each at the same time. Growth of the PSS "
          "of all processes of the platform (gateway, services, node, zygotes, workers; PostgreSQL and Redis "
          "apart) from before the first of them to when nothing moves any more, less the KV cells of their tokens, by "
          "reader.",
          count, kTokens, instances, kReadersPerInstance));
  const ListedModel model = ImportSmallModel(installation);
  const TenantAccess tenant = installation.Tenants(1, instances)[0];
  for (int i = 0; i < instances; ++i) {
    installation.CreateInstances({tenant}, fmt::format("readers{}", i), model,
                                 {.isolation_class = options.Class("isolated"),
                                  .context_tokens = kContextTokens,
                                  .max_concurrency = kReadersPerInstance});
    const StreamTrace warm = RunStream(installation.Completion(tenant, fmt::format("readers{}", i), "Hello", 8),
                                       SteadyClock::now() + seconds(30));
    if (!warm.complete) throw std::runtime_error(fmt::format("HTTP {}: {}", warm.status, warm.error));
  }
  const std::int64_t kv_bytes_per_token = installation.KvBytes(model, tenant, 256) / 256 + kCellRecordBytes;
  const auto nodes = NodeService::NewStub(MakeChannel(installation.OperatorTarget()));
  const auto before = MemoryByProcess(installation);

  const auto asked = SteadyClock::now();
  std::vector<StreamClient> clients(static_cast<std::size_t>(count));
  std::vector<SteadyTime> asked_at(static_cast<std::size_t>(count));
  std::vector<double> head_ms;
  const auto start = [&](int i) {
    asked_at[static_cast<std::size_t>(i)] = SteadyClock::now();
    StreamRequest request =
        installation.Completion(tenant, fmt::format("readers{}", i % instances), FreshPrompt(4), kTokens);
    request.key = tenant.keys[static_cast<std::size_t>(i % instances)];
    clients[static_cast<std::size_t>(i)].Start(
        request, {.source_address = fmt::format("127.0.0.{}", 2 + i % kAddresses), .small_buffers = true},
        SteadyClock::now() + kPatience);
  };
  int answered = 0, refused = 0, without_answer = 0;
  std::string first_refusal;
  for (int i = 0; i < count; ++i) {
    // They come as a crowd, not all in one instant: what is measured is what they hold, not how they are admitted.
    for (int next = i; i % kCrowd == 0 && next < std::min(i + kCrowd, count); ++next) start(next);
    StreamClient& client = clients[static_cast<std::size_t>(i)];
    // Each has the same time, however many came before it.
    const SteadyTime sent = asked_at[static_cast<std::size_t>(i)];
    if (!client.ReadHead(sent + kPatience)) {
      ++without_answer;
    } else if (client.status() == 200) {
      ++answered;
      head_ms.push_back(MillisecondsBetween(sent, SteadyClock::now()));
    } else if (++refused == 1) {
      first_refusal = fmt::format("HTTP {}: {}", client.status(), client.error());
    }
  }
  std::cerr << fmt::format("readers: {} answered, {} refused, {} without an answer after {:.0f} s\n", answered, refused,
                           without_answer, SecondsBetween(asked, SteadyClock::now()));
  const auto [workers, still] = AwaitStandstill(*nodes, kStandstillMax);
  const auto during = MemoryByProcess(installation);
  clients.clear();
  // What they held is given back; the next benchmark starts on an idle machine.
  WorkersNow left = Workers(*nodes);
  for (int i = 0; i < 60 && left.active + left.queued > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    left = Workers(*nodes);
  }
  const auto after = MemoryByProcess(installation);
  for (int i = 0; i < instances; ++i) installation.DeleteInstances({tenant}, fmt::format("readers{}", i));

  double growth = 0;
  json by_process = json::object();
  for (const auto& [name, bytes] : before) {
    if (name != "postgres" && name != "redis") growth += static_cast<double>(during.at(name) - bytes);
    by_process[name] = {{"before", bytes}, {"stalled", during.at(name)}, {"after", after.at(name)}};
  }
  // Those that were refused hold nothing. The KV cache belongs to the instance: its size is fixed when that is made,
  // and the kernel gives the pages as tokens first come to lie in them.
  const auto kv = static_cast<double>(kv_bytes_per_token * (workers.sampled_tokens + answered * kPromptTokens));
  const std::optional<double> per_reader = answered > 0 ? std::optional((growth - kv) / answered) : std::nullopt;
  report.Figure(fmt::format("memory growth per stalled reader of {}", count),
                answered == count && still ? per_reader : std::nullopt, "bytes", AtMost(kBytesPerReaderMax));
  if (answered > 0) {
    report.Detail("bytes_per_answered_reader", *per_reader);
    report.Detail("kv_bytes_per_answered_reader", kv / answered);
  }
  report.Detail("readers",
                {{"answered_and_stalled", answered}, {"refused", refused}, {"without_answer", without_answer}});
  report.Detail("head_ms", Summary(head_ms));
  if (refused > 0) report.Detail("first_refusal", first_refusal);
  report.Detail("in_workers",
                {{"started", workers.active}, {"queued", workers.queued}, {"nothing_moved_any_more", still}});
  report.Detail("tokens_sampled", workers.sampled_tokens);
  report.Detail("in_workers_after", {{"started", left.active}, {"queued", left.queued}});
  report.Detail("pss_by_process", by_process);
  return report;
}

}  // namespace allod::bench
