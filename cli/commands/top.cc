// `allod top`: what every node and every instance is doing, refreshed until it is interrupted.

#include <unistd.h>

#include <thread>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/top_view.h"
#include "cli/net/connections.h"
#include "cli/terminal/print.h"

namespace allod::cli {
namespace {

namespace scheduling = allod::scheduling::v1;
using NodeService = scheduling::NodeService;

struct Options {
  bool once = false;
  double interval_seconds = 2;
};

Result<TopSnapshot> Look(NodeService::Stub& stub) {
  TopSnapshot snapshot;
  scheduling::ListNodesRequest nodes;
  nodes.set_page_size(1000);
  do {
    ALLOD_TRY(const auto page, Ask(stub, &NodeService::Stub::ListNodes, nodes));
    snapshot.nodes.insert(snapshot.nodes.end(), page.nodes().begin(), page.nodes().end());
    nodes.set_page_token(page.next_page_token());
  } while (!nodes.page_token().empty());
  scheduling::ListWorkersRequest workers;
  workers.set_parent("nodes/-");
  workers.set_page_size(1000);
  do {
    ALLOD_TRY(const auto page, Ask(stub, &NodeService::Stub::ListWorkers, workers));
    snapshot.workers.insert(snapshot.workers.end(), page.workers().begin(), page.workers().end());
    workers.set_page_token(page.next_page_token());
  } while (!workers.page_token().empty());
  return snapshot;
}

Status Top(const Globals& globals, const Options& options) {
  ALLOD_TRY(const StateDir state, RunningState(globals));
  const auto stub = Connect<NodeService>(state, "scheduling");
  const bool once = options.once || globals.json() || ::isatty(STDOUT_FILENO) != 1;
  while (true) {
    ALLOD_TRY(const TopSnapshot snapshot, Look(*stub));
    if (once) {
      Print(globals.json() ? TopJson(snapshot) : TopText(snapshot));
      return {};
    }
    // Home, the text, and nothing below it.
    Print("\x1b[H\x1b[2J" + TopText(snapshot));
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_seconds));
  }
}

}  // namespace

void AddTopCommand(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<Options>();
  auto* top = app.add_subcommand(
      "top",
      "Show what every node and instance is doing: tokens/s, time to first token, queues, turns, memory, sandbox");
  top->add_flag("--once", options->once, "Show it once (default where the output is no terminal, or with -o json)");
  top->add_option("--interval", options->interval_seconds, "Seconds between two looks (default 2)")
      ->check(CLI::Range(0.2, 3600.0));
  top->callback([&globals, options] { globals.action = [&globals, options] { return Top(globals, *options); }; });
}

}  // namespace allod::cli
