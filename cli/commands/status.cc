// `allod status`: what is up, since when, as whom, and how much memory it uses.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands/commands.h"
#include "cli/installation/files.h"
#include "cli/installation/process_facts.h"
#include "cli/installation/process_memory.h"
#include "cli/net/http_client.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

using nlohmann::json;
using terminal::Print;

std::string Age(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

// For each process that runs, its user's number and what confines it: the kernel's word where it has one.
void AddConfinement(json& processes) {
  std::map<uid_t, int> sharing;
  std::vector<std::optional<installation::ProcessFacts>> facts;
  for (const auto& process : processes) {
    facts.push_back(process.value("running", false) ? installation::ReadProcessFacts(process.value("pid", -1))
                                                    : std::nullopt);
    if (facts.back()) ++sharing[facts.back()->uid];
  }
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i]) continue;
    processes[i]["uid"] = facts[i]->uid;
    if (processes[i].value("user", "").empty()) processes[i]["user"] = std::to_string(facts[i]->uid);
    const auto told = processes[i].value("layers", std::vector<std::string>{});
    processes[i]["layers"] = installation::LayersInForce(*facts[i], told, sharing[facts[i]->uid]);
  }
}

Status ShowStatus(const Globals& globals, const NoOptions& /*options*/) {
  ALLOD_TRY(const auto state, FindInstallation(globals));
  ALLOD_TRY(json status, installation::ReadJson(state.status()));
  if (!status.contains("processes")) return installation::Damaged(state.status());
  AddConfinement(status["processes"]);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::vector<std::string>> confinement;
  std::int64_t total = 0;
  for (auto& process : status["processes"]) {
    const bool running = process.value("running", false);
    const std::int64_t pss = running ? installation::TreeMemoryBytes(process.value("pid", 0)) : 0;
    const std::int64_t age = std::time(nullptr) - process.value("start_time", std::int64_t{0});
    total += pss;
    process["memory_bytes"] = pss;
    rows.push_back({process.value("name", ""), running ? "up" : "down",
                    running ? fmt::to_string(process.value("pid", 0)) : "", running ? Age(age) : "",
                    fmt::to_string(process.value("start_count", 1) - 1), fmt::format("{:.1f} MB", pss / 1e6),
                    process.value("last_end", "")});
    confinement.push_back({process.value("name", ""), process.value("user", ""),
                           fmt::format("{}", fmt::join(process.value("layers", std::vector<std::string>{}), " "))});
  }
  ALLOD_TRY(const std::string base, state.HttpBase());
  ALLOD_TRY(const std::string operators, state.OperatorsBase());
  ALLOD_TRY(const std::string public_url, state.PublicUrl());
  const bool ready = net::HttpReady(base + "/readyz");
  if (globals.json()) {
    status["base_url"] = base + "/v1";
    status["public_url"] = public_url.empty() ? json(nullptr) : json(public_url);
    status["metrics_url"] = operators.empty() ? json(nullptr) : json(operators + "/metrics");
    status["ready"] = ready;
    status["memory_bytes"] = total;
    Print(status.dump(2) + "\n");
    return {};
  }
  Print(terminal::Table({"PROCESS", "STATE", "PID", "UP FOR", "RESTARTS", "MEMORY", "LAST END"}, rows));
  Print("\n" + terminal::Table({"PROCESS", "USER", "CONFINED BY"}, confinement));
  Print(fmt::format("\n{} is {}; {:.0f} MB together (workers included)\n", base, ready ? "ready" : "NOT ready",
                    total / 1e6));
  if (!public_url.empty()) Print(fmt::format("{}/auth/sign-in?tenant=TENANT is where people sign in\n", public_url));
  if (!operators.empty()) Print(fmt::format("{}/metrics has the figures, for operators\n", operators));
  return {};
}

}  // namespace

void AddStatus(CLI::App& app, Globals& globals) {
  AddCommand<NoOptions>(app, globals, "status", "Show what is up, since when, and how much memory it uses",
                        &ShowStatus);
}

}  // namespace allod::cli::commands
