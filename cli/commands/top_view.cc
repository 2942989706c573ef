#include "cli/commands/top_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;

std::string NodeText(const scheduling_v1::Node& node) {
  std::string text =
      fmt::format("{}  {}  {}  {} workers  memory {} of {} allocated\n", node.name(),
                  terminal::FieldText(node, "region"), terminal::FieldText(node, "state"), node.worker_count(),
                  ShortBytes(node.allocated().memory_bytes()), ShortBytes(node.capacity().memory_bytes()));
  if (node.has_gate()) {
    const auto& gate = node.gate();
    text += fmt::format("  gate: {} cores, {} waiting, {} turns, {:.1f} s of compute", gate.cores(), gate.waiting(),
                        gate.turns_total(), gate.compute_seconds_total());
    if (gate.reclaimed_total() > 0) text += fmt::format(", {} turns taken back", gate.reclaimed_total());
    text += "\n";
  }
  for (const auto& model : node.resident_models()) {
    text += fmt::format("  model {}{}: {}, {}, {} workers, loaded in {:.1f} s{}\n",
                        model.artifact_sha256().substr(0, 12), model.dedicated() ? " (dedicated)" : "",
                        terminal::FieldText(model, "state"), ShortBytes(model.private_bytes()), model.worker_count(),
                        model.load_seconds(), model.message().empty() ? "" : ": " + model.message());
  }
  return text;
}

std::string MeanTtft(const scheduling_v1::WorkerFigures& figures) {
  if (figures.ttft_count() <= 0) return "-";
  return fmt::format("{:.0f} ms", 1000 * figures.ttft_seconds_sum() / static_cast<double>(figures.ttft_count()));
}

// Without `tenants/` and `projects/`: the names are long and the screen is not.
std::string ShortName(const std::string& instance) {
  std::string out;
  std::size_t begin = 0;
  for (int segment = 0; begin < instance.size(); ++segment) {
    const std::size_t end = std::min(instance.find('/', begin), instance.size());
    if (segment % 2 == 1) out += (out.empty() ? "" : "/") + instance.substr(begin, end - begin);
    begin = end + 1;
  }
  return out.empty() ? "-" : out;
}

// A member of a pool, which has no figures of its own: those of its worker are of all members.
bool IsUnmeasured(const scheduling_v1::Worker& worker) {
  return worker.isolation_class() == scheduling_v1::ISOLATION_CLASS_POOLED && !worker.has_figures();
}

// From tokens per second to shared memory.
std::vector<std::string> FigureCells(const scheduling_v1::Worker& worker) {
  if (IsUnmeasured(worker)) return std::vector<std::string>(7, "-");
  const auto& f = worker.figures();
  return {fmt::format("{:.1f}", f.tokens_per_second()),
          MeanTtft(f),
          fmt::to_string(f.active_requests()),
          fmt::to_string(f.queued_requests()),
          fmt::to_string(f.turns_total()),
          ShortBytes(f.private_bytes()),
          ShortBytes(f.shared_bytes())};
}

std::string OneLine(const std::string& text) {
  std::string out = text.substr(0, 60);
  std::ranges::replace_if(
      out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

}  // namespace

std::string ShortBytes(std::int64_t bytes) {
  constexpr std::int64_t kMiB = 1 << 20;
  if (bytes >= 1024 * kMiB) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * kMiB));
  if (bytes >= kMiB) return fmt::format("{} MiB", (bytes + kMiB / 2) / kMiB);
  return fmt::format("{} KiB", (bytes + 1023) / 1024);
}

std::string TopText(const TopSnapshot& snapshot) {
  std::string text;
  for (const auto& node : snapshot.nodes) text += NodeText(node);
  if (snapshot.nodes.empty()) text += "no node has joined\n";
  std::vector<const scheduling_v1::Worker*> workers;
  double tokens_per_second = 0;
  for (const auto& worker : snapshot.workers) {
    workers.push_back(&worker);
    tokens_per_second += worker.figures().tokens_per_second();
  }
  std::ranges::stable_sort(workers, std::ranges::greater(), [](const scheduling_v1::Worker* worker) {
    return std::pair(worker->figures().tokens_per_second(), worker->figures().active_requests());
  });
  std::vector<std::vector<std::string>> rows;
  for (const auto* worker : workers) {
    std::vector<std::string>& row = rows.emplace_back();
    row = {ShortName(worker->instance()), terminal::FieldText(*worker, "isolation_class"),
           terminal::FieldText(*worker, "state")};
    for (std::string& cell : FigureCells(*worker)) row.push_back(std::move(cell));
    row.push_back(fmt::to_string(worker->sandbox_layers_size()));
    row.push_back(IsUnmeasured(*worker) ? "-" : fmt::to_string(worker->figures().wake_count()));
    row.push_back(OneLine(worker->message()));
  }
  text += fmt::format("\n{} replicas, {:.1f} tokens/s\n", rows.size(), tokens_per_second);
  if (rows.empty()) return text;
  text += terminal::Table({"INSTANCE", "CLASS", "STATE", "TOK/S", "TTFT", "ACTIVE", "QUEUE", "TURNS", "PRIVATE",
                           "SHARED", "LAYERS", "WAKES", "MESSAGE"},
                          rows);
  if (std::ranges::any_of(snapshot.workers, IsUnmeasured)) {
    text += "-: not measured for the members of a pool, who share a worker; `allod usage` has their tokens\n";
  }
  return text;
}

std::string TopJson(const TopSnapshot& snapshot) {
  const auto list = [](const auto& messages) {
    terminal::Messages shown;
    for (const auto& message : messages) shown.push_back(&message);
    return terminal::ToJsonArray(shown);
  };
  return "{\"nodes\": " + list(snapshot.nodes) + ",\n\"workers\": " + list(snapshot.workers) + "}\n";
}

}  // namespace allod::cli::commands
