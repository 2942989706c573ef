// `allod down` and `allod status`.

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <ctime>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "cli/commands/commands.h"
#include "cli/installation/process_facts.h"
#include "cli/net/connections.h"
#include "cli/net/http_client.h"
#include "cli/terminal/print.h"

namespace allod::cli {
namespace {

using nlohmann::json;

constexpr int kDownTimeoutMs = 60'000;

Status Down(const Globals& globals) {
  const auto state = RunningState(globals);
  if (!state) {
    if (state.error().reason != "NOT_UP") return std::unexpected(state.error());
    Print("not up\n");
    return {};
  }
  ALLOD_TRY(const std::string text, ReadFile(state->lock()));
  int pid = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), pid).ec != std::errc() || pid <= 1) {
    return Internal(state->lock().string() + " does not hold a process id");
  }
  // The lock is held, so the process that wrote its id is alive; the descriptor keeps the id from being reused.
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return FailedPrecondition("NOT_UP", fmt::format("process {} is gone", pid));
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, nullptr, 0);
  pollfd fd{pidfd, POLLIN, 0};
  const int ended = ::poll(&fd, 1, kDownTimeoutMs);
  ::close(pidfd);
  if (ended <= 0) {
    return Fail(Code::kDeadlineExceeded, "STILL_UP",
                fmt::format("process {} did not end within {} s", pid, kDownTimeoutMs / 1000));
  }
  Print("down\n");
  return {};
}

// What the process alone holds and its part of what it shares. Where nobody but root may see the second (a process that
// is closed to debuggers), what it has in memory of its own.
std::int64_t ResidentBytes(int pid) {
  std::ifstream in(fmt::format("/proc/{}/statm", pid));
  std::int64_t size = 0, resident = 0, shared = 0;
  if (!(in >> size >> resident >> shared)) return 0;
  return (resident - shared) * ::sysconf(_SC_PAGESIZE);
}

// Proportional set size: shared pages are divided by their users, so that the sum over processes is what they use
// together.
std::int64_t PssBytes(int pid) {
  std::ifstream in(fmt::format("/proc/{}/smaps_rollup", pid));
  std::string word;
  std::int64_t kib = 0;
  while (in >> word) {
    if (word == "Pss:" && in >> kib) return kib * 1024;
  }
  return ResidentBytes(pid);
}

// The process and everything below it.
std::int64_t TreePssBytes(int pid) {
  std::int64_t total = PssBytes(pid);
  std::ifstream in(fmt::format("/proc/{}/task/{}/children", pid, pid));
  for (int child = 0; in >> child;) total += TreePssBytes(child);
  return total;
}

std::string Age(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h", seconds / 3600);
}

// For each process that runs, its user's number and what confines it: the kernel's word where it has one.
void AddConfinement(json& processes) {
  std::map<uid_t, int> sharing;
  std::vector<std::optional<ProcessFacts>> facts;
  for (const auto& process : processes) {
    facts.push_back(process.value("running", false) ? ReadProcessFacts(process.value("pid", -1)) : std::nullopt);
    if (facts.back()) ++sharing[facts.back()->uid];
  }
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (!facts[i]) continue;
    processes[i]["uid"] = facts[i]->uid;
    if (processes[i].value("user", "").empty()) processes[i]["user"] = std::to_string(facts[i]->uid);
    const auto told = processes[i].value("layers", std::vector<std::string>{});
    processes[i]["layers"] = LayersInForce(*facts[i], told, sharing[facts[i]->uid]);
  }
}

Status ShowStatus(const Globals& globals) {
  ALLOD_TRY(const StateDir state, RunningState(globals));
  ALLOD_TRY(const std::string text, ReadFile(state.status()));
  json status = json::parse(text, nullptr, false);
  if (!status.is_object() || !status.contains("processes")) return Internal(state.status().string() + " is damaged");
  AddConfinement(status["processes"]);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::vector<std::string>> confinement;
  std::int64_t total = 0;
  for (auto& process : status["processes"]) {
    const bool running = process.value("running", false);
    const std::int64_t pss = running ? TreePssBytes(process.value("pid", 0)) : 0;
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
  const bool ready = HttpReady(base + "/readyz");
  if (globals.json()) {
    status["base_url"] = base + "/v1";
    status["metrics_url"] = operators.empty() ? json(nullptr) : json(operators + "/metrics");
    status["ready"] = ready;
    status["memory_bytes"] = total;
    Print(status.dump(2) + "\n");
    return {};
  }
  Print(Table({"PROCESS", "STATE", "PID", "UP FOR", "RESTARTS", "MEMORY", "LAST END"}, rows));
  Print("\n" + Table({"PROCESS", "USER", "CONFINED BY"}, confinement));
  Print(fmt::format("\n{} is {}; {:.0f} MB together (workers included)\n", base, ready ? "ready" : "NOT ready",
                    total / 1e6));
  if (!operators.empty()) Print(fmt::format("{}/metrics has the figures, for operators\n", operators));
  return {};
}

}  // namespace

void AddDownCommands(CLI::App& app, Globals& globals) {
  app.add_subcommand("down", "Stop everything that `allod up` started")->callback([&globals] {
    globals.action = [&globals] { return Down(globals); };
  });
  app.add_subcommand("status", "Show what is up, since when, and how much memory it uses")->callback([&globals] {
    globals.action = [&globals] { return ShowStatus(globals); };
  });
}

}  // namespace allod::cli
