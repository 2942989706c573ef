// `allod top`: what every node and every instance is doing, refreshed until it is interrupted.

#include <unistd.h>

#include <limits>
#include <thread>

#include "allod/scheduling/v1/node.grpc.pb.h"
#include "cli/commands/commands.h"
#include "cli/commands/top_view.h"
#include "cli/net/pages.h"
#include "cli/terminal/print.h"

namespace allod::cli::commands {
namespace {

namespace scheduling_v1 = allod::scheduling::v1;
using NodeService = scheduling_v1::NodeService;

struct TopOptions {
  bool once = false;
  double interval_seconds = 2;
};

// Of every page, without a limit: a screen that leaves nodes out would lie.
template <typename Item, typename Req, typename Resp>
Status ListInto(std::vector<Item>& out, const installation::StateDir& state,
                grpc::Status (NodeService::Stub::*method)(grpc::ClientContext*, const Req&, Resp*),
                const Req& request) {
  ALLOD_TRY(const net::Listed listed, net::List<NodeService>(state, method, request, std::numeric_limits<int>::max()));
  for (const auto& item : listed.items) out.push_back(dynamic_cast<const Item&>(*item));
  return {};
}

Result<TopSnapshot> Look(const installation::StateDir& state) {
  TopSnapshot snapshot;
  ALLOD_CHECK_OK(ListInto(snapshot.nodes, state, &NodeService::Stub::ListNodes, scheduling_v1::ListNodesRequest()));
  scheduling_v1::ListWorkersRequest of_all_nodes;
  of_all_nodes.set_parent("nodes/-");
  ALLOD_CHECK_OK(ListInto(snapshot.workers, state, &NodeService::Stub::ListWorkers, of_all_nodes));
  return snapshot;
}

Status Top(const Globals& globals, const TopOptions& options) {
  ALLOD_TRY(const auto state, FindInstallation(globals));
  const bool once = options.once || globals.json() || ::isatty(STDOUT_FILENO) != 1;
  while (true) {
    ALLOD_TRY(const TopSnapshot snapshot, Look(state));
    if (once) {
      terminal::Print(globals.json() ? TopJson(snapshot) : TopText(snapshot));
      return {};
    }
    // Home, the text, and nothing below it.
    terminal::Print("\x1b[H\x1b[2J" + TopText(snapshot));
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_seconds));
  }
}

}  // namespace

void AddTop(CLI::App& app, Globals& globals) {
  const auto [command, options] = AddCommand<TopOptions>(
      app, globals, "top",
      "Show what every node and instance is doing: tokens/s, time to first token, queues, turns, memory, sandbox",
      &Top);
  command->add_flag("--once", options->once, "Show it once (default where the output is no terminal, or with -o json)");
  command->add_option("--interval", options->interval_seconds, "Seconds between two looks (default: 2)")
      ->check(CLI::Range(0.2, 3600.0));
}

}  // namespace allod::cli::commands
